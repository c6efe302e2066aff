"""The message flows of the RFCs, read from the corpora beside the repository; without them the tests are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.sip.message import Request, Response, parse

FLOWS = Path(__file__).parents[2].parent / "shared" / "corpora" / "flows"


def messages(name: str) -> list[Request | Response]:
    """The messages of one flow, such as "rfc5626/9.2", as we read them; those without a body only."""
    found = list(FLOWS.glob(f"{name}_*.yaml"))
    if not found:
        pytest.skip("the corpora are not here")
    blocks = found[0].read_text().split("- |+\n")[1:]
    texts = ["\n".join(each[2:] for each in block.rstrip("\n").split("\n")) for block in blocks]
    return [parse((text.rstrip("\n").replace("\n", "\r\n") + "\r\n\r\n").encode()) for text in texts]
