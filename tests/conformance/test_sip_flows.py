"""The message flows of the RFCs (3665, 3515, 3327, 4916, 5626): every message is read and written again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ringback.sip.message import Request, Response, parse
from ringback.sip.stream import StreamParser

CORPUS = Path(__file__).parents[3] / "shared" / "corpora" / "flows"
FILES = sorted(CORPUS.rglob("*.yaml"))
pytestmark = pytest.mark.skipif(not FILES, reason="no message flows beside the repository")


def _messages(path: Path) -> list[str]:
    """The block scalars of a YAML list, each one message."""
    blocks = re.split(r"(?m)^- \|[+-]?\n", path.read_text())[1:]
    return ["\n".join(line[2:] for line in block.split("\n")).rstrip("\n") for block in blocks]


def _bytes(message: str) -> bytes:
    head, _, body = message.partition("\n\n")
    lines = [line for line in head.split("\n") if not line.lower().startswith("content-length")]
    text = body.replace("\n", "\r\n") + "\r\n" if body else ""
    return ("\r\n".join([*lines, f"Content-Length: {len(text.encode())}"]) + "\r\n\r\n" + text).encode()


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}-{path.stem}" for path in FILES])
def test_messages_of_a_flow(path: Path) -> None:
    messages = _messages(path)
    assert messages
    items = StreamParser().feed(b"".join(_bytes(message) for message in messages))
    assert len(items) == len(messages)
    for item, text in zip(items, messages, strict=True):
        assert isinstance(item, Request | Response)
        if item.vias:  # RFC 5626 leaves Via out of its later examples
            item.validate()
        again = parse(item.render())
        assert (again.headers, again.body) == (item.headers, item.body)
        for via in item.vias:
            assert f"/{via.transport} {via.host}" in text  # what is read is what stands there
            assert via.branch is not None
            assert f"branch={via.branch}" in text
        for address in (item.from_, item.to, *item.contacts, *item.record_routes, *item.routes):
            assert str(address.uri) in text
