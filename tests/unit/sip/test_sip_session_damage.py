"""Messages that can be read, but have a field that cannot: what was begun must still come to its end."""

from __future__ import annotations

from typing import Any

from unit.sip.virtual_network import Network, Node, make_request

from ringback.sip.authorization import Login
from ringback.sip.effects import Confirmed, Ended, Established, ReferAnswered
from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response
from ringback.sip.session import InviteSession

EVE = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.99", 5060))
OPTIONS: dict[str, Any] = {"extensions": ("100rel", "timer", "replaces"), "takes_referrals": True}


def _alone() -> tuple[Network, Node]:
    network = Network()
    return network, network.node("alice", "192.0.2.1", **OPTIONS)


def _placed(network: Network, alice: Node) -> tuple[InviteSession, Request]:
    eve = network.node("eve", "192.0.2.99")
    session = alice.call(eve, credentials=Login("alice", "secret"))
    invite = alice.sent[-1]
    assert isinstance(invite, Request)
    network.nodes.pop(eve.address)
    return session, invite


def _accept(alice: Node, invite: Request, *more: tuple[str, str]) -> Response:
    answer = invite.reply(200, to_tag="far", headers=[("Contact", "<sip:eve@192.0.2.99>"), *more], body=b"v")
    alice.feed(answer, EVE)
    return answer


def test_an_answer_with_an_open_quote_in_allow_is_acknowledged() -> None:
    network, alice = _alone()
    session, invite = _placed(network, alice)
    _accept(alice, invite, ("Session-Expires", "90;refresher=uac"), ("Allow", 'INVITE, "UPDATE'))
    assert alice.count(Established) == 1
    assert alice.trace[-1] == "ACK"
    alice.run(session.hangup(network.now))
    network.run()
    network.assert_idle()


def test_an_offer_with_an_open_quote_in_supported_is_taken() -> None:
    network, alice = _alone()
    alice.answering(lambda session, request: session.answer(b"answer", network.now))
    alice.feed(make_request("INVITE", headers=[("Supported", 'timer, "100rel')], body=b"offer"), EVE)
    assert alice.trace == ["100 INVITE", "200 INVITE"]
    assert "timer" in alice.sent[-1].tokens("Require")


def test_nothing_is_told_of_a_referral_after_the_end_of_its_call() -> None:
    network, alice = _alone()
    session, invite = _placed(network, alice)
    _accept(alice, invite)
    alice.run(session.refer("<sip:carol@192.0.2.3>", network.now)[1])
    refer = alice.sent[-1]
    assert isinstance(refer, Request)
    bye = make_request("BYE", to_tag=session.dialog.local_tag, call_id=session.call_id, cseq=5)
    alice.feed(bye, EVE)
    alice.feed(refer.reply(202), EVE)
    assert alice.endings(session) == ["bye"]
    assert not alice.count(ReferAnswered)


def test_a_challenge_after_the_end_is_not_answered() -> None:
    network, alice = _alone()
    session, invite = _placed(network, alice)
    _accept(alice, invite)
    alice.run(session.info(b"5", "text/plain", network.now))
    info = alice.sent[-1]
    assert isinstance(info, Request)
    alice.feed(make_request("BYE", to_tag=session.dialog.local_tag, call_id=session.call_id, cseq=5), EVE)
    challenge = ("WWW-Authenticate", 'Digest realm="far", nonce="n"')
    assert alice.feed(info.reply(401, headers=[challenge]), EVE) == []


def test_a_request_that_cannot_be_read_to_its_end_is_answered_by_its_transaction() -> None:
    network, alice = _alone()
    alice.answering(lambda session, request: session.answer(b"answer", network.now))
    alice.feed(make_request("INVITE", body=b"offer"), EVE)
    session = alice.sessions[0]
    tag = session.dialog.local_tag
    alice.feed(make_request("ACK", to_tag=tag, branch="z9hG4bKack"), EVE)
    assert alice.count(Confirmed) == 1
    update = make_request("UPDATE", to_tag=tag, branch="z9hG4bKup", cseq=2, headers=[("Contact", "<sip:")])
    alice.run(
        alice.agent.on_message(update, EVE, network.now)
    )  # not by the parser, which reads Contact itself
    assert alice.trace[-1] == "400 UPDATE"
    assert alice.count(Ended) == 0
    alice.run(session.hangup(network.now))
    network.run()
    network.assert_idle()
