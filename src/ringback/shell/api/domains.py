"""SIP domains."""

from __future__ import annotations

from collections.abc import Mapping

from ringback.rest.domain_names import auth_type, domain_name
from ringback.rest.errors import (
    DOMAIN_HAS_SUBDOMAINS,
    DOMAIN_VALIDATION,
    INVALID_BYOC,
    INVALID_DOMAIN,
    RestError,
    invalid,
)
from ringback.rest.resources import DOMAIN
from ringback.store import Conflict

from .collection import Collection, Values
from .control import Row
from .request import ApiRequest


class Domains(Collection):
    """The operations on SIP domains; ``auth_type`` follows from what is mapped for calls."""

    resource = DOMAIN

    async def view(self, row: Row) -> Mapping[str, object]:
        """The row with ``auth_type``."""
        configuration = self.store.configuration
        return {
            **row,
            "auth_type": auth_type(
                credential_lists=bool(configuration.credentials_for(row["sid"], "calls")),
                ip_access_control_lists=configuration.has_ip_rules(row["sid"]),
            ),
        }

    async def prepare(self, request: ApiRequest, values: Values, row: Row | None) -> Values:
        """Completes the name, and checks what it and the SIDs refer to."""
        if "domain_name" in values:
            name = domain_name(values["domain_name"], self.store.configuration.base_domain)
            values["domain_name"] = name
            if row is None or row["domain_name"] != name:
                self._check_parents(request, name)
        trunk_sid = values.get("byoc_trunk_sid")
        if trunk_sid and await self.store.fetch("byoc_trunks", trunk_sid, request.account_sid) is None:
            raise invalid("ByocTrunkSid: no such trunk in this account", INVALID_BYOC)
        number_sid = values.get("emergency_caller_sid")
        if number_sid and (
            await self.store.fetch("incoming_phone_numbers", number_sid, request.account_sid) is None
        ):
            raise invalid("EmergencyCallerSid: no such number in this account", DOMAIN_VALIDATION)
        return values

    async def release(self, request: ApiRequest, row: Row) -> None:
        """A domain with subdomains stays."""
        ending = f".{row['domain_name']}"
        offset, more = 0, True
        while more:
            found = await self.store.page("sip_domains", limit=1000, offset=offset)
            if any(str(other["domain_name"]).endswith(ending) for other in found.rows):
                raise invalid("Domain still has subdomains", DOMAIN_HAS_SUBDOMAINS)
            offset, more = offset + len(found.rows), found.has_more

    def conflict(self, error: Conflict, values: Values) -> RestError:
        """Names are unique in the whole installation."""
        return invalid(f"Domain {values['domain_name']} already exists.", INVALID_DOMAIN)

    def _check_parents(self, request: ApiRequest, name: str) -> None:
        """A name below another account's domain is that account's; its owner's domains are no obstacle."""
        _, _, above = name.partition(".")
        while above:
            domain = self.store.configuration.domain(above)
            if domain is not None and domain["domain_name"] == above:
                family = (request.account_sid, request.account["owner_account_sid"])
                if domain["account_sid"] not in family:
                    raise invalid(f"Domain {name} already exists.", INVALID_DOMAIN)
                return
            _, _, above = above.partition(".")
