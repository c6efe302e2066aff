"""The TwiML documents that answers stand for, as calls take them: plain data, read once for equal answers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from ringback.shell.vault import Vault
from ringback.twiml.document import read_answer

KEPT: Final = 500
"""Documents remembered: the bins, and the answers of programs that answer many calls alike."""
LONGEST_KEPT: Final = 4_096
"""Bytes of a remembered document; most have some hundred."""


class Documents:
    """Reads answers. What it gives is shared by calls, and nobody changes it."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._kept: OrderedDict[tuple[str, bytes], list[Any]] = OrderedDict()

    def read(self, content_type: str, body: bytes, url: str) -> list[Any]:
        """The document that an answer from ``url`` stands for, its secrets hidden. Raises DocumentError.

        Documents with secrets are read each time, so that a handle which the vault has forgotten is never
        given out; so is audio, which stands for a document that names its URL.
        """
        key = (content_type, body)
        known = self._kept.get(key)
        if known is not None:
            self._kept.move_to_end(key)
            return known
        hidden: list[str] = []

        def hide(secret: str) -> str:
            hidden.append(secret)
            return self._vault.hide(secret)

        document = read_answer(content_type, body, url, hide).plain()
        masked = self._vault.mask_document(document)
        is_shared = masked == document and not hidden and not content_type.startswith("audio/")
        if is_shared and len(body) <= LONGEST_KEPT:
            self._kept[key] = masked
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return masked
