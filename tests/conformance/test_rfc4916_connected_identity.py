"""RFC 4916 section 5: a B2BUA changes who is at the other end, in the RFC's own messages; we are Alice's phone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from unit.sip.virtual_network import Network, Node, line

from ringback.sip.effects import Reanswered, Reoffered
from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response, parse

FLOWS = Path(__file__).parents[2].parent / "shared" / "corpora" / "flows" / "rfc4916"
PEER = ("192.0.2.2", 5061)


def messages(name: str) -> list[Request | Response]:
    found = list(FLOWS.glob(f"{name}_*.yaml"))
    if not found:
        pytest.skip("the corpora are not here")
    result = []
    for block in re.split(r"(?m)^- \|\+?\n", found[0].read_text())[1:]:
        text = "\n".join(each[2:] for each in block.rstrip("\n").split("\n"))
        head, _, body = text.partition("\n\n")
        body = body.strip("\n").replace("\n", "\r\n") + "\r\n" if body.strip() else ""
        head = re.sub(r"Content-Length: \d+", f"Content-Length: {len(body)}", head)
        if body and "Content-Type" not in head:
            head += "\nContent-Type: application/sdp"
        result.append(parse((head.replace("\n", "\r\n") + "\r\n\r\n" + body).encode()))
    return result


@pytest.fixture
def alice() -> Node:
    node = Network().node("alice", "192.0.2.1")
    session = node.agent.restore(
        {
            "role": "uac",
            "contact": "<sip:Alice@ua1.example.com>",
            "sent_by": "ua1.example.com",
            "flow": ["TLS", *node.address, *PEER],
            "call_id": "12345600@ua1.example.com",
            "local": "Alice <sip:alice@example.com>;tag=13adc987",
            "local_tag": "13adc987",
            "local_seq": 1,
            "remote": "Bob <sip:bob@example.com>;tag=2ge46ab5",
            "remote_tag": "2ge46ab5",
            "remote_seq": -1,
            "target": "sip:xyz@b2bua.example.com",
            "routes": [],
        }
    )
    node.sessions.append(session)
    return node


def hears(alice: Node, message: Request | Response) -> list[Request | Response]:
    return alice.feed(message, Flow("TLS", alice.address, PEER, 3))


def agrees(ours: Request | Response, rfc: Request | Response) -> None:
    assert isinstance(ours, Response) and isinstance(rfc, Response)
    assert (ours.status, ours.cseq, ours.call_id) == (rfc.status, rfc.cseq, rfc.call_id)
    assert (ours.from_.uri, ours.from_.tag, ours.to.tag) == (rfc.from_.uri, rfc.from_.tag, rfc.to.tag)
    assert ours.contacts[0].uri == rfc.contacts[0].uri
    assert (ours.via.branch, ours.body) == (rfc.via.branch, rfc.body)


def test_rfc4916_5_1_an_update_tells_who_answered(alice: Node) -> None:
    flow = messages("5.1")
    (answer,) = hears(alice, flow[7])
    agrees(answer, flow[8])


def test_rfc4916_5_2_an_update_tells_who_is_there_now(alice: Node) -> None:
    flow = messages("5.2")
    (answer,) = hears(alice, flow[3])
    agrees(answer, flow[4])


def test_rfc4916_5_2_another_from_with_the_same_tag_is_the_same_dialog(alice: Node) -> None:
    flow = messages("5.2")
    hears(alice, flow[3])
    trying = hears(alice, flow[5])
    assert [line(each) for each in trying] == ["100 INVITE"]
    (reoffered,) = alice.all(Reoffered)
    assert reoffered.body == b""
    alice.run(reoffered.session.accept_reoffer(flow[6].body, alice.network.now))
    agrees(alice.sent[-1], flow[6])
    hears(alice, flow[7])
    assert [each.body for each in alice.all(Reanswered)] == [flow[7].body]
    alice.run(alice.sessions[0].hangup(alice.network.now))
    bye = alice.sent[-1]
    assert isinstance(bye, Request) and bye.raw_uri == "sip:xyz@b2bua.example.com"
