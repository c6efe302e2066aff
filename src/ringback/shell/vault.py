"""Secrets that calls need, kept out of journals: a handle stands for each."""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from typing import Any, Final
from urllib.parse import urlsplit

MAX_SECRETS = 100_000
"""Handles that are remembered, those hidden last: every call of a busy hour with a password of its own."""

_USERINFO: Final = re.compile(r"(?i)\b((?:https?|wss?)://)([^/?#\s]+)@")
"""User and password of a URL, RFC 3986 section 3.2.1."""

_SCHEME: Final = re.compile(r"(?i)^[a-z]+://")

_HIDDEN: Final = re.compile(r"(?<=://)secret:[0-9a-f]{16}(?=@)")


class Vault:
    """Handles for secrets. The same secret keeps its handle, so a journal does not grow with each use."""

    def __init__(self) -> None:
        self._secrets: OrderedDict[str, str] = OrderedDict()
        self._handles: dict[str, str] = {}

    def hide(self, secret: str) -> str:
        """A handle for a secret; "" for none."""
        if not secret:
            return ""
        handle = self._handles.get(secret)
        if handle is None:
            handle = f"secret:{secrets.token_hex(8)}"
            self._handles[secret] = handle
            self._secrets[handle] = secret
            if len(self._secrets) > MAX_SECRETS:
                _, oldest = self._secrets.popitem(last=False)
                del self._handles[oldest]
        else:
            self._secrets.move_to_end(handle)
        return handle

    def reveal(self, handle: str) -> str:
        """The secret of a handle; "" if it is forgotten."""
        return self._secrets.get(handle, "")

    def mask(self, text: str) -> str:
        """A text in which handles stand for user and password of each URL: ``http://secret:1f...@host/``.

        What looks like a handle already is hidden like any other: nobody gets at a secret by naming its handle.
        """
        if "@" not in text:
            return text
        return _USERINFO.sub(lambda found: f"{found[1]}{self.hide(found[2])}@", text)

    def mask_document(self, document: list[Any]) -> list[Any]:
        """A TwiML document as plain data (name, attributes, content), with its URLs masked."""
        name, attributes, content = document
        masked = {key: self.mask(value) for key, value in attributes.items()}
        parts = [self.mask(part) if isinstance(part, str) else self.mask_document(part) for part in content]
        return [name, masked, parts]

    def unmask(self, text: str) -> str:
        """The text that ``mask`` was given."""
        return _HIDDEN.sub(lambda found: self.reveal(found[0]), text) if "://secret:" in text else text


def public(url: str) -> str:
    """A URL without its user and password, for people to read."""
    return _USERINFO.sub(r"\1", url) if "@" in url else url


def with_login(asked: str, answered: str) -> str:
    """The URL that answered, with user and password of the one that was asked if both are of one host."""
    found = _USERINFO.match(asked) if "@" in asked else None
    if found is None or urlsplit(asked).netloc.rpartition("@")[2] != urlsplit(answered).netloc:
        return answered
    return _SCHEME.sub(lambda scheme: f"{scheme[0]}{found[2]}@", answered, count=1)
