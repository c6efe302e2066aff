"""What stays when all is over, where nobody collects rings of objects. Import ``no_collector`` for it to be so."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from unit.sip.virtual_network import Node


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def forget(*nodes: Node) -> None:
    """Let go of what the nodes of the tests keep themselves."""
    for node in nodes:
        for kept in (node.seen, node.sessions, node.sent, node.got, node.hops):
            kept.clear()
        node.on.clear()


def alive(*kinds: type) -> list[int]:
    """How many objects of these types live; a ring of objects does."""
    types = [type(each) for each in gc.get_objects()]
    return [types.count(kind) for kind in kinds]
