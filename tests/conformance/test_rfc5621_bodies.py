"""Bodies in several parts: RFC 5621, RFC 3261 sections 7.4.1 and 20.11, and ISUP beside SDP as carriers send it (RFC 3204)."""

from __future__ import annotations

from base64 import encodebytes
from binascii import b2a_qp

import pytest
from unit.sip.virtual_network import Network, Node, line, make_request, network

from ringback.sip.effects import (
    Confirmed,
    Established,
    Incoming,
    InfoReceived,
    Reanswered,
    Reoffered,
    Ringing,
)
from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response

__all__ = ["network"]

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.99\r\ns=-\r\n"
ISUP = b"\x01\x00\r\n\r\n\x80\x01\x0a"
MIXED = 'multipart/mixed; boundary="unique-boundary-1"'
ALTERNATIVE = "multipart/alternative;boundary=unique-boundary-1"


def part(body: bytes, kind: str, *fields: str) -> bytes:
    """One part, behind its delimiter."""
    head = "\r\n".join((f"Content-Type: {kind}", *fields))
    return b"--unique-boundary-1\r\n" + head.encode() + b"\r\n\r\n" + body + b"\r\n"


DESCRIPTION = part(SDP, "application/sdp")
SIGNAL = part(
    ISUP, "application/ISUP;version=itu-t92+;base=itu-t92+", "Content-Disposition: signal;handling=optional"
)
UNKNOWN = part(ISUP, "application/isup", "Content-Disposition: signal; handling=required")
SILENT = part(ISUP, "application/isup")
END = b"--unique-boundary-1--\r\n"
WITH_ISUP = DESCRIPTION + SIGNAL + END


@pytest.fixture
def bob(network: Network) -> Node:
    node = network.node("bob", "192.0.2.2", extensions=["100rel"])
    node.answering(lambda session, request: [])
    return node


@pytest.fixture
def alice(network: Network) -> Node:
    return network.node("alice", "192.0.2.1", extensions=["100rel"])


class Nobody:
    name = "nobody"
    address = ("192.0.2.200", 5060)


NOBODY: Node = Nobody()  # type: ignore[assignment]


def asks(
    bob: Node,
    method: str,
    body: bytes,
    kind: str = MIXED,
    *fields: tuple[str, str],
    number: int = 1,
    transport: str = "UDP",
) -> list[str]:
    """Bob gets a request, outside a dialog with the number 1; what he answers."""
    request = make_request(
        method,
        branch=f"z9hG4bK{method}{number}",
        transport=transport,
        to_tag="" if number == 1 else bob.sent[-1].to.tag or "",
        cseq=number,
        headers=[("Content-Type", kind), *fields],
        body=body,
    )
    flow = Flow(transport, bob.address, ("192.0.2.99", 5060), 0 if transport == "UDP" else 7)
    return [line(each) for each in bob.feed(request, flow)]


def connect(bob: Node) -> None:
    """A call that is up."""
    asks(bob, "INVITE", SDP, "application/sdp")
    bob.run(bob.sessions[0].answer(b"answer", bob.network.now))
    acknowledge(bob)


def acknowledge(bob: Node, *fields: tuple[str, str], body: bytes = b"") -> None:
    """The ACK of Bob's 200, which is never answered."""
    tag = bob.sent[-1].to.tag or ""
    assert bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=tag, headers=fields, body=body)) == []


def acknowledged(bob: Node, body: bytes) -> list[bytes]:
    """An offer of Bob's is answered in the ACK; what his session hears of it."""
    bob.feed(make_request("INVITE"))
    bob.run(bob.sessions[0].answer(b"our offer", bob.network.now))
    acknowledge(bob, ("Content-Type", MIXED), body=body)
    return [each.body for each in bob.all(Confirmed)]


def answers(alice: Node, status: int, body: bytes, kind: str = MIXED, *fields: tuple[str, str]) -> list[str]:
    """Alice's INVITE is answered; what she sends then."""
    invite = next(each for each in alice.sent if isinstance(each, Request))
    headers = [("Contact", "<sip:nobody@192.0.2.200>"), *fields]
    response = invite.reply(status, to_tag="theirs", headers=headers, body=body, content_type=kind)
    return [line(each) for each in alice.feed(response)]


# -- requests


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("body", [WITH_ISUP, SIGNAL + DESCRIPTION + END, DESCRIPTION + END])
def test_rfc3204_4_sdp_is_read_beside_isup(bob: Node, body: bytes, transport: str) -> None:
    assert asks(bob, "INVITE", body, transport=transport) == ["100 INVITE"]
    (incoming,) = bob.all(Incoming)
    assert incoming.request.body == SDP


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("unknown", [UNKNOWN, SILENT])
def test_rfc3261_20_11_a_part_that_must_be_understood_gets_415(
    bob: Node, unknown: bytes, transport: str
) -> None:
    assert asks(bob, "INVITE", DESCRIPTION + unknown + END, transport=transport) == ["415 INVITE"]
    assert bob.sent[-1].get("Accept") == "application/sdp, multipart/*"
    assert bob.count(Incoming) == 0


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_rfc2045_6_8_an_offer_in_base64_is_decoded(bob: Node, transport: str) -> None:
    offer = part(encodebytes(SDP), "application/sdp", "Content-Transfer-Encoding: base64")
    assert asks(bob, "INVITE", offer + SIGNAL + END, transport=transport) == ["100 INVITE"]
    assert bob.all(Incoming)[0].request.body == SDP


def test_rfc2045_6_7_an_offer_in_quoted_printable_is_decoded(bob: Node) -> None:
    offer = part(b2a_qp(SDP, istext=False), "application/sdp", "Content-Transfer-Encoding: quoted-printable")
    assert asks(bob, "INVITE", offer + SIGNAL + END) == ["100 INVITE"]
    assert bob.all(Incoming)[0].request.body == SDP


@pytest.mark.parametrize(
    ("coding", "handling", "answer"),
    [("x-uuencode", "required", 415), ("x-uuencode", "optional", 100), ("base64", "required", 415)],
)
def test_rfc2045_6_4_a_part_in_an_unknown_encoding_is_not_understood(
    bob: Node, coding: str, handling: str, answer: int
) -> None:
    fields = (f"Content-Transfer-Encoding: {coding}", f"Content-Disposition: session;handling={handling}")
    offer = part(b"not in fours", "application/sdp", *fields)
    assert asks(bob, "INVITE", offer + END) == [f"{answer} INVITE"]


DIGIT = part(b"Signal=5\r\nDuration=160", "application/dtmf-relay")


@pytest.mark.parametrize(
    ("body", "answer", "digits"),
    [
        (DIGIT + SIGNAL + END, "200 INFO", [b"Signal=5\r\nDuration=160"]),
        (SIGNAL + DIGIT + END, "200 INFO", [b"Signal=5\r\nDuration=160"]),
        (SIGNAL + END, "200 INFO", [b""]),
        (DIGIT + UNKNOWN + END, "415 INFO", []),
        (SILENT + END, "415 INFO", []),
        (DIGIT, "400 INFO", []),
    ],
)
def test_rfc3261_20_11_digits_of_an_info_may_be_one_of_several_parts(
    network: Network, body: bytes, answer: str, digits: list[bytes]
) -> None:
    bob = network.node("bob", "192.0.2.2", info_types=("application/dtmf-relay", "application/dtmf"))
    bob.answering(lambda session, request: [])
    connect(bob)
    assert asks(bob, "INFO", body, number=2) == [answer]
    received = [each.request for each in bob.all(InfoReceived)]
    assert [each.body for each in received] == digits
    if digits and digits[0]:
        assert received[0].content_type == "application/dtmf-relay"


def test_rfc3261_8_2_3_an_info_that_is_packed_gets_415(network: Network) -> None:
    bob = network.node("bob", "192.0.2.2", info_types=("application/dtmf-relay",))
    bob.answering(lambda session, request: [])
    connect(bob)
    packed = ("Content-Encoding", "gzip")
    assert asks(bob, "INFO", b"Signal=5", "application/dtmf-relay", packed, number=2) == ["415 INFO"]
    assert bob.sent[-1].get("Accept-Encoding") == "identity"


def test_rfc3261_20_11_a_single_body_that_may_be_ignored_is(bob: Node) -> None:
    disposition = ("Content-Disposition", "signal;handling=optional")
    assert asks(bob, "INVITE", ISUP, "application/isup", disposition) == ["100 INVITE"]
    assert bob.sessions[0].invited is not None and bob.sessions[0].invited.offerless


def test_rfc3261_13_2_1_an_invite_whose_parts_make_no_offer_has_none(bob: Node) -> None:
    assert asks(bob, "INVITE", SIGNAL + END) == ["100 INVITE"]
    assert bob.sessions[0].invited is not None and bob.sessions[0].invited.offerless


@pytest.mark.parametrize("body", [b"", DESCRIPTION, SDP, b"--unique-boundary-1\r\nx\r\n" + END])
def test_rfc3261_7_4_1_parts_that_cannot_be_told_apart_get_400(bob: Node, body: bytes) -> None:
    assert asks(bob, "INVITE", body or b"--", MIXED) == ["400 INVITE"]
    assert asks(bob, "INVITE", WITH_ISUP, "multipart/mixed") == ["400 INVITE"]
    assert bob.count(Incoming) == 0


def test_rfc5621_4_too_many_parts_get_413(bob: Node) -> None:
    assert asks(bob, "INVITE", DESCRIPTION + 100 * SIGNAL + END) == ["413 INVITE"]


def test_rfc5621_6_the_last_alternative_that_is_understood_counts(bob: Node) -> None:
    other = part(SDP.replace(b"s=-", b"s=simple"), "application/sdp")
    assert asks(bob, "INVITE", other + DESCRIPTION + UNKNOWN + END, ALTERNATIVE) == ["100 INVITE"]
    assert bob.all(Incoming)[0].request.body == SDP


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_rfc5621_4_an_offer_in_a_dialog_may_be_one_of_several_parts(bob: Node, method: str) -> None:
    connect(bob)
    asks(bob, method, WITH_ISUP, number=2)
    assert [(each.request.method, each.body) for each in bob.all(Reoffered)] == [(method, SDP)]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_rfc3261_20_11_an_offer_in_a_dialog_with_an_unknown_part_gets_415(bob: Node, method: str) -> None:
    connect(bob)
    assert asks(bob, method, DESCRIPTION + UNKNOWN + END, number=2) == [f"415 {method}"]
    assert bob.sessions[0].is_confirmed and bob.count(Reoffered) == 0


def test_rfc3262_5_the_answer_in_a_prack_may_be_one_of_several_parts(bob: Node) -> None:
    bob.feed(make_request("INVITE", headers=[("Supported", "100rel")]))
    bob.run(bob.sessions[0].progress(183, bob.network.now, body=b"our offer"))
    rack = ("RAck", f"{bob.sent[-1].get('RSeq')} 1 INVITE")
    assert asks(bob, "PRACK", DESCRIPTION + UNKNOWN + END, MIXED, rack, number=2) == ["415 PRACK"]
    assert asks(bob, "PRACK", WITH_ISUP, MIXED, rack, number=3) == ["200 PRACK"]
    assert [each.body for each in bob.all(Reanswered)] == [SDP]


@pytest.mark.parametrize("more", [SIGNAL, UNKNOWN])
def test_rfc3261_13_2_1_the_answer_in_an_ack_may_be_one_of_several_parts(bob: Node, more: bytes) -> None:
    assert acknowledged(bob, DESCRIPTION + more + END) == [SDP]


def test_rfc3261_13_2_1_an_ack_is_never_refused(bob: Node) -> None:
    assert acknowledged(bob, DESCRIPTION) == [b""]  # without an end


# -- answers


def test_rfc3204_4_early_media_is_read_beside_isup(alice: Node) -> None:
    alice.call(NOBODY)
    answers(alice, 183, WITH_ISUP)
    assert answers(alice, 183, SIGNAL + DESCRIPTION + END, MIXED, ("Require", "100rel"), ("RSeq", "1")) == [
        "PRACK"
    ]
    answers(alice, 180, ISUP, "application/isup", ("Content-Disposition", "signal;handling=optional"))
    assert [each.body for each in alice.all(Ringing)] == [SDP, SDP, b""]


@pytest.mark.parametrize("more", [SIGNAL, UNKNOWN])
def test_rfc3204_4_the_answer_is_read_beside_isup(alice: Node, more: bytes) -> None:
    alice.call(NOBODY)
    assert answers(alice, 200, more + DESCRIPTION + END) == ["ACK"]
    assert [each.body for each in alice.all(Established)] == [SDP]


def test_rfc3261_13_2_2_4_a_2xx_in_broken_parts_is_acknowledged(alice: Node) -> None:
    alice.call(NOBODY)
    assert answers(alice, 200, DESCRIPTION) == ["ACK"]
    assert [each.body for each in alice.all(Established)] == [b""]


def test_rfc5621_4_an_answer_to_an_offer_in_a_dialog(alice: Node) -> None:
    session = alice.call(NOBODY)
    answers(alice, 200, SDP, "application/sdp")
    alice.run(session.reinvite(b"another offer", alice.network.now))
    invite = alice.sent[-1]
    assert isinstance(invite, Request)
    accepted: Response = invite.reply(200, body=WITH_ISUP, content_type=MIXED)
    alice.feed(accepted)
    assert [each.body for each in alice.all(Reanswered)] == [SDP]
