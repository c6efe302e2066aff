"""Rules of SIP against a live server, message by message, over UDP and TCP."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from email.utils import parsedate_to_datetime

import pytest
from live import PHONE_PASSWORD, LiveServer, live_server
from live_scene import client_of
from security.sip_wire import SDP, Reply, Wire, credentials, wire_to

ECHOES, SPEAKS = "+15005550001", "+15005550002"
ISUP = "Content-Type: application/isup;version=ansi88\r\nContent-Disposition: signal; handling={}\r\n\r\n\x01\x11"
MIXED = "multipart/mixed;boundary=parts"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("rules")) as running:
        yield running


@pytest.fixture(params=["UDP", "TCP"])
async def wire(request: pytest.FixtureRequest, server: LiveServer) -> AsyncIterator[Wire]:
    async with wire_to(server, request.param) as wire:
        yield wire


def several(*parts: str) -> str:
    return "".join(f"--parts\r\n{part}\r\n" for part in parts) + "--parts--\r\n"


DESCRIPTION = f"Content-Type: application/sdp\r\n\r\n{SDP}"


async def dial(wire: Wire, number: str = SPEAKS, *fields: str, **more: str) -> Reply:
    """Alice calls a number; the final answer."""
    uri = f"sip:{number}@{wire.address[0]}"
    given = {"from_": "sip:alice@127.0.0.1", "body": SDP, **more}
    challenge = await wire.ask("INVITE", uri, headers=fields, **given)
    assert challenge.status == 407
    login = credentials(challenge, "INVITE", uri, "alice", PHONE_PASSWORD)
    return await wire.ask("INVITE", uri, headers=(*fields, login), cseq=2, **given)


def follow(wire: Wire, answered: Reply, method: str, number: int, body: str = "", kind: str = "") -> None:
    """A request in the dialog of a call that is up."""
    target, call_id = answered.header("Contact").strip("<>"), answered.header("Call-ID")
    text, _ = wire.request(method, target, call_id=call_id, cseq=number, body=body, content_type=kind)
    head, _, body = text.partition("\r\n\r\n")
    lines = [line for line in head.split("\r\n") if not line.startswith(("From:", "To:"))]
    lines[2:2] = [f"From: {answered.header('From')}", f"To: {answered.header('To')}"]
    wire.send("\r\n".join(lines) + "\r\n\r\n" + body)


async def hang_up(wire: Wire, answered: Reply) -> None:
    """ACK and BYE of a call that is up."""
    follow(wire, answered, "ACK", 2)
    follow(wire, answered, "BYE", 9)
    assert (await wire.reply()).status == 200


async def test_rfc3204_4_a_call_with_isup_beside_its_sdp_is_answered(wire: Wire) -> None:
    answered = await dial(wire, body=several(DESCRIPTION, ISUP.format("optional")), content_type=MIXED)
    assert answered.status == 200
    assert "m=audio" in answered.text
    await hang_up(wire, answered)


async def test_rfc2045_6_8_a_call_with_its_sdp_in_base64_is_answered(wire: Wire) -> None:
    packed = b64encode(SDP.encode()).decode()
    part = f"Content-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n\r\n{packed}"
    answered = await dial(wire, body=several(part, ISUP.format("optional")), content_type=MIXED)
    assert answered.status == 200
    assert "m=audio" in answered.text
    await hang_up(wire, answered)


@pytest.mark.parametrize(("handling", "status"), [("optional", 200), ("required", 415)])
async def test_rfc3261_20_11_an_info_of_several_parts_is_read(wire: Wire, handling: str, status: int) -> None:
    answered = await dial(wire)
    follow(wire, answered, "ACK", 2)
    digit = "Content-Type: application/dtmf-relay\r\n\r\nSignal=5"
    follow(wire, answered, "INFO", 3, several(digit, ISUP.format(handling)), MIXED)
    assert (await wire.reply()).status == status
    await hang_up(wire, answered)


@pytest.mark.parametrize("transport", ["TCP", "TLS"])
async def test_rfc3261_12_2_1_1_a_bye_goes_by_the_stream_that_the_peer_has_opened_since(
    server: LiveServer, transport: str
) -> None:
    """Nobody listens at its Contact."""
    async with wire_to(server, transport) as first:
        answered = await dial(first, ECHOES)
        follow(first, answered, "ACK", 2)
    async with wire_to(server, transport) as second:
        follow(second, answered, "INFO", 3, "Signal=5", "application/dtmf-relay")
        assert (await second.reply()).status == 200
        call = client_of(server).calls(answered.header("X-Twilio-CallSid"))
        await asyncio.to_thread(call.update, status="completed")
        bye = await second.asked("BYE")
        assert answered.header("Call-ID") in bye
        second.respond(bye, "200 OK")


async def test_rfc3261_10_3_an_address_of_record_of_another_domain_gets_404(wire: Wire) -> None:
    uri = f"sip:{wire.address[0]}"
    for domain, status in (("elsewhere.example", 404), ("127.0.0.1", 200), ("localhost", 200)):
        asked = {"from_": f"sip:alice@{domain}", "to": f"sip:alice@{domain}"}
        answered = await wire.ask("REGISTER", uri, **asked)
        if answered.status == 407:
            login = credentials(answered, "REGISTER", uri, "alice", PHONE_PASSWORD)
            answered = await wire.ask("REGISTER", uri, headers=(login,), cseq=2, **asked)
        assert (domain, answered.status) == (domain, status)


async def test_rfc3891_3_replaces_outside_an_invite_gets_400(wire: Wire) -> None:
    replaces = "Replaces: 1@x;to-tag=a;from-tag=b"
    asked = await wire.ask("OPTIONS", f"sip:{wire.address[0]}", headers=(replaces,))
    assert asked.status == 400


@pytest.mark.parametrize(
    ("body", "status", "accept"),
    [
        (several(DESCRIPTION, ISUP.format("required")), 415, "application/sdp, multipart/*"),
        (several(DESCRIPTION)[:-4], 400, ""),
        (several(DESCRIPTION, *[ISUP.format("optional")] * 40), 413, ""),
    ],
)
async def test_rfc3261_20_11_parts_that_cannot_be_taken_are_refused(
    wire: Wire, body: str, status: int, accept: str
) -> None:
    uri = f"sip:{SPEAKS}@{wire.address[0]}"
    refused = await wire.ask("INVITE", uri, from_="sip:alice@127.0.0.1", body=body, content_type=MIXED)
    assert (refused.status, refused.header("Accept")) == (status, accept)


async def test_rfc3261_21_4_26_an_offer_without_a_codec_of_ours_gets_a_warning(wire: Wire) -> None:
    refused = await dial(wire, body=SDP.replace("RTP/AVP 0", "RTP/AVP 18"))
    assert refused.status == 488
    assert refused.header("Warning") == '305 ringback "none of PCMU, PCMA is offered"'


async def test_rfc3323_5_a_call_whose_privacy_is_critical_and_unknown_gets_500(wire: Wire) -> None:
    refused = await dial(wire, SPEAKS, "Privacy: id;future;critical")
    assert refused.text.startswith("SIP/2.0 500 Privacy Failure: future\r\n")


async def test_rfc3261_10_3_8_who_registers_is_told_the_time(wire: Wire) -> None:
    uri, alice = f"sip:{wire.address[0]}", f"sip:alice@{wire.address[0]}"
    asked = {"from_": alice, "to": alice}
    challenge = await wire.ask("REGISTER", uri, **asked)
    login = credentials(challenge, "REGISTER", uri, "alice", PHONE_PASSWORD)
    before = int(time.time())
    registered = await wire.ask("REGISTER", uri, headers=(login,), cseq=2, **asked)
    assert registered.status == 200
    told = registered.header("Date")
    assert told.endswith(" GMT")  # section 20.17
    assert before <= parsedate_to_datetime(told).timestamp() <= time.time()


async def test_rfc5630_5_1_2_a_sips_uri_without_tls_is_not_allowed(wire: Wire) -> None:
    for method in ("INVITE", "REGISTER", "OPTIONS"):
        refused = await wire.ask(method, f"sips:{SPEAKS}@{wire.address[0]}", from_="sip:alice@127.0.0.1")
        assert (refused.status, refused.header("Warning")) == (480, '380 ringback "SIPS Not Allowed"')


async def test_rfc5630_5_1_2_a_sips_uri_over_tls_is_served(server: LiveServer) -> None:
    async with wire_to(server, "TLS") as wire:
        asked = await wire.ask("INVITE", f"sips:{SPEAKS}@{wire.address[0]}", from_="sip:alice@127.0.0.1")
        assert asked.status == 407
