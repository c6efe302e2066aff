"""RFC 3261 section 12 and what leans on it: dialogs that ring, each of a fork by itself, and what comes late or elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from unit.sip.virtual_network import Network, Node, line, make_request, network

from ringback.sip.effects import Effect, Ended, Reanswered, Reoffered
from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response
from ringback.sip.session import InviteSession

__all__ = ["network"]

RELIABLE: dict[str, Any] = {"extensions": ["100rel"]}


class Nobody:
    name = "nobody"
    address = ("192.0.2.200", 5060)


NOBODY: Node = Nobody()  # type: ignore[assignment]


@pytest.fixture
def alice(network: Network) -> Node:
    """She has called nobody, and takes each new offer."""
    node = network.node("alice", "192.0.2.1", **RELIABLE)
    node.on[Reoffered] = lambda effect: effect.session.accept_reoffer(b"agreed", network.now)
    node.call(NOBODY)
    return node


@pytest.fixture
def bob(network: Network) -> Node:
    """He leaves calls for the test to answer."""
    node = network.node("bob", "192.0.2.2", **RELIABLE)
    node.answering(lambda session, request: [])
    return node


def answers(
    alice: Node, status: int, tag: str, *fields: tuple[str, str], body: bytes = b"answer"
) -> list[str]:
    """Somebody answers Alice's INVITE; what she sends then."""
    invite = alice.sent[0]
    assert isinstance(invite, Request)
    contact = ("Contact", f"<sip:{tag}@192.0.2.200>")
    response = invite.reply(
        status, to_tag=tag, headers=[contact, *fields], body=body, content_type="application/sdp"
    )
    return [line(each) for each in alice.feed(response)]


def rings(alice: Node, tag: str, rseq: int = 1) -> list[str]:
    """Somebody rings reliably."""
    return answers(alice, 183, tag, ("Require", "100rel"), ("RSeq", str(rseq)))


def asks(alice: Node, method: str, tag: str, number: int, body: bytes = b"", contact: str = "") -> list[str]:
    """A callee asks something; what Alice sends then."""
    invite = alice.sent[0]
    headers = [("Contact", f"<sip:{contact or tag}@192.0.2.200>")]
    request = make_request(
        method,
        branch=f"z9hG4bK{tag}{number}",
        uri="sip:alice@192.0.2.1",
        from_tag=tag,
        to_tag=invite.from_.tag or "",
        call_id=invite.call_id,
        cseq=number,
        headers=headers,
        body=body,
    )
    return [line(each) for each in alice.feed(request)]


# -- as caller of a fork


def test_rfc3261_12_2_2_each_callee_that_rings_counts_for_itself(alice: Node) -> None:
    assert rings(alice, "one") == rings(alice, "two") == ["PRACK"]
    assert asks(alice, "OPTIONS", "one", 5) == ["200 OPTIONS"]
    assert asks(alice, "OPTIONS", "two", 3) == ["200 OPTIONS"]
    assert asks(alice, "OPTIONS", "one", 4) == ["500 OPTIONS"]
    assert asks(alice, "OPTIONS", "two", 4) == ["200 OPTIONS"]


def test_rfc3261_12_2_2_what_was_counted_early_holds_after_the_answer(alice: Node) -> None:
    assert rings(alice, "one") == ["PRACK"]
    assert asks(alice, "OPTIONS", "one", 5) == ["200 OPTIONS"]
    assert answers(alice, 200, "one", body=b"") == ["ACK"]
    assert asks(alice, "INFO", "one", 4) == ["500 INFO"]
    assert asks(alice, "INFO", "one", 6) == ["200 INFO"]


def test_rfc3261_12_2_2_a_flood_of_tags_is_bounded(alice: Node) -> None:
    answered = [asks(alice, "OPTIONS", f"tag{number}", 1)[0] for number in range(40)]
    assert answered == ["200 OPTIONS"] * 16 + ["500 OPTIONS"] * 24


@pytest.mark.parametrize("body", [b"", b"another offer"])
def test_rfc3311_5_1_an_update_refreshes_the_target_of_its_early_dialog(alice: Node, body: bytes) -> None:
    rings(alice, "one")
    rings(alice, "two")
    assert asks(alice, "UPDATE", "one", 1, body, contact="moved") == ["200 UPDATE"]
    for tag, target in (("one", "moved"), ("two", "two")):
        assert rings(alice, tag, 2) == ["PRACK"]
        prack = alice.sent[-1]
        assert isinstance(prack, Request)
        assert (prack.to.tag, prack.raw_uri) == (tag, f"sip:{target}@192.0.2.200")


def test_rfc3311_5_2_the_answer_to_an_update_refreshes_the_target_of_its_early_dialog(
    network: Network, alice: Node
) -> None:
    rings(alice, "one")
    alice.run(alice.sessions[0].update(b"another offer", network.now))
    update = alice.sent[-1]
    assert isinstance(update, Request)
    contact = [("Contact", "<sip:moved@192.0.2.200>")]
    alice.feed(update.reply(200, headers=contact, body=b"agreed", content_type="application/sdp"))
    assert rings(alice, "one", 2) == ["PRACK"]
    prack = alice.sent[-1]
    assert isinstance(prack, Request) and prack.raw_uri == "sip:moved@192.0.2.200"


def test_rfc3261_12_2_1_2_the_answer_tells_the_target_after_an_early_refresh(alice: Node) -> None:
    rings(alice, "one")
    asks(alice, "UPDATE", "one", 1, contact="moved")
    answers(alice, 200, "one", body=b"")
    ack = alice.sent[-1]
    assert isinstance(ack, Request) and ack.raw_uri == "sip:one@192.0.2.200"


# -- as callee


def invited(bob: Node, body: bytes = b"offer") -> InviteSession:
    """Bob gets an INVITE of somebody who knows 100rel."""
    bob.feed(make_request("INVITE", headers=[("Require", "100rel")], body=body))
    return bob.sessions[-1]


def ring(bob: Node, body: bytes) -> Response:
    """Bob rings reliably."""
    bob.run(bob.sessions[-1].progress(183, bob.network.now, body=body))
    response = bob.sent[-1]
    assert isinstance(response, Response)
    return response


def follows(
    bob: Node, method: str, number: int, *fields: tuple[str, str], body: bytes = b"", flow: Flow | None = None
) -> list[str]:
    """The next request of who called Bob; what he sends then."""
    request = make_request(
        method,
        branch=f"z9hG4bK{method}{number}",
        transport=flow.transport if flow else "UDP",
        to_tag=bob.sessions[-1].dialog.local_tag,
        cseq=number,
        headers=fields,
        body=body,
    )
    return [line(each) for each in bob.feed(request, flow)]


def acknowledges(bob: Node, ringing: Response, number: int = 2, body: bytes = b"") -> list[str]:
    """The PRACK of who called Bob."""
    return follows(bob, "PRACK", number, ("RAck", f"{ringing.get('RSeq')} 1 INVITE"), body=body)


def test_rfc3311_5_2_an_offer_while_ours_in_a_reliable_answer_is_open_gets_491(bob: Node) -> None:
    invited(bob, b"")
    ringing = ring(bob, b"our offer")
    assert follows(bob, "UPDATE", 2, body=b"their offer") == ["491 UPDATE"]
    assert acknowledges(bob, ringing, 3, b"their answer") == ["200 PRACK"]
    assert [each.body for each in bob.all(Reanswered)] == [b"their answer"]


@pytest.mark.parametrize("is_held", [False, True])
@pytest.mark.parametrize("is_settled", [False, True])
@pytest.mark.parametrize("body", [b"", b"offer"])
def test_rfc3261_14_2_a_second_invite_before_the_answer_gets_500(
    bob: Node, body: bytes, is_settled: bool, is_held: bool
) -> None:
    session = invited(bob, body)
    ringing = ring(bob, b"ours")
    if is_settled:
        acknowledges(bob, ringing, 2, b"" if body else b"their answer")
    if is_held and not is_settled:
        bob.run(session.answer(b"ours", bob.network.now))  # it waits for the PRACK
    assert follows(bob, "INVITE", 3, body=b"another offer") == ["500 INVITE"]
    assert 0 <= int(bob.sent[-1].get("Retry-After") or "") <= 10
    assert bob.count(Reoffered) == 0


@pytest.mark.parametrize("body", [b"", b"another offer"])
def test_rfc3262_3_a_prack_that_comes_after_the_refusal_is_answered(
    network: Network, bob: Node, body: bytes
) -> None:
    session = invited(bob)
    ringing = ring(bob, b"answer")
    bob.run(session.reject(486, network.now))
    assert follows(bob, "INFO", 2) == ["481 INFO"]
    assert acknowledges(bob, ringing, 3, body) == ["200 PRACK"]
    assert acknowledges(bob, ringing, 4) == ["481 PRACK"]
    assert [each for each in bob.seen if isinstance(each, Reoffered | Reanswered)] == []
    bob.feed(make_request("ACK", to_tag=session.dialog.local_tag))
    network.run()
    network.assert_idle()


def test_rfc3261_15_a_prack_between_our_hangup_and_the_ack_takes_no_bye_away(
    network: Network, bob: Node
) -> None:
    """The 200 need not wait for the PRACK of a 180 without SDP, and our BYE waits for the ACK."""
    session = invited(bob)
    bob.run(session.progress(180, network.now))
    ringing = bob.sent[-1]
    assert isinstance(ringing, Response)
    bob.run(session.answer(b"answer", network.now))
    bob.run(session.hangup(network.now))
    assert acknowledges(bob, ringing) == ["200 PRACK"]
    assert follows(bob, "ACK", 1) == ["BYE"]
    (bye,) = (each for each in bob.sent if line(each) == "BYE")
    assert isinstance(bye, Request)
    bob.feed(bye.reply(200))
    network.run()
    network.assert_idle()


def end_by_cancel(bob: Node, session: InviteSession) -> list[Effect]:
    bob.feed(make_request("CANCEL"))
    return []


def end_by_bye(bob: Node, session: InviteSession) -> list[Effect]:
    follows(bob, "BYE", 2)
    return []


@pytest.mark.parametrize(
    "end",
    [
        end_by_cancel,
        end_by_bye,
        lambda bob, session: session.reject(486, bob.network.now),
        lambda bob, session: session.hangup(bob.network.now),
        lambda bob, session: [],
    ],
)
def test_a_prack_that_never_comes_leaves_nothing(network: Network, bob: Node, end: Any) -> None:
    session = invited(bob)
    ring(bob, b"answer")
    bob.run(end(bob, session))
    bob.feed(make_request("ACK", to_tag=session.dialog.local_tag))
    network.run()
    assert bob.count(Ended) == 1
    network.assert_idle()


# -- streams that are gone


def test_rfc3261_12_2_1_1_a_bye_goes_by_the_stream_that_the_peer_has_opened_since(
    network: Network, bob: Node
) -> None:
    """It has sent no target refresh on it, but it is there."""
    first, second = (Flow("TCP", bob.address, ("192.0.2.99", 40000 + at), at) for at in (7, 9))
    invite = make_request("INVITE", transport="TCP", body=b"offer")
    bob.feed(invite, first)
    session = bob.sessions[0]
    bob.run(session.answer(b"answer", network.now))
    follows(bob, "ACK", 1, flow=first)
    network.unreachable.add(first.remote)
    assert follows(bob, "INFO", 2, flow=second) == ["200 INFO"]
    bob.run(session.hangup(network.now))
    network.run(0.1)
    byes = [hop.connection for hop, sent in zip(bob.hops, bob.sent, strict=True) if line(sent) == "BYE"]
    assert byes == [7, 9]


@pytest.mark.parametrize("kind", ["UDP", "TLS"])
def test_a_request_by_another_transport_says_nothing_of_a_stream(
    network: Network, bob: Node, kind: str
) -> None:
    first = Flow("TCP", bob.address, ("192.0.2.99", 40007), 7)
    other = Flow(kind, bob.address, ("192.0.2.99", 40009), 0 if kind == "UDP" else 9)
    bob.feed(make_request("INVITE", transport="TCP", body=b"offer"), first)
    session = bob.sessions[0]
    bob.run(session.answer(b"answer", network.now))
    follows(bob, "ACK", 1, flow=first)
    network.unreachable.add(first.remote)
    follows(bob, "INFO", 2, flow=other)
    bob.run(session.hangup(network.now))
    network.run(0.1)
    byes = [hop for hop, sent in zip(bob.hops, bob.sent, strict=True) if line(sent) == "BYE"]
    assert [(hop.transport, hop.port) for hop in byes[:2]] == [("TCP", 40007), ("UDP", 5060)]  # its Contact
