"""Secrets that calls need, kept out of journals: a handle stands for each."""

from __future__ import annotations

import secrets
from collections import OrderedDict

MAX_SECRETS = 100_000
"""Handles that are remembered: every call of a busy hour with a password of its own."""


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
        return handle

    def reveal(self, handle: str) -> str:
        """The secret of a handle; "" if it is forgotten."""
        return self._secrets.get(handle, "")
