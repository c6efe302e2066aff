"""RFC 3261 sections 8 to 15 and 18 by clause, with messages as they stand on the wire."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from unit.sip.virtual_network import Network, Node, alice, line, make_request, network

from ringback.sip.effects import Effect, Ended, Established, Incoming, InfoReceived, Reoffered
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response
from ringback.sip.session import InviteSession

__all__ = ["alice", "network"]


@pytest.fixture
def bob(network: Network) -> Node:
    node = network.node("bob", "192.0.2.2")
    node.answering(lambda session, request: session.progress(180, network.now))
    return node


class Nobody:
    name = "nobody"
    address = ("192.0.2.200", 5060)


NOBODY: Node = Nobody()  # type: ignore[assignment]

Connect = Callable[[], str]


@pytest.fixture
def connect(network: Network, bob: Node) -> Connect:
    """Establish a dialog with bob; gives his tag."""

    def run() -> str:
        bob.feed(make_request("INVITE", body=b"offer"))
        bob.run(bob.sessions[0].answer(b"answer", network.now))
        tag = bob.sent[-1].to.tag or ""
        bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=tag))
        return tag

    return run


def answer_to(node: Node, status: int, tag: str = "theirs", **options: list[tuple[str, str]]) -> Response:
    invite = [each for each in node.sent if isinstance(each, Request) and each.method == "INVITE"][-1]
    headers = options.get("headers") or [("Contact", "<sip:bob@192.0.2.200>")]
    return invite.reply(status, to_tag=tag, headers=headers)


# -- 8.1.1 requests


def test_rfc3261_8_1_1_an_invite_has_its_mandatory_fields(alice: Node) -> None:
    alice.call(NOBODY)
    (invite,) = alice.sent
    invite.validate()
    assert isinstance(invite, Request)
    assert invite.to.tag is None  # 8.1.1.2
    assert invite.from_.tag  # 8.1.1.3
    assert invite.max_forwards == 70  # 8.1.1.6
    assert (invite.via.branch or "").startswith("z9hG4bK")  # 8.1.1.7
    assert len(invite.contacts) == 1  # 8.1.1.8
    assert invite.get("Allow")  # 13.2.1
    assert invite.content_type == "application/sdp"


@pytest.mark.parametrize("more", ["?X-Account=7", ";method=INVITE", ";Method=BYE?X-Account=7"])
def test_rfc3261_19_1_1_headers_and_method_of_a_uri_do_not_go_into_the_request_uri(
    alice: Node, more: str
) -> None:
    alice.call(NOBODY, uri=f"sip:nobody@192.0.2.200;x=1{more}")
    invite = alice.sent[0]
    assert isinstance(invite, Request)
    assert (invite.method, invite.raw_uri) == ("INVITE", "sip:nobody@192.0.2.200;x=1")
    contact = [("Contact", f"<sip:n@192.0.2.200:5070;x=2{more}>")]
    alice.feed(invite.reply(200, to_tag="theirs", headers=contact, body=b"answer"))
    ack = alice.sent[-1]
    assert isinstance(ack, Request) and ack.raw_uri == "sip:n@192.0.2.200:5070;x=2"


def test_rfc3261_8_1_1_6_max_forwards_is_the_callers(alice: Node) -> None:
    alice.call(NOBODY, max_forwards=12)
    assert alice.sent[0].max_forwards == 12


# -- 8.2.6 responses


def test_rfc3261_8_2_6_1_trying_is_sent_at_once_without_a_tag(bob: Node) -> None:
    first = bob.feed(make_request("INVITE"))[0]
    assert isinstance(first, Response)
    assert (first.status, first.to.tag) == (100, None)


def test_rfc3261_8_2_6_2_all_responses_of_a_dialog_have_one_tag(network: Network, bob: Node) -> None:
    bob.feed(make_request("INVITE", body=b"offer"))
    bob.run(bob.sessions[0].answer(b"answer", network.now))
    ringing, ok = bob.sent[1:3]
    assert ringing.to.tag == ok.to.tag is not None
    assert ringing.get("Contact") == ok.get("Contact") == bob.contact  # 12.1.1


def test_rfc3261_8_2_7_stateless_refusals_of_an_invite_absorb_their_ack(bob: Node) -> None:
    (refusal,) = bob.feed(make_request("INVITE", headers=[("Require", "x")]))
    assert line(refusal) == "420 INVITE"
    assert bob.feed(make_request("ACK", to_tag=refusal.to.tag or "")) == []


# -- 9 CANCEL


def test_rfc3261_9_1_cancel_has_the_branch_and_the_number_of_the_invite(
    network: Network, alice: Node
) -> None:
    session = alice.call(NOBODY, route=("<sip:192.0.2.50;lr>",))
    invite = alice.sent[0]
    alice.feed(answer_to(alice, 180))
    alice.run(session.hangup(network.now))
    cancel = alice.sent[-1]
    assert isinstance(cancel, Request)
    assert isinstance(invite, Request)
    assert cancel.method == "CANCEL"
    assert cancel.raw_uri == invite.raw_uri
    assert cancel.raw("Via") == invite.raw("Via")
    assert cancel.cseq.number == invite.cseq.number
    assert cancel.to.tag is None
    for name in ("From", "To", "Call-ID", "Route"):
        assert cancel.raw(name) == invite.raw(name)
    assert alice.hops[-1] == alice.hops[0]


def test_rfc3261_9_1_cancel_is_repeated_like_any_request(network: Network, alice: Node) -> None:
    session = alice.call(NOBODY)
    alice.feed(answer_to(alice, 180))
    alice.run(session.hangup(network.now))
    network.run()
    assert alice.times("CANCEL")[:4] == [0, 0.5, 1.5, 3.5]
    network.assert_idle()


def test_rfc3261_9_2_cancel_without_its_invite_gets_481(bob: Node) -> None:
    assert [line(each) for each in bob.feed(make_request("CANCEL"))] == ["481 CANCEL"]


def test_rfc3261_9_2_cancel_gets_200_and_the_invite_487(network: Network, bob: Node) -> None:
    bob.feed(make_request("INVITE"))
    sent = bob.feed(make_request("CANCEL"))
    assert [line(each) for each in sent] == ["200 CANCEL", "487 INVITE"]
    again = bob.feed(make_request("CANCEL"))
    assert [line(each) for each in again] == ["200 CANCEL"]
    bob.feed(make_request("ACK", to_tag=sent[1].to.tag or ""))
    network.run()
    network.assert_idle()


# -- 12 dialogs


def test_rfc3261_12_1_1_record_route_is_copied_in_order(network: Network, bob: Node) -> None:
    routes = [("Record-Route", "<sip:p2;lr>"), ("Record-Route", "<sip:p1;lr>, <sip:p0;lr>")]
    bob.feed(make_request("INVITE", headers=routes, body=b"offer"))
    bob.run(bob.sessions[0].answer(b"answer", network.now))
    assert bob.sent[2].all("Record-Route") == ["<sip:p2;lr>", "<sip:p1;lr>", "<sip:p0;lr>"]


@pytest.mark.parametrize(
    ("uri", "headers"),
    [
        ("sips:bob@192.0.2.2", []),
        ("sip:bob@192.0.2.2", [("Contact", "<sips:eve@192.0.2.99>")]),
        ("sip:bob@192.0.2.2", [("Record-Route", "<sips:edge.example;lr>, <sip:inner.example;lr>")]),
    ],
)
def test_rfc3261_12_1_1_the_contact_is_sips_where_sips_was_asked_for(
    network: Network, bob: Node, uri: str, headers: list[tuple[str, str]]
) -> None:
    flow = Flow("TLS", bob.address, ("192.0.2.99", 5061), 7)
    bob.contact = "<sip:192.0.2.2:5061;transport=tls>"
    bob.feed(make_request("INVITE", uri=uri, transport="TLS", headers=headers), flow)
    bob.run(bob.sessions[0].answer(b"answer", network.now))
    assert [str(answer.contacts[0]) for answer in bob.sent[1:]] == ["<sips:192.0.2.2:5061>"] * 2


def test_rfc3261_12_1_1_the_contact_is_sip_where_nobody_asked_for_sips(bob: Node) -> None:
    flow = Flow("TLS", bob.address, ("192.0.2.99", 5061), 7)
    routes = [("Record-Route", "<sip:edge.example;lr>"), ("Contact", "<sips:eve@192.0.2.99>")]
    bob.feed(make_request("INVITE", transport="TLS", headers=routes), flow)
    assert str(bob.sent[-1].contacts[0]) == "<sip:bob@192.0.2.2>"


def test_rfc3261_12_2_2_numbers_must_rise(bob: Node, connect: Connect) -> None:
    tag = connect()
    (response,) = bob.feed(make_request("INFO", branch="z9hG4bKi", to_tag=tag, cseq=1))
    assert line(response) == "500 INFO"


def test_rfc3261_12_2_1_1_numbers_rise_by_one(network: Network, bob: Node, connect: Connect) -> None:
    connect()
    session = bob.sessions[0]
    for _ in range(3):
        bob.run(session.info(b"1", "text/plain", network.now))
    assert [each.cseq.number for each in bob.sent if each.cseq.method == "INFO"] == [1, 2, 3]


# -- 13 INVITE


def test_rfc3261_13_2_2_4_the_ack_of_a_2xx_goes_by_the_dialog(network: Network, alice: Node) -> None:
    alice.call(NOBODY)
    headers = [
        ("Contact", "<sip:bob@192.0.2.201:5070>"),
        ("Record-Route", "<sip:192.0.2.60;lr>"),
        ("Record-Route", "<sip:192.0.2.61;lr>"),
    ]
    (ack,) = alice.feed(answer_to(alice, 200, headers=headers))
    assert isinstance(ack, Request)
    assert ack.raw_uri == "sip:bob@192.0.2.201:5070"
    assert ack.all("Route") == ["<sip:192.0.2.61;lr>", "<sip:192.0.2.60;lr>"]
    assert (
        ack.via.branch != alice.sent[0].via.branch
    )  # 17.1.1.3: an ACK of a 2xx is no part of the transaction
    assert ack.cseq.number == 1
    assert alice.hops[-1].parts()[:3] == ["UDP", "192.0.2.61", 5060]


def test_rfc3261_13_2_2_4_each_copy_of_a_2xx_is_acknowledged(alice: Node) -> None:
    alice.call(NOBODY)
    ok = answer_to(alice, 200)
    assert [line(each) for each in alice.feed(ok)] == ["ACK"]
    assert [line(each) for each in alice.feed(ok)] == ["ACK"]
    assert alice.count(Established) == 1


def test_rfc3261_13_3_1_4_the_2xx_stops_at_its_ack(network: Network, bob: Node, connect: Connect) -> None:
    connect()
    network.run(40)
    assert bob.times("200 INVITE") == [0]


def test_rfc3261_13_3_1_4_an_ack_of_another_number_does_not_count(network: Network, bob: Node) -> None:
    bob.feed(make_request("INVITE", body=b"offer"))
    bob.run(bob.sessions[0].answer(b"answer", network.now))
    tag = bob.sent[-1].to.tag or ""
    bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=tag, cseq=9))
    network.run(0.6)
    assert bob.times("200 INVITE") == [0, 0.5]


# -- 14 re-INVITE


@pytest.mark.parametrize(
    ("disposition", "answer"),
    [
        ("icon;handling=required", "415 INVITE"),
        ("icon", "415 INVITE"),
        ("icon; handling=optional", "100 INVITE"),
        ("Session;handling=required", "100 INVITE"),
    ],
)
def test_rfc3261_20_11_a_body_that_is_meant_otherwise_gets_415(
    bob: Node, disposition: str, answer: str
) -> None:
    headers = [("Content-Disposition", disposition)]
    assert line(bob.feed(make_request("INVITE", headers=headers, body=b"offer"))[0]) == answer


def test_rfc3261_8_2_3_an_info_in_unknown_words_gets_415(network: Network) -> None:
    bob = network.node("bob", "192.0.2.2", info_types=("application/dtmf-relay", "application/dtmf"))
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    bob.feed(make_request("INVITE", body=b"offer"))
    tag = bob.sent[-1].to.tag or ""
    bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=tag))
    answers = []
    for number, kind in enumerate(("application/dtmf-relay", "Application/DTMF; x=1", "text/plain", ""), 2):
        content = [("Content-Type", kind)] if kind else []
        info = make_request(
            "INFO",
            branch=f"z9hG4bK{number}",
            to_tag=tag,
            cseq=number,
            headers=content,
            body=b"5" if kind else b"",
        )
        answers += bob.feed(info)
    assert [line(answer) for answer in answers] == ["200 INFO", "200 INFO", "415 INFO", "200 INFO"]
    assert answers[2].get("Accept") == "application/dtmf-relay, application/dtmf, multipart/*"
    assert bob.count(InfoReceived) == 3


def test_rfc6086_4_2_2_an_info_of_a_package_that_was_never_offered_gets_469(
    network: Network, bob: Node, connect: Connect
) -> None:
    tag = connect()
    assert all(not message.has("Recv-Info") for message in bob.sent)  # we take no packages at all
    fields = [("Info-Package", "infoDtmf"), ("Content-Type", "application/dtmf-relay")]
    info = make_request("INFO", branch="z9hG4bKinfo", to_tag=tag, cseq=2, headers=fields, body=b"Signal=5")
    (refused,) = bob.feed(info)
    assert (line(refused), refused.reason) == ("469 INFO", "Bad Info Package")
    assert refused.get("Recv-Info") == ""
    assert bob.count(InfoReceived) == 0
    assert bob.sessions[0].is_confirmed


def test_rfc3261_14_2_a_second_invite_before_the_first_is_answered_gets_500(
    network: Network, bob: Node
) -> None:
    bob.feed(make_request("INVITE", body=b"offer"))
    tag = bob.sent[-1].to.tag or ""
    (response,) = bob.feed(make_request("INVITE", branch="z9hG4bKre", to_tag=tag, cseq=2, body=b"x"))
    assert line(response) == "500 INVITE"
    assert 0 <= int(response.get("Retry-After") or "99") <= 10


def test_rfc3261_14_2_an_invite_while_ours_is_open_gets_491(
    network: Network, bob: Node, connect: Connect
) -> None:
    tag = connect()
    bob.run(bob.sessions[0].reinvite(b"hold", network.now))
    (response,) = bob.feed(make_request("INVITE", branch="z9hG4bKre", to_tag=tag, cseq=2, body=b"x"))
    assert line(response) == "491 INVITE"
    assert bob.count(Reoffered) == 0


def test_rfc3261_14_1_a_refused_reinvite_changes_nothing(
    network: Network, bob: Node, connect: Connect
) -> None:
    tag = connect()
    contact = [("Contact", "<sip:elsewhere@192.0.2.77>")]
    request = make_request("INVITE", branch="z9hG4bKre", to_tag=tag, cseq=2, headers=contact, body=b"x")
    bob.feed(request)
    bob.run(bob.sessions[0].refuse_reoffer(488, network.now))
    bob.run(bob.sessions[0].hangup(network.now))
    bye = bob.sent[-1]
    assert isinstance(bye, Request)
    assert bye.raw_uri == "sip:eve@192.0.2.99"


# -- 15 BYE


def test_rfc3261_15_1_2_bye_for_no_dialog_gets_481(bob: Node) -> None:
    (response,) = bob.feed(make_request("BYE", to_tag="none", cseq=2))
    assert line(response) == "481 BYE"


def test_rfc3261_15_1_2_bye_is_answered_200_also_when_it_comes_again(bob: Node, connect: Connect) -> None:
    tag = connect()
    bye = make_request("BYE", branch="z9hG4bKbye", to_tag=tag, cseq=2)
    assert [line(each) for each in bob.feed(bye)] == ["200 BYE"]
    assert [line(each) for each in bob.feed(bye)] == ["200 BYE"]
    assert bob.count(Ended) == 1


# -- 16.12 and 18


def test_rfc3261_18_2_1_received_is_added_when_sent_by_differs(bob: Node) -> None:
    flow = Flow("UDP", bob.address, ("198.51.100.9", 5060))
    answers = bob.feed(make_request("OPTIONS", via="pc33.example", headers=[("Require", "x")]), flow)
    assert answers[0].via.received == "198.51.100.9"


def test_rfc3261_18_2_2_without_rport_answers_go_to_the_sent_by_port(bob: Node) -> None:
    flow = Flow("UDP", bob.address, ("198.51.100.9", 40000))
    bob.feed(make_request("OPTIONS", via="10.0.0.1:5080", headers=[("Require", "x")]), flow)
    assert bob.hops[-1] == Hop("UDP", "198.51.100.9", 5080, local=bob.address)


def test_rfc3581_4_with_rport_answers_go_to_the_source_port(bob: Node) -> None:
    flow = Flow("UDP", bob.address, ("198.51.100.9", 40000))
    request = make_request("OPTIONS", via="10.0.0.1:5080", headers=[("Require", "x")])
    request.set("Via", (request.get("Via") or "") + ";rport")
    (response,) = bob.feed(request, flow)
    assert bob.hops[-1] == Hop("UDP", "198.51.100.9", 40000, local=bob.address)
    assert (response.via.received, response.via.rport) == ("198.51.100.9", 40000)


def test_rfc3261_18_2_2_streams_carry_their_own_answers(network: Network, bob: Node) -> None:
    flow = Flow("TLS", ("192.0.2.2", 5061), ("198.51.100.9", 50001), 17)
    bob.feed(make_request("INVITE", via="10.0.0.1:5080", transport="TLS"), flow)
    assert {hop.connection for hop in bob.hops} == {17}


def test_rfc3581_3_requests_of_ours_ask_for_rport(alice: Node) -> None:
    alice.call(NOBODY)
    assert "rport" in alice.sent[0].via.params


# -- RFC 3311


def test_rfc3311_5_1_update_refreshes_the_target(network: Network, bob: Node, connect: Connect) -> None:
    tag = connect()
    contact = [("Contact", "<sip:new@192.0.2.77>")]
    (response,) = bob.feed(make_request("UPDATE", branch="z9hG4bKu", to_tag=tag, cseq=2, headers=contact))
    assert line(response) == "200 UPDATE"
    bob.run(bob.sessions[0].hangup(network.now))
    bye = bob.sent[-1]
    assert isinstance(bye, Request)
    assert bye.raw_uri == "sip:new@192.0.2.77"


def test_rfc3311_5_2_update_while_our_offer_is_open_gets_491(
    network: Network, bob: Node, connect: Connect
) -> None:
    tag = connect()
    bob.run(bob.sessions[0].reinvite(b"hold", network.now))
    (response,) = bob.feed(make_request("UPDATE", branch="z9hG4bKu", to_tag=tag, cseq=2, body=b"x"))
    assert line(response) == "491 UPDATE"


# -- the user of the agent may be slow


def test_nothing_is_kept_for_an_invite_that_nobody_takes(network: Network) -> None:
    node = network.node("idle", "192.0.2.9")
    for _ in range(3):
        node.feed(make_request("INVITE"))
    assert node.count(Incoming) == 3
    network.assert_idle()


def react_never(session: InviteSession, request: Request) -> list[Effect]:
    return []


def test_copies_of_a_taken_invite_are_answered_with_its_last_response(network: Network, bob: Node) -> None:
    bob.answering(react_never)
    bob.feed(make_request("INVITE"))
    assert [line(each) for each in bob.feed(make_request("INVITE"))] == ["100 INVITE"]
    assert len(bob.sessions) == 1
