"""RFC 3311 by clause: UPDATE both ways, before and after the answer, and its glare."""

from __future__ import annotations

import pytest
from unit.sip.virtual_network import Network, Node, line, make_request, network

from ringback.sip.effects import Effect, Ended, Reanswered, Reoffered, ReofferFailed
from ringback.sip.flow import Flow
from ringback.sip.message import Request
from ringback.sip.session import InviteSession

__all__ = ["network"]


@pytest.fixture
def pair(network: Network) -> tuple[Node, Node]:
    alice = network.node("alice", "192.0.2.1", extensions=["100rel"])
    bob = network.node("bob", "192.0.2.2", extensions=["100rel"])
    for node in (alice, bob):
        node.on[Reoffered] = lambda effect: effect.session.accept_reoffer(b"agreed", network.now)
    return alice, bob


def up(alice: Node, bob: Node) -> tuple[InviteSession, InviteSession]:
    def react(session: InviteSession, request: Request) -> list[Effect]:
        return session.answer(b"answer", bob.network.now)

    bob.answering(react)
    session = alice.call(bob)
    alice.network.run(1)
    return session, bob.sessions[-1]


def ringing(alice: Node, bob: Node) -> tuple[InviteSession, InviteSession]:
    bob.answering(lambda session, request: session.progress(183, bob.network.now, body=b"early"))
    session = alice.call(bob)
    alice.network.run(1)
    return session, bob.sessions[-1]


@pytest.mark.parametrize("side", [0, 1])
def test_rfc3311_5_1_an_update_offers_anew_after_the_answer(
    network: Network, pair: tuple[Node, Node], side: int
) -> None:
    node, session = pair[side], up(*pair)[side]
    node.run(session.update(b"new offer", network.now))
    network.run(1)
    assert node.all(Reanswered) == [Reanswered(session, b"agreed")]
    update = next(each for each in node.sent if line(each) == "UPDATE")
    assert len(update.contacts) == 1  # it refreshes the target
    assert "ACK" not in node.trace[node.trace.index("UPDATE") :]
    assert session.local_sdp == b"new offer"


@pytest.mark.parametrize("side", [0, 1])
def test_rfc3311_5_1_an_update_may_come_before_the_answer_once_the_first_offer_is_settled(
    network: Network, pair: tuple[Node, Node], side: int
) -> None:
    node, session = pair[side], ringing(*pair)[side]
    node.run(session.update(b"new offer", network.now))
    network.run(1)
    assert [each.body for each in node.all(Reanswered)] == [b"agreed"]
    bob = pair[1]
    bob.run(bob.sessions[0].answer(b"early", network.now))
    network.run(1)
    assert session.is_confirmed
    node.run(session.hangup(network.now))
    network.run()
    network.assert_idle()


@pytest.mark.parametrize("side", [0, 1])
def test_rfc3311_5_1_no_update_with_an_offer_before_the_first_one_has_its_answer(
    network: Network, pair: tuple[Node, Node], side: int
) -> None:
    alice, bob = pair
    bob.answering(lambda session, request: session.progress(180, network.now))
    alice.call(bob)
    network.run(1)
    node = pair[side]
    node.run(node.sessions[0].update(b"too early", network.now))
    assert [each.status for each in node.all(ReofferFailed)] == [491]
    assert "UPDATE" not in node.trace


@pytest.mark.parametrize("status", [408, 481])
@pytest.mark.parametrize("side", [0, 1])
def test_rfc3261_12_2_1_2_an_early_dialog_that_is_gone_takes_its_invite_with_it(
    network: Network, pair: tuple[Node, Node], side: int, status: int
) -> None:
    """It is cancelled, or refused; a callee sends no BYE before its answer (section 15)."""
    node, session = pair[side], ringing(*pair)[side]
    node.run(session.update(b"new offer", network.now))
    update = node.sent[-1]
    assert isinstance(update, Request) and line(update) == "UPDATE"
    node.feed(update.reply(status), Flow("UDP", node.address, pair[1 - side].address))
    assert node.trace[-1] == ("CANCEL", "487 INVITE")[side]
    assert [each.status for each in node.all(Ended)] == [status]
    network.run()
    assert [each.count(Ended) for each in pair] == [1, 1]
    assert "BYE" not in node.trace
    network.assert_idle()


def test_an_early_dialog_whose_route_is_nowhere_has_its_invite_refused(
    network: Network, pair: tuple[Node, Node]
) -> None:
    bob = pair[1]
    bob.answering(lambda session, request: session.progress(183, network.now, body=b"early"))
    routed = [("Require", "100rel"), ("Record-Route", "<sip:nowhere.example;lr>")]
    _, ringing = bob.feed(make_request("INVITE", headers=routed, body=b"offer"))
    acknowledged = {"to_tag": ringing.to.tag or "", "headers": [("RAck", f"{ringing.get('RSeq')} 1 INVITE")]}
    bob.feed(make_request("PRACK", branch="z9hG4bKtwo", cseq=2, **acknowledged))
    bob.run(bob.sessions[0].update(b"new offer", network.now))
    network.run()
    assert bob.endings(bob.sessions[0]) == ["unreachable"]
    assert "487 INVITE" in bob.trace
    network.assert_idle()


def test_rfc3311_5_2_an_offer_that_crosses_ours_gets_491(network: Network, pair: tuple[Node, Node]) -> None:
    alice, bob = pair
    ours, theirs = up(alice, bob)
    alice.run(ours.update(b"from alice", network.now))
    bob.run(theirs.update(b"from bob", network.now))
    network.run(0.05)
    assert "491 UPDATE" in alice.trace and "491 UPDATE" in bob.trace


def test_rfc3311_5_2_after_491_both_get_through(network: Network, pair: tuple[Node, Node]) -> None:
    alice, bob = pair
    ours, theirs = up(alice, bob)
    alice.run(ours.update(b"from alice", network.now))
    bob.run(theirs.update(b"from bob", network.now))
    network.run(20)
    # The one without the Call-ID waits less (RFC 3261 14.1); then the other's offer is out of date or answered.
    assert bob.count(Reanswered) == 1
    assert alice.count(Reanswered) + alice.count(ReofferFailed) == 1


def test_rfc3311_5_2_an_offer_while_another_of_theirs_is_open_gets_500(
    network: Network, pair: tuple[Node, Node]
) -> None:
    bob = pair[1]
    bob.on[Reoffered] = lambda effect: []
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    bob.feed(make_request("INVITE", body=b"offer"))
    tag = bob.sent[-1].to.tag or ""
    bob.feed(make_request("ACK", branch="z9hG4bKa", to_tag=tag))
    assert bob.feed(make_request("UPDATE", branch="z9hG4bKb", to_tag=tag, cseq=2, body=b"one")) == []
    for number, body in ((3, b"two"), (4, b"")):
        (refusal,) = bob.feed(
            make_request("UPDATE", branch=f"z9hG4bK{number}", to_tag=tag, cseq=number, body=body)
        )
        assert line(refusal) == "500 UPDATE"
        assert 0 <= int(refusal.get("Retry-After") or "") <= 10


def test_rfc3311_5_2_an_update_without_an_offer_refreshes_the_target_only(
    network: Network, pair: tuple[Node, Node]
) -> None:
    alice, bob = pair
    session, _ = up(alice, bob)
    session.contact = "<sip:alice@192.0.2.1:5060;moved>"
    alice.run(session.update(b"", network.now))
    network.run(1)
    assert bob.count(Reoffered) == 0
    bob.run(bob.sessions[0].hangup(network.now))
    bye = bob.sent[-1]
    assert isinstance(bye, Request) and bye.raw_uri == "sip:alice@192.0.2.1:5060;moved"


def test_rfc3311_5_2_a_refused_offer_leaves_the_session_as_it_was(
    network: Network, pair: tuple[Node, Node]
) -> None:
    alice, bob = pair
    session, _ = up(alice, bob)
    bob.on[Reoffered] = lambda effect: effect.session.refuse_reoffer(488, network.now)
    alice.run(session.update(b"no codec", network.now))
    network.run(1)
    assert [each.status for each in alice.all(ReofferFailed)] == [488]
    assert session.is_confirmed and session.local_sdp == b"offer"


def test_rfc3311_5_1_an_early_dialog_of_an_unreliable_answer_takes_no_offer(
    network: Network, pair: tuple[Node, Node]
) -> None:
    bob = pair[1]
    bob.answering(lambda session, request: session.progress(183, network.now, body=b"early"))
    bob.feed(make_request("INVITE", body=b"offer"))
    tag = bob.sent[-1].to.tag or ""
    (refusal,) = bob.feed(make_request("UPDATE", branch="z9hG4bKu", to_tag=tag, cseq=2, body=b"early"))
    assert line(refusal) == "500 UPDATE"
    assert bob.count(Reoffered) == 0


def test_rfc4320_4_1_an_offer_that_waits_for_its_user_gets_100_after_t2(
    network: Network, pair: tuple[Node, Node]
) -> None:
    alice, bob = pair
    session, _ = up(alice, bob)
    bob.on[Reoffered] = lambda effect: []
    alice.run(session.update(b"patience", network.now))
    network.run(3.5)
    assert "100 UPDATE" not in bob.trace
    network.run(1)
    assert bob.trace[-1] == "100 UPDATE"
    bob.run(bob.sessions[0].accept_reoffer(b"at last", network.now))
    network.run(1)
    assert alice.count(Reanswered) == 1
