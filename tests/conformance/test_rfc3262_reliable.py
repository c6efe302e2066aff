"""RFC 3262 by clause: provisional answers that are acknowledged, as callee and as caller."""

from __future__ import annotations

import pytest
from unit.sip.virtual_network import Network, Node, line, make_request, network

from ringback.sip.effects import (
    Confirmed,
    Effect,
    Ended,
    Established,
    Incoming,
    Reanswered,
    Reoffered,
    Ringing,
)
from ringback.sip.limits import MAX_RELIABLE_QUEUE
from ringback.sip.message import Request, Response
from ringback.sip.session import InviteSession

__all__ = ["network"]

RELIABLE = {"extensions": ["100rel"]}


@pytest.fixture
def bob(network: Network) -> Node:
    node = network.node("bob", "192.0.2.2", **RELIABLE)
    node.answering(lambda session, request: [])
    return node


@pytest.fixture
def alice(network: Network) -> Node:
    return network.node("alice", "192.0.2.1", **RELIABLE)


class Nobody:
    name = "nobody"
    address = ("192.0.2.200", 5060)


NOBODY: Node = Nobody()  # type: ignore[assignment]


def invited(bob: Node, field: str = "Supported", body: bytes = b"offer") -> InviteSession:
    bob.feed(make_request("INVITE", headers=[(field, "100rel")], body=body))
    return bob.sessions[-1]


def ring(bob: Node, status: int = 183, body: bytes = b"answer") -> Response:
    bob.run(bob.sessions[-1].progress(status, bob.network.now, body=body))
    response = bob.sent[-1]
    assert isinstance(response, Response)
    return response


def prack(bob: Node, ringing: Response, number: int = 2, body: bytes = b"", rack: str = "") -> list[str]:
    headers = [("RAck", rack or f"{ringing.get('RSeq')} 1 INVITE")]
    request = make_request(
        "PRACK",
        branch=f"z9hG4bKp{number}",
        to_tag=ringing.to.tag or "",
        cseq=number,
        headers=headers,
        body=body,
    )
    return [line(each) for each in bob.feed(request)]


# -- 3 as callee


def test_rfc3262_3_a_reliable_answer_requires_100rel_and_has_an_rseq(bob: Node) -> None:
    invited(bob)
    response = ring(bob)
    assert response.all("Require") == ["100rel"]
    assert 1 <= int(response.get("RSeq") or "") < 2**31
    assert response.body == b"answer"
    assert len(response.contacts) == 1  # it makes an early dialog


def test_rfc3262_3_without_early_media_the_caller_decides(bob: Node) -> None:
    invited(bob)
    assert ring(bob, 180, b"").get("RSeq") is None


def test_rfc3262_3_what_is_required_is_always_reliable(bob: Node) -> None:
    invited(bob, "Require")
    assert ring(bob, 180, b"").get("RSeq")


def test_rfc3262_3_100_is_never_reliable(bob: Node) -> None:
    invited(bob, "Require")
    assert isinstance(bob.sent[0], Response) and bob.sent[0].status == 100
    assert bob.sent[0].get("RSeq") is None


def test_rfc3262_3_nothing_is_reliable_for_who_does_not_know_it(bob: Node) -> None:
    bob.feed(make_request("INVITE", body=b"offer"))
    assert ring(bob).get("Require") is None


def test_rfc3262_3_it_is_repeated_with_growing_intervals_and_no_cap(network: Network, bob: Node) -> None:
    invited(bob)
    ring(bob)
    network.run(31.0)
    assert bob.times("183 INVITE") == [0, 0.5, 1.5, 3.5, 7.5, 15.5]


def test_rfc3262_3_without_a_prack_the_invite_is_refused_after_64_t1(network: Network, bob: Node) -> None:
    session = invited(bob)
    ring(bob)
    network.run(33.0)
    assert bob.trace.count("504 INVITE") >= 1
    assert bob.endings(session) == ["timeout"]


def test_rfc3262_3_a_prack_is_answered_and_stops_the_repeats(network: Network, bob: Node) -> None:
    invited(bob)
    response = ring(bob)
    assert prack(bob, response) == ["200 PRACK"]
    network.run(20.0)
    assert bob.trace.count("183 INVITE") == 1


@pytest.mark.parametrize("wrong", ["{rseq} 2 INVITE", "{other} 1 INVITE", "{rseq} 1 BYE"])
def test_rfc3262_3_a_prack_that_matches_nothing_gets_481(bob: Node, wrong: str) -> None:
    invited(bob)
    response = ring(bob)
    rseq = int(response.get("RSeq") or "")
    assert prack(bob, response, rack=wrong.format(rseq=rseq, other=rseq + 1)) == ["481 PRACK"]


def test_rfc3262_3_a_prack_without_a_readable_rack_gets_400(bob: Node) -> None:
    invited(bob)
    assert prack(bob, ring(bob), rack="1 x INVITE") == ["400 PRACK"]


def test_rfc3262_3_the_next_one_waits_for_the_prack_and_counts_by_one(bob: Node) -> None:
    invited(bob, "Require")
    first = ring(bob, 180, b"")
    bob.run(bob.sessions[0].progress(183, bob.network.now, body=b"answer"))
    assert bob.trace == ["100 INVITE", "180 INVITE"]
    prack(bob, first)
    second = bob.sent[-1]
    assert isinstance(second, Response) and second.status == 183
    assert int(second.get("RSeq") or "") == int(first.get("RSeq") or "") + 1
    assert prack(bob, second, 3) == ["200 PRACK"]


def test_rfc3262_3_those_that_wait_keep_their_order_and_are_no_more_than_their_bound(bob: Node) -> None:
    invited(bob, "Require")
    first = ring(bob, 180, b"")
    statuses = [181, 182, 183, 184, 185, 186, 187, 188, 189]
    for status in statuses:
        bob.run(bob.sessions[0].progress(status, bob.network.now))
    waiting, heard = first, []
    for number in range(2, 2 + MAX_RELIABLE_QUEUE):
        prack(bob, waiting, number)
        last = bob.sent[-1]
        assert isinstance(last, Response)
        waiting, heard = last, [*heard, last.status]
    assert heard == statuses[:MAX_RELIABLE_QUEUE]
    assert prack(bob, waiting, 99) == ["200 PRACK"]  # the ninth was left out


def test_rfc3262_3_a_2xx_waits_while_sdp_is_not_acknowledged(network: Network, bob: Node) -> None:
    session = invited(bob)
    response = ring(bob)
    bob.run(session.answer(b"answer", network.now))
    network.run(0.2)
    assert "200 INVITE" not in bob.trace
    assert prack(bob, response) == ["200 PRACK", "200 INVITE"]
    assert bob.sent[-1].body == b""  # the answer is given for good: RFC 3261 13.2.1, RFC 6337 3.1


def test_rfc3262_3_a_2xx_does_not_wait_for_one_without_sdp(network: Network, bob: Node) -> None:
    session = invited(bob, "Require")
    response = ring(bob, 180, b"")
    bob.run(session.answer(b"answer", network.now))
    assert bob.trace[-1] == "200 INVITE"
    assert bob.sent[-1].body == b"answer"
    assert prack(bob, response) == ["200 PRACK"]  # it may still come
    network.run(0.4)
    assert bob.trace.count("180 INVITE") == 1


def test_rfc3262_3_a_refusal_does_not_wait(network: Network, bob: Node) -> None:
    session = invited(bob)
    ring(bob)
    bob.run(session.reject(486, network.now))
    network.run(3.0)
    assert bob.trace.count("183 INVITE") == 1


def test_rfc3262_3_cancel_and_hangup_find_the_2xx_that_waits(network: Network, bob: Node) -> None:
    session = invited(bob)
    ring(bob)
    bob.run(session.answer(b"answer", network.now))
    bob.feed(make_request("CANCEL"))
    assert bob.trace[-2:] == ["200 CANCEL", "487 INVITE"]
    assert bob.endings(session) == ["cancelled"]
    session = invited_again(bob)
    ring(bob)
    bob.run(session.answer(b"answer", network.now))
    bob.run(session.hangup(network.now))
    assert bob.trace[-1] == "603 INVITE"


def invited_again(bob: Node) -> InviteSession:
    bob.feed(
        make_request(
            "INVITE",
            branch="z9hG4bKagain",
            call_id="again",
            headers=[("Supported", "100rel")],
            body=b"offer",
        )
    )
    return bob.sessions[-1]


def test_rfc3262_3_it_is_sent_anew_every_minute_for_the_proxies(network: Network, bob: Node) -> None:
    invited(bob)
    first = ring(bob)
    prack(bob, first)
    network.run(61.0)
    again = [each for each in bob.sent if each.get("RSeq")][1]
    assert int(again.get("RSeq") or "") == int(first.get("RSeq") or "") + 1


# -- 5 offers and answers


def test_rfc3262_5_an_offerless_invite_gets_its_offer_in_the_first_reliable_answer(
    network: Network, bob: Node
) -> None:
    session = invited(bob, "Require", b"")
    assert session.needs_early_offer
    response = ring(bob, 180, b"our offer")
    assert response.body == b"our offer"
    prack(bob, response, body=b"their answer")
    assert bob.all(Reanswered) == [Reanswered(session, b"their answer")]
    bob.run(session.answer(b"our offer", network.now))
    assert bob.sent[-1].body == b""
    bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=response.to.tag or ""))
    assert bob.all(Confirmed) == [Confirmed(session, b"")]


def test_rfc3262_5_a_prack_may_carry_the_next_offer(network: Network, bob: Node) -> None:
    session = invited(bob)
    assert prack(bob, ring(bob), body=b"another offer") == []
    (reoffered,) = bob.all(Reoffered)
    assert (reoffered.body, reoffered.request.method) == (b"another offer", "PRACK")
    bob.run(session.accept_reoffer(b"another answer", network.now))
    assert line(bob.sent[-1]) == "200 PRACK"
    assert bob.sent[-1].body == b"another answer"


# -- 4 as caller


def calling(alice: Node, body: bytes = b"offer") -> InviteSession:
    return alice.call(NOBODY, body)


def rings(
    alice: Node, rseq: int, tag: str = "theirs", status: int = 183, body: bytes = b"answer"
) -> list[str]:
    invite = next(each for each in alice.sent if isinstance(each, Request))
    response = invite.reply(
        status,
        to_tag=tag,
        headers=[("Contact", "<sip:nobody@192.0.2.200>"), ("Require", "100rel"), ("RSeq", str(rseq))],
        body=body,
        content_type="application/sdp" if body else None,
    )
    return [line(each) for each in alice.feed(response)]


def test_rfc3262_4_an_invite_says_that_it_supports_100rel(alice: Node) -> None:
    calling(alice)
    assert "100rel" in alice.sent[0].tokens("Supported")
    assert "PRACK" in alice.sent[0].all("Allow")


def test_rfc3262_4_a_reliable_answer_is_acknowledged_in_its_early_dialog(alice: Node) -> None:
    calling(alice)
    assert rings(alice, 776656) == ["PRACK"]
    sent = alice.sent[-1]
    assert isinstance(sent, Request)
    assert sent.get("RAck") == "776656 1 INVITE"
    assert sent.raw_uri == "sip:nobody@192.0.2.200"
    assert (sent.to.tag, sent.cseq) == ("theirs", (2, "PRACK"))
    assert [each.body for each in alice.all(Ringing)] == [b"answer"]


def test_rfc3262_4_copies_and_gaps_are_not_processed(alice: Node) -> None:
    calling(alice)
    rings(alice, 10)
    assert rings(alice, 10) == []
    assert rings(alice, 12) == []
    assert rings(alice, 11, status=180, body=b"") == ["PRACK"]
    assert [each.response.status for each in alice.all(Ringing)] == [183, 180]


def test_rfc3262_4_each_branch_of_a_fork_counts_for_itself(alice: Node) -> None:
    calling(alice)
    assert rings(alice, 10, "one") == ["PRACK"]
    assert rings(alice, 500, "two") == ["PRACK"]
    assert rings(alice, 11, "one", 180, b"") == ["PRACK"]
    assert [each.to.tag for each in alice.sent if line(each) == "PRACK"] == ["one", "two", "one"]


def test_rfc3262_5_the_reliable_answer_stands_when_the_2xx_has_none(alice: Node) -> None:
    session = calling(alice)
    rings(alice, 10)
    invite = alice.sent[0]
    assert isinstance(invite, Request)
    ok = invite.reply(200, to_tag="theirs", headers=[("Contact", "<sip:nobody@192.0.2.200>")])
    assert [line(each) for each in alice.feed(ok)] == ["ACK"]
    assert session.is_confirmed
    assert [each.body for each in alice.all(Established)] == [b"answer"]


def test_rfc3262_5_an_offer_in_a_reliable_answer_is_answered_in_the_prack(alice: Node) -> None:
    session = calling(alice, b"")
    assert rings(alice, 10, body=b"their offer") == []
    alice.run(session.ack(b"our answer", alice.network.now))
    assert line(alice.sent[-1]) == "PRACK"
    assert alice.sent[-1].body == b"our answer"


def test_rfc3262_4_a_lost_prack_is_repeated_and_the_call_lives(
    network: Network, alice: Node, bob: Node
) -> None:
    def react(session: InviteSession, request: Request) -> list[Effect]:
        return session.progress(183, network.now, body=b"answer") + session.answer(b"answer", network.now)

    bob.answering(react)
    dropped: list[bytes] = []

    def weather(data: bytes) -> tuple[float, ...]:
        if data.startswith(b"PRACK") and len(dropped) < 2:
            dropped.append(data)
            return ()
        return (0.01,)

    network.weather = weather
    session = alice.call(bob)
    network.run(5.0)
    assert session.is_confirmed and bob.sessions[-1].is_confirmed
    alice.run(session.hangup(network.now))
    network.run()
    assert [each.cause for each in bob.all(Ended)] == ["bye"]
    network.assert_idle()


def test_rfc3262_3_require_100rel_is_refused_by_who_does_not_know_it(network: Network) -> None:
    plain = network.node("plain", "192.0.2.3")
    (refusal,) = plain.feed(make_request("INVITE", uri="sip:bob@192.0.2.3", headers=[("Require", "100rel")]))
    assert line(refusal) == "420 INVITE"
    assert plain.count(Incoming) == 0
