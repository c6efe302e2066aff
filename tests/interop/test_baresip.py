"""Calls of baresip phones, and of baresip with PJSIP, as both hear them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers.baresip import Baresip, require_baresip
from peers.exchange import ALICE, BUSY, ECHO, Exchange, exchange
from peers.pjsip import Phone, require_pjsip

require_baresip()
require_pjsip()


@pytest.fixture(scope="module")
def ringback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("baresip")) as running:
        yield running


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_baresip_registers_and_hears_its_echo(ringback: Exchange, transport: str) -> None:
    with Baresip(ringback.server, "alice", ringback.folder, transport=transport, tone=700) as phone:
        phone.on()
        phone.call(ECHO)
        phone.expect("CALL_ESTABLISHED")
        phone.hears(700)
        phone.tell("hangup")
        phone.expect("CALL_CLOSED")


def test_baresip_trusts_the_server_s_certificate_over_tls(ringback: Exchange) -> None:
    folder = ringback.server.directory / "data" / "tls"
    certificate = next(file for file in folder.iterdir() if b"BEGIN CERTIFICATE" in file.read_bytes())
    with Baresip(
        ringback.server, "alice", ringback.folder, transport="tls", tone=700, certificates=certificate
    ) as phone:
        phone.on()
        phone.call(ECHO)
        phone.expect("CALL_ESTABLISHED")
        phone.hears(700)


def test_a_wrong_password_is_403(ringback: Exchange) -> None:
    with Baresip(ringback.server, "alice", ringback.folder, password="Wrong-Horse-7-at-all") as phone:
        assert phone.expect("registered")["status"] == 403


def test_a_busy_number_ends_the_call(ringback: Exchange) -> None:
    twiml = f'<Dial answerOnBridge="true" callerId="{ALICE}">{BUSY}</Dial>'
    domain = ringback.domain(twiml)
    with Baresip(ringback.server, "alice", ringback.folder) as phone:
        phone.on()
        phone.call(f"sip:x@{domain}")
        assert "486" in phone.expect("CALL_CLOSED")["param"]


def test_baresip_calls_pjsip_and_they_hear_each_other(ringback: Exchange) -> None:
    with (
        Baresip(ringback.server, "bob", ringback.folder, tone=900, codec="PCMA") as bob,
        Phone(ringback.server, "alice", ringback.folder, transport="tls", codecs=["PCMU"]) as alice,
    ):
        bob.on()
        alice.on()
        bob.call(ALICE)
        call = alice.rung()
        call.answer()
        call.up()
        bob.expect("CALL_ESTABLISHED")
        call.plays(1300)
        call.hears(900)
        bob.hears(1300)
        bob.tell("sndcode", "7")
        assert call.expect("digit")["digit"] == "7"
        bob.tell("hold")
        call.hears_nothing_of(900)
        bob.tell("resume")
        call.hears(900)  # baresip's recorder does not go on after a hold, so it cannot be asked
        call.hang_up()
        assert call.ended() == 200
        bob.expect("CALL_CLOSED")


def test_pjsip_calls_baresip_and_they_hear_each_other(ringback: Exchange) -> None:
    with (
        Baresip(ringback.server, "bob", ringback.folder, transport="tcp", tone=900) as bob,
        Phone(ringback.server, "alice", ringback.folder) as alice,
    ):
        bob.on()
        call = alice.on().call("bob").up()
        assert "+16505550101" in bob.expect("CALL_INCOMING")["peeruri"]
        bob.tell("accept")
        bob.expect("CALL_ESTABLISHED")
        call.plays(1300)
        call.hears(900)
        bob.hears(1300)
        call.tell("dial", digits="3")
        assert bob.expect("CALL_DTMF_START")["param"] == "3"
        bob.tell("hangup")
        assert call.ended() == 200


def test_baresip_declines(ringback: Exchange) -> None:
    sip = f"<Sip>sip:bob@{ringback.server.domain}</Sip>"
    domain = ringback.domain(f'<Dial answerOnBridge="true">{sip}</Dial>')
    with (
        Baresip(ringback.server, "bob", ringback.folder) as bob,
        Phone(ringback.server, "alice", ringback.folder) as alice,
    ):
        bob.on()
        call = alice.call(f"sip:x@{domain}")
        bob.expect("CALL_INCOMING")
        bob.tell("hangup")
        assert call.ended() in (480, 486, 603)


def test_rfc3515_2_4_baresip_transfers_blindly(ringback: Exchange) -> None:
    """By the starter's Function, as a new project has it."""
    ringback.user("carol")
    with (
        Baresip(ringback.server, "bob", ringback.folder) as bob,
        Phone(ringback.server, "alice", ringback.folder) as alice,
        Phone(ringback.server, "carol", ringback.folder) as carol,
    ):
        bob.on()
        carol.on()
        call = alice.on().call("bob")
        bob.expect("CALL_INCOMING")
        bob.tell("accept")
        call.up()
        bob.expect("CALL_ESTABLISHED")
        bob.tell("transfer", f"sip:carol@{ringback.server.domain}")
        there = carol.rung()
        bob.expect("CALL_CLOSED")
        there.answer()
        there.up()
        there.plays(1300)
        call.hears(1300)
        call.hang_up()
        there.ended()


def test_rfc3515_2_4_4_baresip_follows_the_refer_of_a_document(ringback: Exchange) -> None:
    done = ringback.hooks.give("referred", "<Hangup/>")
    domain = ringback.domain(f'<Refer action="{done}"><Sip>sip:{ECHO}@{ringback.server.domain}</Sip></Refer>')
    with Baresip(ringback.server, "bob", ringback.folder, tone=700) as bob:
        bob.on()
        bob.call(f"sip:x@{domain}")
        asked = ringback.hooks.expect("referred")
        told = asked["ReferCallStatus"], asked["ReferSipResponseCode"], asked["NotifySipResponseCode"]
        assert told == ("in-progress", "202", "200")
        bob.hears(700)
