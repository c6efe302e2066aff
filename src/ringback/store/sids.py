"""Twilio's identifiers and tokens: two letters for the kind of resource and 32 hexadecimal digits."""

import hashlib
import re
import secrets

SID = re.compile(r"[A-Z]{2}[0-9a-f]{32}")


class Secret(str):
    """Text that must not appear in logs: its repr is masked, everything else is the text itself.

    A row that holds one can be printed; `str(secret)` and `secret.encode()` give the value to whoever
    needs it for a signature.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def new_sid(prefix: str) -> str:
    """Return a fresh SID such as `CA` and 32 hexadecimal digits (128 random bits)."""
    if len(prefix) != 2 or not prefix.isascii() or not prefix.isupper():
        raise ValueError(f"not a SID prefix: {prefix!r}")
    return prefix + secrets.token_hex(16)


def new_auth_token() -> Secret:
    """Return a fresh auth token: 32 hexadecimal digits, as Twilio's."""
    return Secret(secrets.token_hex(16))


def derived_sid(prefix: str, *parts: str) -> str:
    """Return the SID that always belongs to these parts, for rows that are found by what they say."""
    digest = hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()
    return prefix + digest[:32]
