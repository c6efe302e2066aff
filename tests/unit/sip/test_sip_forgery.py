"""Who was not asked draws no digest, who guesses ends no call, and nobody leads our answers to somebody else."""

from __future__ import annotations

import pytest
from unit.sip.virtual_network import Network, Node, alice, make_request, network

from ringback.sip.authorization import Login
from ringback.sip.effects import Confirmed, Ended, Established, FinalResponse, Incoming, InfoAnswered
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response
from ringback.sip.session import InviteSession

__all__ = ["alice", "network"]

CARRIER = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.7", 5060))
STRANGER = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.66", 5060))
CHALLENGE = [("WWW-Authenticate", 'Digest realm="carrier", nonce="n", qop="auth"')]
LOGIN = Login("alice", "secret")


def call(network: Network, alice: Node) -> tuple[InviteSession, Request]:
    carrier = network.node("carrier", "192.0.2.7")
    session = alice.call(carrier, credentials=LOGIN)
    network.nodes.pop(carrier.address)
    return session, last(alice)


def last(node: Node, method: str = "") -> Request:
    found = [each for each in node.sent if isinstance(each, Request) and method in ("", each.method)]
    return found[-1]


def credentials(request: Request) -> list[str]:
    return request.raw("Authorization") + request.raw("Proxy-Authorization")


@pytest.mark.parametrize("status", [401, 407])
@pytest.mark.parametrize("stranger", [STRANGER, Flow("TCP", ("192.0.2.1", 5060), ("192.0.2.66", 999), 9)])
def test_a_strangers_challenge_to_a_call_draws_no_digest_and_ends_nothing(
    network: Network, alice: Node, status: int, stranger: Flow
) -> None:
    session, invite = call(network, alice)
    forged = invite.reply(status, to_tag="x", headers=CHALLENGE)
    assert alice.feed(forged, stranger) == []
    assert alice.count(Ended) == 0
    alice.feed(forged, CARRIER)
    assert credentials(last(alice, "INVITE"))
    assert not session.is_over


def test_a_strangers_challenge_to_a_registration_draws_no_digest(network: Network, alice: Node) -> None:
    alice.run(
        alice.agent.request(
            method="REGISTER",
            uri="sip:192.0.2.7",
            hops=[Hop("UDP", "192.0.2.7", 5060)],
            from_="<sip:alice@example.com>",
            to="<sip:alice@example.com>",
            now=network.now,
            sent_by="192.0.2.1:5060",
            credentials=LOGIN,
        )
    )
    register = last(alice)
    assert alice.feed(register.reply(401, to_tag="x", headers=CHALLENGE), STRANGER) == []
    assert alice.count(FinalResponse) == 0
    alice.feed(register.reply(401, to_tag="x", headers=CHALLENGE), CARRIER)
    assert credentials(last(alice))


def test_one_host_written_in_two_ways_is_no_stranger(network: Network) -> None:
    node = network.node("six", "2001:db8::1")
    hop = Hop("UDP", "2001:DB8:0:0::7", 5060)
    node.run(
        node.agent.invite(
            uri="sip:x@[2001:db8::7]",
            hops=[hop],
            from_="<sip:six@example.com>",
            to="<sip:x@example.com>",
            contact="<sip:six@[2001:db8::1]>",
            body=b"offer",
            now=network.now,
            sent_by="[2001:db8::1]",
            credentials=LOGIN,
        )[1]
    )
    flow = Flow("UDP", node.address, ("2001:db8::7", 5060))
    node.feed(last(node).reply(401, to_tag="x", headers=CHALLENGE), flow)
    assert credentials(last(node, "INVITE"))


def answered_by(alice: Node, invite: Request, *headers: tuple[str, str]) -> Response:
    """The carrier asks for the password, and then a callee behind it accepts."""
    alice.feed(invite.reply(401, to_tag="x", headers=CHALLENGE), CARRIER)
    answer = last(alice, "INVITE").reply(200, to_tag="far", headers=headers, body=b"answer")
    alice.feed(answer, CARRIER)
    assert alice.count(Established) == 1
    return answer


@pytest.mark.parametrize(
    "headers",
    [
        [("Contact", "<sip:x@192.0.2.66>"), ("Record-Route", "<sip:192.0.2.66;lr>")],
        [("Contact", "<sip:x@192.0.2.66>"), ("Record-Route", "<sip:192.0.2.66>")],
    ],
)
def test_whom_the_far_end_names_gets_no_digest(
    network: Network, alice: Node, headers: list[tuple[str, str]]
) -> None:
    session, invite = call(network, alice)
    answered_by(alice, invite, *headers)
    assert alice.hops[-1].host == "192.0.2.66"
    assert not credentials(last(alice, "ACK"))
    alice.run(session.info(b"5", "text/plain", network.now))
    info = last(alice, "INFO")
    assert not credentials(info)
    assert alice.feed(info.reply(401, headers=CHALLENGE), STRANGER) == []
    assert alice.all(InfoAnswered) == [InfoAnswered(session, 401)]


def test_the_carrier_itself_gets_it_in_the_dialog_too(network: Network, alice: Node) -> None:
    session, invite = call(network, alice)
    answered_by(alice, invite, ("Contact", "<sip:x@192.0.2.66>"), ("Record-Route", "<sip:192.0.2.7;lr>"))
    assert credentials(last(alice, "ACK"))  # RFC 3261 section 22.1
    alice.run(session.hangup(network.now))
    assert credentials(last(alice, "BYE"))


def test_a_losing_fork_elsewhere_gets_no_digest(network: Network, alice: Node) -> None:
    _, invite = call(network, alice)
    answered_by(alice, invite, ("Contact", "<sip:x@192.0.2.7>"))
    other = last(alice, "INVITE").reply(
        200,
        to_tag="another",
        headers=[("Contact", "<sip:x@192.0.2.66>"), ("Record-Route", "<sip:192.0.2.66;lr>")],
    )
    ack, bye = alice.feed(other, CARRIER)
    assert isinstance(ack, Request)
    assert isinstance(bye, Request)
    assert (ack.method, bye.method) == ("ACK", "BYE")
    assert not credentials(ack) + credentials(bye)


def up(network: Network, alice: Node) -> InviteSession:
    """A call that alice took and that stands."""
    alice.answering(lambda session, request: session.answer(b"answer", network.now))
    alice.feed(make_request("INVITE", branch="z9hG4bK1", body=b"offer"))
    session = alice.sessions[0]
    alice.feed(make_request("ACK", branch="z9hG4bKack", to_tag=session.dialog.local_tag))
    assert alice.count(Confirmed) == 1
    return session


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "REFER", "NOTIFY", "PRACK", "OPTIONS"])
@pytest.mark.parametrize("wrong", ["to_tag", "from_tag", "call_id"])
def test_a_request_with_one_part_of_the_dialog_wrong_gets_481(
    network: Network, alice: Node, method: str, wrong: str
) -> None:
    session = up(network, alice)
    right = {"to_tag": session.dialog.local_tag, "from_tag": "far", "call_id": session.call_id}
    guessed = right | {wrong: "guessed"}
    before = list(alice.seen)
    (reply,) = alice.feed(make_request(method, branch="z9hG4bKforged", cseq=9, body=b"x", **guessed))
    assert isinstance(reply, Response)
    assert reply.status == 481 or (method in ("REFER", "NOTIFY", "PRACK") and reply.status == 405)
    assert alice.seen == before


@pytest.mark.parametrize("wrong", [{"call_id": "guessed"}, {"from_tag": "guessed"}, {"cseq": 2}])
def test_a_cancel_with_the_branch_alone_cancels_nothing(
    network: Network, alice: Node, wrong: dict[str, str | int]
) -> None:
    alice.answering(lambda session, request: session.progress(180, network.now))
    alice.feed(make_request("INVITE", branch="z9hG4bK0001", body=b"offer"))
    (reply,) = alice.feed(make_request("CANCEL", branch="z9hG4bK0001", **wrong))  # type: ignore[arg-type]
    assert isinstance(reply, Response)
    assert reply.status == 481
    assert alice.count(Ended) == 0
    alice.feed(make_request("CANCEL", branch="z9hG4bK0001"))
    assert alice.endings(alice.sessions[0]) == ["cancelled"]


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "BYE", "FOO"])
def test_an_answer_to_a_stranger_goes_to_nobody_else(network: Network, alice: Node, method: str) -> None:
    alice.on[Incoming] = lambda effect: alice.agent.reply_statelessly(effect.request, effect.flow, 407)
    request = make_request(method, via="192.0.2.99;maddr=192.0.2.55")
    alice.feed(request, STRANGER)
    assert alice.hops[-1].host == STRANGER.remote[0]
