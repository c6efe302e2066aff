"""The agent: what it refuses itself, hops, forks, credentials, requests outside dialogs."""

from __future__ import annotations

import pytest
from unit.sip.virtual_network import Network, Node, alice, bob, line, make_request, network

from ringback.sip.authenticator import Authenticator, Outcome
from ringback.sip.authorization import Login
from ringback.sip.digest import ha1
from ringback.sip.effects import (
    Effect,
    Ended,
    Established,
    Failed,
    FinalResponse,
    Incoming,
    InfoAnswered,
    Reoffered,
    Ringing,
    Send,
)
from ringback.sip.errors import UsageError
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response, parse
from ringback.sip.session import InviteSession
from ringback.sip.timers import FORKS_MAX

__all__ = ["alice", "bob", "network"]


def answer(node: Node) -> None:
    def react(session: InviteSession, request: Request) -> list[Effect]:
        now = node.network.now
        return session.progress(180, now) + session.answer(b"answer", now)

    node.answering(react)


def statuses(messages: list[Request | Response]) -> list[int]:
    return [message.status for message in messages if isinstance(message, Response)]


# -- what needs no state


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER"])
def test_unmatched_requests_are_given_on_and_make_no_state(bob: Node, method: str) -> None:
    assert bob.feed(make_request(method)) == []
    (incoming,) = bob.all(Incoming)
    assert incoming.request.method == method
    assert bob.agent.is_idle


def test_source_address_is_stamped_into_the_via(bob: Node) -> None:
    request = make_request("OPTIONS", via="10.0.0.1:5070")
    request.set("Via", request.get("Via") + ";rport")
    bob.feed(request, Flow("UDP", bob.address, ("198.51.100.7", 41000)))
    via = bob.all(Incoming)[0].request.via
    assert (via.received, via.rport) == ("198.51.100.7", 41000)


def test_a_stateless_reply_is_the_same_for_each_copy(network: Network, bob: Node) -> None:
    request = make_request("INVITE")
    flow = Flow("UDP", bob.address, ("192.0.2.99", 5060))
    first, second = (
        bob.agent.reply_statelessly(request, flow, 407, headers=[("Proxy-Authenticate", "Digest x")])
        for _ in range(2)
    )
    assert [each.data for each in first] == [each.data for each in second]
    (send,) = first
    assert isinstance(send, Send)
    response = parse(send.data)
    assert isinstance(response, Response)
    assert (response.status, response.get("Proxy-Authenticate")) == (407, "Digest x")
    assert response.to.tag
    assert bob.agent.is_idle
    other = bob.agent.reply_statelessly(make_request("INVITE", branch="z9hG4bKx"), flow, 407)
    assert parse(other[0].data).to.tag != response.to.tag


def test_an_ack_is_never_answered(bob: Node) -> None:
    flow = Flow("UDP", bob.address, ("192.0.2.99", 5060))
    assert bob.agent.reply_statelessly(make_request("ACK"), flow, 400) == []
    assert bob.feed(make_request("ACK", to_tag="nobody")) == []
    assert bob.seen == []


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "INVITE", "OPTIONS", "NOTIFY"])
def test_rfc3261_12_2_2_an_unknown_dialog_gets_481(bob: Node, method: str) -> None:
    assert statuses(bob.feed(make_request(method, to_tag="unknown"))) == [481]
    assert bob.seen == []
    assert bob.agent.is_idle


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "PRACK", "CANCEL"])
def test_481_for_requests_that_only_a_dialog_or_transaction_has(bob: Node, method: str) -> None:
    assert statuses(bob.feed(make_request(method))) == [481]


@pytest.mark.parametrize(
    ("method", "status"), [("SUBSCRIBE", 489), ("MESSAGE", 405), ("REFER", 405), ("DANCE", 501)]
)
def test_rfc3261_8_2_1_methods_that_are_not_served(bob: Node, method: str, status: int) -> None:
    (response,) = bob.feed(make_request(method))
    assert statuses([response]) == [status]
    assert response.tokens("Allow") == {
        "invite", "ack", "cancel", "bye", "options", "info", "update", "register",
    }  # fmt: skip


def test_rfc3261_8_2_2_3_a_420_names_the_extensions(bob: Node) -> None:
    (response,) = bob.feed(make_request("INVITE", headers=[("Require", "100rel, foo"), ("Require", "bar")]))
    assert statuses([response]) == [420]
    assert response.all("Unsupported") == ["100rel", "foo", "bar"]
    assert bob.seen == []


def test_rfc3261_8_2_2_3_require_says_nothing_in_ack_and_cancel(network: Network, bob: Node) -> None:
    answer(bob)
    unknown = [("Require", "foo")]
    bob.feed(make_request("INVITE", body=b"offer"))
    tag = bob.sent[-1].to.tag or ""
    assert bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=tag, headers=unknown)) == []
    assert bob.sessions[0].is_confirmed
    bob.answering(lambda session, request: session.progress(180, network.now))
    bob.feed(make_request("INVITE", branch="z9hG4bKnext", call_id="next", body=b"offer"))
    cancel = make_request("CANCEL", branch="z9hG4bKnext", call_id="next", headers=unknown)
    assert statuses(bob.feed(cancel)) == [200, 487]


@pytest.mark.parametrize(("status", "kind"), [(184, Ringing), (299, Established), (399, Ended), (699, Ended)])
def test_rfc3261_8_1_3_2_a_status_that_is_not_known_counts_as_its_class(
    alice: Node, bob: Node, status: int, kind: type
) -> None:
    alice.call(bob)
    invite = alice.sent[0]
    assert isinstance(invite, Request)
    answered = invite.reply(status, to_tag="t", headers=[("Contact", "<sip:bob@192.0.2.2>")], body=b"answer")
    sent = alice.feed(answered)
    assert [line(each) for each in sent] == ([] if status < 200 else ["ACK"])
    (effect,) = alice.all(kind)
    if kind is Ended:
        assert effect.status == status


def test_rfc3261_8_2_2_3_a_known_extension_may_be_required(network: Network) -> None:
    node = network.node("edge", "192.0.2.3", extensions=["path"])
    assert node.feed(make_request("REGISTER", headers=[("Require", "Path")])) == []
    assert node.count(Incoming) == 1


def test_rfc3261_8_2_3_an_offer_that_is_no_sdp_gets_415(bob: Node) -> None:
    headers = [("Content-Type", "text/plain")]
    (response,) = bob.feed(make_request("INVITE", headers=headers, body=b"hello"))
    assert statuses([response]) == [415]
    assert response.get("Accept") == "application/sdp, multipart/*"
    (response,) = bob.feed(make_request("INVITE", headers=[("Content-Encoding", "gzip")], body=b"hello"))
    assert statuses([response]) == [415]


def test_rfc3261_8_2_2_1_a_scheme_that_is_not_sip_gets_416(bob: Node) -> None:
    assert statuses(bob.feed(make_request("INVITE", uri="mailto:bob@example.com"))) == [416]
    assert bob.feed(make_request("INVITE", uri="tel:+14155550100")) == []


def test_rfc3261_16_3_an_invite_that_may_not_be_passed_on_gets_483(network: Network, bob: Node) -> None:
    request = make_request("INVITE")
    request.set("Max-Forwards", "0")
    assert statuses(bob.feed(request)) == [483]
    phone = network.node("phone", "192.0.2.4", forwards=False)
    assert phone.feed(request) == []
    options = make_request("OPTIONS")
    options.set("Max-Forwards", "0")  # RFC 4475 section 3.4.1: the last one answers it all the same
    assert bob.feed(options) == []


def test_rfc3261_8_2_2_2_a_merged_request_gets_482(network: Network, bob: Node) -> None:
    bob.answering(lambda session, request: session.progress(180, network.now))
    bob.feed(make_request("INVITE"))
    assert statuses(bob.feed(make_request("INVITE", branch="z9hG4bKother"))) == [482]
    assert len(bob.sessions) == 1
    assert bob.feed(make_request("INVITE", branch="z9hG4bKthird", cseq=2)) != []


@pytest.mark.parametrize("contact", ["<sip:a@192.0.2.9>, <sip:b@192.0.2.9>", "<mailto:a@example.com>", "*"])
def test_rfc3261_8_1_1_8_an_invite_that_can_make_no_dialog_gets_400(bob: Node, contact: str) -> None:
    request = make_request("INVITE", headers=[("Contact", contact)])
    assert statuses(bob.feed(request)) == [400]
    assert bob.seen == []


@pytest.mark.parametrize("accept", ["text/plain", ""])
def test_rfc3261_21_4_7_a_caller_that_cannot_read_our_answer_gets_406(
    network: Network, bob: Node, accept: str
) -> None:
    headers = [("Accept", accept)]
    assert statuses(bob.feed(make_request("INVITE", headers=headers))) == [406]
    tag = dialog(bob)
    again = make_request("INVITE", branch="z9hG4bKagain", to_tag=tag, cseq=2, headers=headers, body=b"hold")
    assert statuses(bob.feed(again)) == [406]
    assert bob.count(Reoffered) == 0 and bob.sessions[0].is_confirmed


def test_a_caller_that_can_read_sdp_among_others(bob: Node) -> None:
    for accept in ("application/sdp, text/plain", "*/*", "application/*;q=0.5"):
        assert bob.feed(make_request("INVITE", headers=[("Accept", accept)])) == []


def test_rfc3261_8_1_1_missing_fields_get_400(bob: Node) -> None:
    request = make_request("OPTIONS")
    request.remove("Call-ID")
    assert statuses(bob.feed(request)) == [400]


def test_what_has_no_way_back_is_dropped(bob: Node) -> None:
    request = make_request("OPTIONS")
    request.remove("Via")
    assert bob.feed(request) == []


def test_503_when_there_are_too_many_transactions(bob: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    tag = dialog(bob)
    monkeypatch.setattr("ringback.sip.dispatch.TRANSACTIONS_MAX", len(bob.agent.tables.servers))
    (response,) = bob.feed(make_request("INFO", branch="z9hG4bKi", to_tag=tag, cseq=2))
    assert statuses([response]) == [503]
    assert response.get("Retry-After") == "32"
    assert statuses(bob.feed(make_request("BYE", branch="z9hG4bKb", to_tag=tag, cseq=3))) == [200]


# -- transactions taken by hand


def test_the_first_final_answer_to_a_request_holds(network: Network, bob: Node) -> None:
    request = make_request("REGISTER")
    bob.feed(request)
    incoming = bob.all(Incoming)[0]
    respond = bob.serve(incoming)
    with pytest.raises(UsageError):
        bob.serve(incoming)
    respond(incoming.request.reply(200, to_tag="t"))
    respond(incoming.request.reply(500, to_tag="t"))
    assert bob.trace == ["200 REGISTER"]
    assert statuses(bob.feed(request)) == [200]
    network.run()
    network.assert_idle()


def test_rfc3261_9_2_a_cancelled_invite_is_answered_487(network: Network, bob: Node) -> None:
    bob.feed(make_request("INVITE"))
    incoming = bob.all(Incoming)[0]
    respond = bob.serve(incoming)
    assert statuses(bob.feed(make_request("CANCEL"))) == [200, 487]
    respond(incoming.request.reply(200))
    assert bob.trace == ["200 CANCEL", "487 INVITE"]
    bob.feed(make_request("ACK", to_tag=bob.sent[-1].to.tag or ""))
    network.run()
    network.assert_idle()


def test_only_an_invite_makes_a_session(network: Network, bob: Node) -> None:
    flow = Flow("UDP", bob.address, ("192.0.2.99", 5060))
    with pytest.raises(UsageError):
        bob.agent.accept(make_request("OPTIONS"), flow, network.now, contact="<sip:bob@192.0.2.2>")


def test_rfc3261_9_2_cancel_and_its_invite_get_the_same_tag(network: Network, bob: Node) -> None:
    bob.answering(lambda session, request: session.progress(180, network.now))
    bob.feed(make_request("INVITE"))
    ok, terminated = bob.feed(make_request("CANCEL"))
    assert statuses([ok, terminated]) == [200, 487]
    assert ok.to.tag == terminated.to.tag == bob.sent[1].to.tag


def test_rfc3261_9_2_cancel_after_the_final_answer_changes_nothing(network: Network, bob: Node) -> None:
    answer(bob)
    bob.feed(make_request("INVITE", body=b"offer"))
    assert statuses(bob.feed(make_request("CANCEL"))) == [200]
    assert bob.count(Ended) == 0


# -- inside dialogs


def dialog(bob: Node) -> str:
    answer(bob)
    bob.feed(make_request("INVITE", body=b"offer"))
    tag = bob.sent[-1].to.tag or ""
    bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=tag))
    return tag


@pytest.mark.parametrize("method", ["OPTIONS", "BYE"])
def test_a_body_that_nobody_needs_is_passed_over(bob: Node, method: str) -> None:
    tag = dialog(bob)
    fields = [("Content-Type", "application/isup"), ("Content-Disposition", "signal;handling=required")]
    request = make_request(method, branch="z9hG4bK2", to_tag=tag, cseq=2, headers=fields, body=b"\x10")
    assert statuses(bob.feed(request)) == [200]


def test_rfc3261_12_2_2_a_request_out_of_order_gets_500(bob: Node) -> None:
    tag = dialog(bob)
    assert statuses(bob.feed(make_request("INFO", branch="z9hG4bK5", to_tag=tag, cseq=5))) == [200]
    assert statuses(bob.feed(make_request("INFO", branch="z9hG4bK4", to_tag=tag, cseq=4))) == [500]
    assert statuses(bob.feed(make_request("INFO", branch="z9hG4bK6", to_tag=tag, cseq=5))) == [500]
    assert statuses(bob.feed(make_request("INFO", branch="z9hG4bK7", to_tag=tag, cseq=90))) == [200]


def test_rfc3261_12_another_from_tag_or_call_id_is_another_dialog(bob: Node) -> None:
    tag = dialog(bob)
    assert statuses(bob.feed(make_request("BYE", branch="z9hG4bK1", to_tag=tag, from_tag="x", cseq=2))) == [
        481
    ]
    assert statuses(bob.feed(make_request("BYE", branch="z9hG4bK2", to_tag=tag, call_id="x", cseq=2))) == [
        481
    ]
    assert bob.count(Ended) == 0


@pytest.mark.parametrize(
    ("method", "status"),
    [("OPTIONS", 200), ("UPDATE", 200), ("MESSAGE", 405), ("REFER", 405), ("PRACK", 481), ("NOTIFY", 481), ("DANCE", 501)],
)  # fmt: skip
def test_methods_inside_a_dialog(bob: Node, method: str, status: int) -> None:
    tag = dialog(bob)
    (response,) = bob.feed(make_request(method, branch="z9hG4bKm", to_tag=tag, cseq=2))
    assert statuses([response]) == [status]
    assert (response.get("Allow") is not None) == (status not in (481,))
    assert bob.count(Ended) == 0


def test_update_with_an_offer(network: Network, bob: Node) -> None:
    tag = dialog(bob)
    assert bob.feed(make_request("UPDATE", branch="z9hG4bKu", to_tag=tag, cseq=2, body=b"hold")) == []
    # RFC 3311 section 5.2: another offer before the answer is refused 500 with Retry-After
    (busy,) = bob.feed(make_request("UPDATE", branch="z9hG4bKv", to_tag=tag, cseq=3, body=b"hold"))
    assert statuses([busy]) == [500]
    assert 0 <= int(busy.get("Retry-After") or "-1") <= 10
    before = len(bob.sent)
    bob.run(bob.sessions[0].accept_reoffer(b"held", network.now))
    (response,) = bob.sent[before:]
    assert statuses([response]) == [200]
    assert (response.body, response.get("Contact")) == (b"held", "<sip:bob@192.0.2.2>")
    network.run(60)
    assert bob.count(Ended) == 0


def test_update_with_an_offer_before_the_answer_waits(network: Network, bob: Node) -> None:
    bob.answering(lambda session, request: session.progress(180, network.now))
    bob.feed(make_request("INVITE", body=b"offer"))
    tag = bob.sent[-1].to.tag or ""
    update = make_request("UPDATE", branch="z9hG4bKu", to_tag=tag, cseq=2, body=b"offer 2")
    assert statuses(bob.feed(update)) == [500]


def test_rfc3261_15_1_2_bye_before_the_answer_ends_the_invite_487(network: Network, bob: Node) -> None:
    bob.answering(lambda session, request: session.progress(180, network.now))
    bob.feed(make_request("INVITE", body=b"offer"))
    tag = bob.sent[-1].to.tag or ""
    sent = bob.feed(make_request("BYE", branch="z9hG4bKb", to_tag=tag, cseq=2))
    assert [line(each) for each in sent] == ["200 BYE", "487 INVITE"]
    bob.feed(make_request("ACK", to_tag=tag))
    assert bob.endings(bob.sessions[0]) == ["bye"]
    network.run()
    network.assert_idle()


def test_a_new_offer_means_that_our_2xx_arrived(network: Network, bob: Node) -> None:
    answer(bob)
    bob.feed(make_request("INVITE", body=b"offer"))
    tag = bob.sent[-1].to.tag or ""
    bob.feed(make_request("INVITE", branch="z9hG4bKre", to_tag=tag, cseq=2, body=b"offer 2"))
    names = [type(each).__name__ for each in bob.seen]
    assert names == ["Incoming", "Confirmed", "Reoffered"]
    bob.run(bob.sessions[0].accept_reoffer(b"x", network.now))
    bob.feed(make_request("ACK", branch="z9hG4bKa", to_tag=tag, cseq=2))
    network.run(40)
    assert bob.count(Ended) == 0


# -- hops


def two_hops(alice: Node, first: str = "192.0.2.50") -> InviteSession:
    hops = [Hop("UDP", first, 5060), Hop("UDP", "192.0.2.2", 5060)]
    return alice.call(alice.network.nodes["192.0.2.2", 5060], hops=hops)


def test_the_next_hop_is_tried_after_silence(network: Network, alice: Node, bob: Node) -> None:
    answer(bob)
    session = two_hops(alice)
    network.run(5)
    assert alice.count(Established) == 1
    first, *_, last = [each for each in alice.sent if each.cseq.method == "INVITE"]
    assert first.via.branch != last.via.branch
    assert first.call_id == last.call_id
    alice.run(session.hangup(network.now))
    network.run()
    assert alice.endings(session) == ["local"]
    network.assert_idle()


def test_the_next_hop_is_tried_at_once_when_one_is_unreachable(
    network: Network, alice: Node, bob: Node
) -> None:
    answer(bob)
    network.unreachable.add(("192.0.2.50", 5060))
    two_hops(alice)
    network.run(0.2)
    assert alice.count(Established) == 1


def test_the_next_hop_is_tried_after_503(network: Network, alice: Node, bob: Node) -> None:
    answer(bob)
    busy = network.node("busy", "192.0.2.50")
    busy.answering(lambda session, request: session.reject(503, network.now))
    session = two_hops(alice)
    network.run(1)
    assert alice.count(Established) == 1
    alice.run(session.hangup(network.now))
    network.run()
    network.assert_idle()


def test_other_refusals_try_no_other_hop(network: Network, alice: Node, bob: Node) -> None:
    answer(bob)
    busy = network.node("busy", "192.0.2.50")
    busy.answering(lambda session, request: session.reject(486, network.now))
    session = two_hops(alice)
    network.run()
    assert alice.endings(session) == ["rejected"]
    assert bob.got == []


def test_a_hop_that_wakes_up_late_is_cancelled(network: Network, alice: Node, bob: Node) -> None:
    answer(bob)
    late = network.node("late", "192.0.2.50")
    late.answering(lambda session, request: session.progress(180, network.now))
    network.weather = lambda data: (6.0,) if data.startswith(b"INVITE") and b" 70\r\n" in data else (0.01,)
    session = two_hops(alice)
    network.run(30)
    assert late.endings(late.sessions[0]) == ["cancelled"]
    assert alice.count(Ringing) == 1
    assert alice.count(Established) == 1
    network.weather = lambda data: (0.01,)
    alice.run(session.hangup(network.now))
    network.run()
    network.assert_idle()


def test_a_hop_that_answers_late_gets_ack_and_bye(network: Network, alice: Node, bob: Node) -> None:
    answer(bob)
    late = network.node("late", "192.0.2.50")
    late.answering(lambda session, request: session.answer(b"late", network.now))
    network.weather = lambda data: (6.0,) if data.startswith(b"INVITE") else (0.01,)
    session = two_hops(alice)
    network.run(30)
    assert late.endings(late.sessions[0]) == ["bye"]
    assert [each.body for each in alice.all(Established)] == [b"answer"]
    alice.run(session.hangup(network.now))
    network.run()
    network.assert_idle()


def test_all_hops_fail(network: Network, alice: Node, bob: Node) -> None:
    network.unreachable |= {("192.0.2.50", 5060), ("192.0.2.2", 5060)}
    session = two_hops(alice)
    network.run()
    assert alice.endings(session) == ["unreachable"]
    network.assert_idle()


def test_no_hop_at_all(network: Network, alice: Node, bob: Node) -> None:
    session, effects = alice.agent.invite(
        uri="sip:x@y", hops=(), from_="<sip:a@b>", to="<sip:x@y>", contact="<sip:a@b>", body=b"", now=0.0,
        sent_by="b",
    )  # fmt: skip
    assert effects == [Ended(session, "unreachable", 503, "Service Unavailable", None)]
    assert alice.agent.is_idle


def test_hangup_while_hops_are_tried(network: Network, alice: Node, bob: Node) -> None:
    answer(bob)
    session = two_hops(alice)
    alice.run(session.hangup(network.now))
    network.run()
    assert alice.endings(session) == ["cancelled"]
    assert bob.got == []
    network.assert_idle()


def test_unreachable_without_a_transaction_fails_what_is_unsent(network: Network, alice: Node) -> None:
    nobody = network.node("x", "192.0.2.200")
    del network.nodes[nobody.address]
    first, second = alice.call(nobody), alice.call(nobody)
    other = alice.call(nobody, hops=[Hop("UDP", "192.0.2.201", 5060)])
    alice.run(alice.agent.on_unreachable(Hop("UDP", "192.0.2.200", 5060), network.now))
    assert alice.endings(first) == alice.endings(second) == ["unreachable"]
    assert alice.endings(other) == []


# -- forks


def fork(alice: Node, tag: str) -> Response:
    invite = alice.sent[0]
    assert isinstance(invite, Request)
    return invite.reply(200, to_tag=tag, headers=[("Contact", f"<sip:{tag}@192.0.2.2>")], body=b"answer")


def test_rfc3261_13_2_2_4_other_2xx_of_a_fork_get_ack_and_bye(network: Network, alice: Node) -> None:
    nobody = network.node("x", "192.0.2.200")
    del network.nodes[nobody.address]
    session = alice.call(nobody)
    assert [line(each) for each in alice.feed(fork(alice, "one"))] == ["ACK"]
    ack, bye = alice.feed(fork(alice, "two"))
    assert isinstance(ack, Request)
    assert isinstance(bye, Request)
    assert [line(ack), line(bye)] == ["ACK", "BYE"]
    assert (ack.to.tag, bye.to.tag, bye.raw_uri) == ("two", "two", "sip:two@192.0.2.2")
    assert bye.cseq.number > ack.cseq.number
    assert [line(each) for each in alice.feed(fork(alice, "two"))] == ["ACK"]
    assert [line(each) for each in alice.feed(fork(alice, "one"))] == ["ACK"]
    assert alice.count(Established) == 1
    alice.feed(bye.reply(200))
    assert alice.endings(session) == []


def test_a_flood_of_forks_is_bounded(network: Network, alice: Node) -> None:
    nobody = network.node("x", "192.0.2.200")
    del network.nodes[nobody.address]
    alice.call(nobody)
    for index in range(3 * FORKS_MAX):
        alice.feed(fork(alice, f"tag{index}"))
    assert alice.trace.count("BYE") == FORKS_MAX


# -- credentials


class Gate:
    """A far end that wants credentials for every INVITE, BYE and REGISTER."""

    def __init__(self, node: Node, field: str = "WWW-Authenticate", realm: str = "sip.example") -> None:
        self.node = node
        self.field = field
        self.authenticator = Authenticator(b"k" * 32, realm)
        self.realm = realm
        self.outcomes: list[Outcome] = []
        self.stale_once = False
        node.on[Incoming] = self.on_incoming

    def on_incoming(self, effect: Incoming) -> list[Effect]:
        node = self.node
        now = node.network.now
        request = effect.request
        ours = "Authorization" if self.field[0] == "W" else "Proxy-Authorization"
        verdict = self.authenticator.check(
            request.get(ours),
            method=request.method,
            lookup=lambda user, algorithm: ha1(user, self.realm, "secret", algorithm),
            now=now,
        )
        self.outcomes.append(verdict.outcome)
        stale = self.stale_once and verdict.outcome is Outcome.OK
        if stale:
            self.stale_once = False
        if verdict.outcome is not Outcome.OK or stale:
            challenge = self.authenticator.challenge(now, stale=stale)
            status = 401 if self.field[0] == "W" else 407
            return node.agent.reply_statelessly(
                request, effect.flow, status, headers=[(self.field, challenge)]
            )
        if request.method != "INVITE":
            return node.agent.reply_statelessly(request, effect.flow, 200)
        session, effects = node.agent.accept(request, effect.flow, now, contact=node.contact)
        node.sessions.append(session)
        return effects + session.answer(b"answer", now)


@pytest.mark.parametrize("field", ["WWW-Authenticate", "Proxy-Authenticate"])
def test_rfc3261_22_2_an_invite_is_sent_again_with_credentials(
    network: Network, alice: Node, bob: Node, field: str
) -> None:
    gate = Gate(bob, field)
    session = alice.call(bob, credentials=Login("alice", "secret"))
    network.run(1)
    assert alice.count(Established) == 1
    assert gate.outcomes == [Outcome.MISSING, Outcome.OK]
    assert alice.trace == ["INVITE", "ACK", "INVITE", "ACK"]
    first, _, second, ack = alice.sent
    assert (first.cseq.number, second.cseq.number, ack.cseq.number) == (1, 2, 2)
    assert first.call_id == second.call_id
    assert first.from_.tag == second.from_.tag
    name = "Authorization" if field[0] == "W" else "Proxy-Authorization"
    assert ack.get(name) == second.get(name) is not None  # RFC 3261 section 22.1
    alice.run(session.hangup(network.now))
    network.run()
    assert bob.endings(bob.sessions[0]) == ["bye"]
    network.assert_idle()


def test_rfc3261_22_1_wrong_credentials_are_tried_once(network: Network, alice: Node, bob: Node) -> None:
    gate = Gate(bob)
    session = alice.call(bob, credentials=Login("alice", "wrong"))
    network.run()
    assert gate.outcomes == [Outcome.MISSING, Outcome.WRONG]
    (ended,) = alice.all(Ended)
    assert (ended.session, ended.cause, ended.status) == (session, "rejected", 401)
    network.assert_idle()


def test_no_credentials_no_second_try(network: Network, alice: Node, bob: Node) -> None:
    gate = Gate(bob)
    session = alice.call(bob)
    network.run()
    assert gate.outcomes == [Outcome.MISSING]
    assert alice.endings(session) == ["rejected"]
    network.assert_idle()


def test_rfc3261_22_1_a_stale_nonce_is_answered_again(network: Network, alice: Node, bob: Node) -> None:
    gate = Gate(bob)
    gate.stale_once = True
    alice.call(bob, credentials=Login("alice", "secret"))
    network.run(1)
    assert len(gate.outcomes) == 3
    assert alice.count(Established) == 1


def test_rfc3261_22_3_a_proxy_and_a_server_may_both_ask(network: Network, alice: Node) -> None:
    nobody = network.node("x", "192.0.2.99")
    del network.nodes[nobody.address]
    alice.call(nobody, credentials=Login("alice", "secret"))
    for status, field, realm in ((407, "Proxy-Authenticate", "edge"), (401, "WWW-Authenticate", "home")):
        invite = alice.sent[-1]
        assert isinstance(invite, Request)
        value = f'Digest realm="{realm}", nonce="n-{realm}", qop="auth"'
        alice.feed(invite.reply(status, to_tag="t", headers=[(field, value)]))
    last = alice.sent[-1]
    assert last.cseq.number == 3
    assert 'realm="edge"' in (last.get("Proxy-Authorization") or "")
    assert "nc=00000002" in (last.get("Proxy-Authorization") or "")
    assert 'realm="home"' in (last.get("Authorization") or "")


def test_endless_stale_challenges_are_given_up(network: Network, alice: Node) -> None:
    nobody = network.node("x", "192.0.2.99")
    del network.nodes[nobody.address]
    session = alice.call(nobody, credentials=Login("alice", "secret"))
    for index in range(20):
        invite = [each for each in alice.sent if each.cseq.method == "INVITE"][-1]
        assert isinstance(invite, Request)
        value = f'Digest realm="edge", nonce="n{index}", qop="auth", stale=true'
        alice.feed(invite.reply(401, to_tag="t", headers=[("WWW-Authenticate", value)]))
    assert alice.trace.count("INVITE") <= 6
    assert alice.endings(session) == ["rejected"]


def test_rfc3261_22_2_a_request_inside_the_dialog_may_be_challenged(network: Network, alice: Node) -> None:
    nobody = network.node("x", "192.0.2.99")
    del network.nodes[nobody.address]
    session = alice.call(nobody, credentials=Login("alice", "secret"))
    alice.feed(fork(alice, "one"))
    alice.run(session.info(b"5", "application/dtmf-relay", network.now))
    info = alice.sent[-1]
    assert isinstance(info, Request)
    challenge = [("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')]
    (again,) = alice.feed(info.reply(401, headers=challenge))
    assert isinstance(again, Request)
    assert (again.method, again.body, again.content_type) == ("INFO", b"5", "application/dtmf-relay")
    assert again.cseq.number == info.cseq.number + 1
    assert again.get("Authorization")
    assert len(again.raw("Contact")) == 0
    alice.feed(again.reply(200))
    assert alice.all(InfoAnswered) == [InfoAnswered(session, 200)]


def test_a_login_shows_no_password() -> None:
    assert "secret" not in repr(Login("alice", "secret"))


# -- requests outside dialogs


def register(node: Node, **options: object) -> None:
    values: dict = {
        "method": "REGISTER",
        "uri": "sip:192.0.2.2",
        "hops": [Hop("UDP", "192.0.2.2", 5060)],
        "from_": "<sip:alice@192.0.2.2>",
        "to": "<sip:alice@192.0.2.2>",
        "now": node.network.now,
        "sent_by": "192.0.2.1:5060",
        "contact": node.contact,
        "owner": "registration",
    }
    node.run(node.agent.request(**(values | options)))


def test_register_with_credentials(network: Network, alice: Node, bob: Node) -> None:
    gate = Gate(bob)
    register(
        alice, credentials=Login("alice", "secret"), call_id="series", cseq=7, headers=[("Expires", "600")]
    )
    network.run()
    (final,) = alice.all(FinalResponse)
    assert (final.owner, final.response.status) == ("registration", 200)
    assert gate.outcomes == [Outcome.MISSING, Outcome.OK]
    assert [each.cseq.number for each in alice.sent] == [7, 8]
    assert {each.call_id for each in alice.sent} == {"series"}
    assert alice.sent[1].get("Expires") == "600"
    assert alice.sent[1].get("Contact") == alice.contact
    network.assert_idle()


def test_a_request_tries_its_hops(network: Network, alice: Node, bob: Node) -> None:
    bob.on[Incoming] = lambda effect: bob.agent.reply_statelessly(effect.request, effect.flow, 200)
    network.unreachable.add(("192.0.2.50", 5060))
    hops = [Hop("UDP", host, 5060) for host in ("192.0.2.50", "192.0.2.51", "192.0.2.2")]
    register(alice, hops=hops)
    network.run()
    assert alice.count(FinalResponse) == 1
    assert alice.count(Failed) == 0
    network.assert_idle()


def test_a_request_without_a_way(network: Network, alice: Node) -> None:
    register(alice, hops=[])
    network.unreachable.add(("192.0.2.2", 5060))
    register(alice)
    network.run()
    assert alice.all(Failed) == [Failed("registration", "unreachable")] * 2
    network.assert_idle()


# -- both ends in one agent


def test_an_agent_may_call_itself(network: Network, alice: Node) -> None:
    answer(alice)
    session = alice.call(alice)
    network.run(1)
    assert alice.count(Established) == 1
    _, callee = sorted(alice.sessions, key=lambda each: each is not session)
    alice.run(callee.hangup(network.now))
    network.run()
    assert (alice.endings(session), alice.endings(callee)) == (["bye"], ["local"])
    network.assert_idle()


def test_a_call_over_ipv6(network: Network) -> None:
    carol, dave = network.node("carol", "2001:db8::1"), network.node("dave", "2001:db8::2")
    for node in (carol, dave):
        node.contact = f"<sip:{node.name}@[{node.address[0]}]>"
    answer(dave)
    session = carol.call(
        dave,
        uri="sip:dave@[2001:db8::2]",
        from_="<sip:carol@[2001:db8::1]>",
        to="<sip:dave@[2001:db8::2]>",
        sent_by="[2001:db8::1]:5060",
    )
    network.run(1)
    assert carol.count(Established) == 1
    dave.run(dave.sessions[0].hangup(network.now))
    network.run()
    assert carol.endings(session) == ["bye"]
    network.assert_idle()


# -- cost


def test_a_call_has_few_timers(network: Network, alice: Node, bob: Node) -> None:
    """One for each transaction and one for a 2xx, so that the shell's heap stays small."""
    answer(bob)
    session = alice.call(bob)
    assert len(alice.timers) == 1
    network.run(1)
    assert (len(alice.timers), len(bob.timers)) == (1, 1)  # timers M and L
    alice.run(session.hangup(network.now))
    network.run(1)
    assert (len(alice.timers), len(bob.timers)) == (2, 2)  # and K and J
