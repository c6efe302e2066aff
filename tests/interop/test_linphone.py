"""Calls of Linphone's console program with the server and with PJSIP, as both hear them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers.exchange import ECHO, Exchange, exchange
from peers.linphone import Linphone, require_linphone
from peers.pjsip import Call, Phone, require_pjsip

require_linphone()
require_pjsip()


@pytest.fixture(scope="module")
def ringback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("linphone")) as running:
        running.user("carol")
        yield running
        assert running.replay_all()


@pytest.fixture
def alice(ringback: Exchange) -> Iterator[Phone]:
    with Phone(ringback.server, "alice", ringback.folder) as phone:
        yield phone.on()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_linphone_registers_and_hears_its_echo(ringback: Exchange, transport: str) -> None:
    with Linphone(ringback.server, "bob", ringback.folder, transport=transport, tone=700) as bob:
        bob.expect("registered")
        bob.tell(f"call sip:{ECHO}@{ringback.server.domain}")
        bob.expect("connected")
        bob.hears(700)
        bob.tell("terminate")
        bob.expect("ended")


def test_linphone_is_called_holds_resumes_and_sends_and_gets_keys(ringback: Exchange, alice: Phone) -> None:
    with Linphone(ringback.server, "bob", ringback.folder, tone=900) as bob:
        bob.expect("registered")
        call = alice.call("bob")
        assert "6505550101" in bob.expect("incoming")["caller"]
        bob.tell("answer")
        bob.expect("connected")
        bob.expect("streams")
        call.up()
        call.plays(1300)
        call.hears(900)
        bob.hears(1300)
        bob.tell("5")
        assert call.expect("digit")["digit"] == "5"
        call.tell("dial", digits="7")
        assert bob.expect("digit")["digit"] == "7"
        bob.tell("pause")
        bob.expect("paused")
        child = next(leg for leg in ringback.client.calls.list() if leg.to.startswith("sip:bob@"))
        assert "→ 200 OK, recvonly" in ringback.timeline(child.sid)  # Linphone plays its own music meanwhile
        bob.tell("resume 1")
        bob.expect("streams")
        assert "→ 200 OK, sendrecv" in ringback.timeline(child.sid)
        call.hears(900)
        bob.tell("terminate")
        assert call.ended() == 200


@pytest.fixture
def talking(ringback: Exchange, alice: Phone) -> Iterator[tuple[Call, Linphone, Phone]]:
    """alice's call of bob's Linphone, which he has answered, and carol's phone."""
    with (
        Linphone(ringback.server, "bob", ringback.folder, tone=900) as bob,
        Phone(ringback.server, "carol", ringback.folder) as carol,
    ):
        bob.expect("registered")
        carol.on()
        call = alice.call("bob")
        bob.expect("incoming")
        bob.tell("answer")
        call.up()
        bob.expect("connected")
        yield call, bob, carol


def test_rfc3515_2_4_linphone_transfers_blindly(
    ringback: Exchange, talking: tuple[Call, Linphone, Phone]
) -> None:
    """By the starter's Function, as a new project has it."""
    call, bob, carol = talking
    bob.tell(f"transfer 1 sip:carol@{ringback.server.domain}")
    there = carol.rung()
    bob.expect("ended")
    there.answer()
    there.up()
    there.plays(1300)
    call.hears(1300)
    call.hang_up()
    there.ended()


@pytest.mark.parametrize("when", ["answered", "rings", "rings early"])
def test_rfc3891_3_linphone_connects_the_far_ends_of_its_two_calls(
    ringback: Exchange, talking: tuple[Call, Linphone, Phone], when: str
) -> None:
    """Its second call was answered by carol, or by the exchange alone, or by nobody."""
    call, bob, carol = talking
    bob.tell("pause")
    bob.expect("paused")
    on_bridge = "answerOnBridge='true'" if when == "rings early" else ""
    domain = ringback.domain(f"<Dial {on_bridge}><Sip>sip:carol@{ringback.server.domain}</Sip></Dial>")
    bob.tell(f"call sip:x@{domain}")
    there = carol.rung()
    there.answer(200 if when == "answered" else 180)
    bob.expect("ringing" if when == "rings early" else "connected")
    if when == "answered":
        there.up()
    bob.tell("transfer 1 --to-call 2")
    if when != "answered":
        call.hears(440, 480)
        there.answer()
        there.up()
    bob.expect("ended")
    call.plays(500)
    there.plays(1300)
    call.hears(1300)
    there.hears(500)
    there.hang_up()
    assert call.ended() == 200
