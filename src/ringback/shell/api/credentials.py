"""Credential lists and the SIP users in them. Only the digests of passwords are kept."""

from __future__ import annotations

from ringback.rest.errors import CREDENTIAL_LIST_IN_USE, CREDENTIAL_VALIDATION, RestError, invalid
from ringback.rest.passwords import check_password, check_username
from ringback.rest.resources import CREDENTIAL, CREDENTIAL_LIST
from ringback.sip.digest import ha1
from ringback.store import Conflict

from .collection import Collection, Values
from .control import Row
from .request import ApiRequest


class CredentialLists(Collection):
    """The operations on credential lists."""

    resource = CREDENTIAL_LIST

    async def release(self, request: ApiRequest, row: Row) -> None:
        """A list that a domain needs stays."""
        if await self.store.count("sip_domain_mappings", {"list_sid": row["sid"]}):
            raise invalid("CredentialList is still mapped to a domain", CREDENTIAL_LIST_IN_USE)


class Credentials(Collection):
    """The operations on the users of a list."""

    resource = CREDENTIAL
    parent_table = "sip_credential_lists"

    async def prepare(self, request: ApiRequest, values: Values, row: Row | None) -> Values:
        """Checks name and password by Twilio's rules and replaces the password by its digests."""
        if "password" not in values:
            return values
        password = str(values.pop("password"))
        username = str(values["username"] if row is None else row["username"])
        if row is None:
            check_username(username)
        check_password(password)
        realm = self.store.installation.realm
        return {
            **values,
            "ha1_md5": ha1(username, realm, password, "MD5"),
            "ha1_sha256": ha1(username, realm, password, "SHA-256"),
        }

    def conflict(self, error: Conflict, values: Values) -> RestError:
        """A name is once in a list."""
        return invalid("Username already exists in this credential list", CREDENTIAL_VALIDATION)
