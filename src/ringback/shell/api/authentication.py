"""HTTP Basic authentication: account SID and Auth Token, or API key SID and secret."""

from __future__ import annotations

import hmac
from base64 import b64decode
from dataclasses import dataclass
from hashlib import sha256

from ringback.rest.errors import authenticate, not_active
from ringback.store.configuration import Configuration

from .control import Row

_NOBODY = "0" * 32  # compared when the user is unknown, so that both refusals cost the same


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the account, and whether an API key (which may not see or change accounts) stands for it."""

    account: Row
    by_key: bool

    @property
    def sid(self) -> str:
        """The account's SID."""
        return str(self.account["sid"])


def identify(header: str | None, configuration: Configuration) -> Caller:
    """Reads an Authorization header.

    Raises RestError: 401 code 20003 for missing or wrong credentials, 403 code 20005 for inactive accounts.
    """
    username, password = _basic(header)
    key = configuration.api_key(username)
    if key is not None:
        right = _same(sha256(password.encode()).hexdigest(), str(key["secret_sha256"]))
        account = configuration.account(key["account_sid"])
    else:
        account = configuration.account(username)
        right = _same(password, str((account or {}).get("auth_token") or _NOBODY))
        second = (account or {}).get("secondary_auth_token")
        right |= second is not None and _same(password, str(second))
    if account is None or not right:
        raise authenticate()
    owner = configuration.account(account["owner_account_sid"] or "")
    if account["status"] != "active" or (owner is not None and owner["status"] != "active"):
        raise not_active()
    return Caller(account, by_key=key is not None)


def _basic(header: str | None) -> tuple[str, str]:
    """User and password of RFC 7617 section 2."""
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        raise authenticate()
    try:
        username, colon, password = b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError as error:
        raise authenticate() from error
    if not colon:
        raise authenticate()
    return username, password


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
