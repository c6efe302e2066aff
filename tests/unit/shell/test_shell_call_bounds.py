"""A call that is forwarded in a circle loses a hop in each round (RFC 3261 section 16.6, RFC 5393)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ringback.call.outgoing_leg import Branch
from ringback.shell.ways import Ways
from ringback.sip.flow import Hop
from ringback.sip.headers import NameAddr
from ringback.sip.message import Request
from ringback.sip.uri import Uri


def fitted(fields: list[tuple[str, str]] | None, count: int) -> tuple[list[Branch], list[Any]]:
    """Branches of a child whose parent came with these fields; None: a call that begins here."""
    remarks: list[Any] = []
    request = None if fields is None else Request("INVITE", "sip:a@b", fields)
    parent = SimpleNamespace(leg=SimpleNamespace(session=SimpleNamespace(request=request)))
    calls: Any = SimpleNamespace(
        get={"CA-parent": parent}.get,
        sound=SimpleNamespace(fit=lambda call, branches: branches),
        remark=lambda call, note: remarks.append(note),
    )
    nothing: Any = None
    ways = Ways(calls, nothing, nothing, nothing, nothing)
    call: Any = SimpleNamespace(setup=SimpleNamespace(parent_sid="CA-parent"))
    uri = Uri(user="x", host="192.0.2.1")
    hop = Hop("UDP", "192.0.2.1", 5060)
    branches = [Branch(uri, (hop,), "", "", "", NameAddr("", uri), NameAddr("", uri)) for _ in range(count)]
    return ways._fit(call, branches), remarks


def test_a_dialed_leg_has_one_hop_less_than_its_caller() -> None:
    (branch,), _ = fitted([("Max-Forwards", "20")], 1)
    assert (branch.max_forwards, branch.headers) == (19, ())


def test_branches_share_the_breadth_of_the_caller() -> None:
    branches, _ = fitted([("Max-Forwards", "20"), ("Max-Breadth", "6")], 3)
    assert [branch.headers for branch in branches] == [(("Max-Breadth", "2"),)] * 3


def test_a_call_that_begins_here_has_all_hops() -> None:
    (branch,), _ = fitted(None, 1)
    assert branch.max_forwards == 70


def test_a_call_that_has_come_too_far_goes_no_further_and_says_so() -> None:
    branches, (note,) = fitted([("Max-Forwards", "0")], 1)
    assert branches == []
    assert note.code == 32006
