"""A call's port is of the family that its signalling is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ringback.call.outgoing_leg import Branch
from ringback.media.errors import Overload, PortsExhausted
from ringback.media.pump import Port
from ringback.shell.sound import Sound
from ringback.sip.flow import Hop
from ringback.sip.headers import NameAddr
from ringback.sip.uri import Uri


class FakePump:
    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.closed: list[int] = []
        self.connected: list[tuple[str, int, int]] = []
        self.exhausted = False
        self.failure: Exception | None = None

    def open(self, host: str) -> Port:
        if self.failure is not None:
            raise self.failure
        if self.exhausted:
            raise PortsExhausted("none left")
        self.hosts.append(host)
        return Port(len(self.hosts), host, 4000 + 2 * len(self.hosts))

    def close_port(self, port_id: int) -> None:
        self.closed.append(port_id)

    def configure(self, port_id: int, **_: Any) -> None:
        assert port_id not in self.closed

    def connect(self, a: int, b: int) -> None:
        self.connected.append(("+", a, b))

    def disconnect(self, a: int, b: int) -> None:
        self.connected.append(("-", a, b))


def branch(host: str) -> Branch:
    uri = Uri(user="x", host=host)
    return Branch(uri, (Hop("UDP", host, 5060),), host, "", "", NameAddr("", uri), NameAddr("", uri))


def negotiated(host: str) -> Any:
    return SimpleNamespace(
        remote=(host, 4000),
        remote_rtcp=None,
        remote_payload_type=0,
        payload_type=0,
        receive=((0, "PCMU"),),
        codec="PCMU",
        dtmf_payload_type=None,
        dtmf_receive_payload_type=None,
        direction="sendrecv",
        ptime=20,
        sends=True,
        receives=True,
    )


def made() -> tuple[FakePump, Sound, Any, list[str]]:
    pump, remarks = FakePump(), []

    def remark(call: Any, note: Any) -> None:
        remarks.append(note.text)

    sound = Sound(pump, None, None, lambda call, event: None, remark, str)  # type: ignore[arg-type]
    port = sound.open()
    leg = SimpleNamespace(port_id=port.id, port=port.port, session=None)
    call = SimpleNamespace(port=port, spare=None, bridged=None, leg=leg, is_silent=False)
    sound.attach(call)  # type: ignore[arg-type]
    return pump, sound, call, remarks


def test_a_caller_over_ipv6_gets_a_port_of_ipv6() -> None:
    pump, sound, _, _ = made()
    sound.open("2001:db8::1")
    assert pump.hosts == ["0.0.0.0", "::"]


def test_a_call_to_ipv6_moves_to_a_port_of_ipv6() -> None:
    pump, sound, call, _ = made()
    sound.fit(call, [branch("2001:db8::1")])
    assert (pump.hosts[-1], pump.closed) == ("::", [1])
    assert (call.leg.port_id, call.leg.port) == (call.port.id, call.port.port) == (2, 4004)


def test_branches_of_both_families_have_a_port_each() -> None:
    pump, sound, call, remarks = made()
    first, second = sound.fit(call, [branch("192.0.2.1"), branch("2001:db8::1")])
    assert (first.port, second.port) == (call.port.port, call.spare.port) == (4002, 4004)
    assert pump.hosts == ["0.0.0.0", "::"] and not remarks


def test_a_target_of_both_families_has_a_port_for_each_of_its_turns() -> None:
    _, sound, call, _ = made()
    one = branch("2001:db8::1")
    one.other = branch("192.0.2.1")
    sound.fit(call, [one])
    assert (one.port, one.other.port) == (call.spare.port, call.port.port)


def test_who_answers_decides_which_port_stays() -> None:
    pump, sound, call, _ = made()
    parent = SimpleNamespace(port=Port(90, "0.0.0.0", 9000))
    sound.fit(call, [branch("192.0.2.1"), branch("2001:db8::1")])
    call.bridged = parent
    sound.configure(call, negotiated("2001:db8::1"), "2001:db8::1")  # early media: the other may answer yet
    assert (call.port.id, call.spare.id, pump.closed) == (2, 1, [])
    assert pump.connected == [("-", 1, 90), ("+", 2, 90)]
    sound.configure(call, negotiated("192.0.2.1"), "192.0.2.1")
    assert (call.port.id, call.leg.port_id, call.leg.port) == (1, 1, 4002)
    call.leg.session = object()
    sound.configure(call, negotiated("2001:db8::1"), "2001:db8::1")
    assert (call.port.id, call.leg.port, call.spare, pump.closed) == (2, 4004, None, [1])


def test_a_redirect_to_the_other_family_leaves_the_port_of_those_that_ring() -> None:
    pump, sound, call, _ = made()
    sound.fit(call, [branch("192.0.2.1")])
    (moved,) = sound.fit(call, [branch("2001:db8::1")], more=True)
    assert (call.port.id, moved.port, pump.closed) == (1, call.spare.port, [])


def test_without_a_port_for_the_other_family_its_branches_are_not_tried() -> None:
    pump, sound, call, remarks = made()
    pump.exhausted = True
    first, second = sound.fit(call, [branch("192.0.2.1"), branch("2001:db8::1")])
    assert (len(first.hops), second.hops, len(remarks)) == (1, (), 1)


def test_without_a_port_left_the_call_keeps_what_it_has() -> None:
    pump, sound, call, _ = made()
    pump.exhausted = True
    (only,) = sound.fit(call, [branch("2001:db8::1")])
    assert (only.hops, call.port.id, pump.closed) == ((), 1, [])


@pytest.mark.parametrize("failure", [OSError(24, "Too many open files"), Overload("no more ports")])
def test_a_system_that_gives_no_socket_is_no_room_for_a_call(failure: Exception) -> None:
    """So that an INVITE is answered 503 and a dialed leg fails, instead of nothing being said."""
    pump, sound, _, _ = made()
    pump.failure = failure
    with pytest.raises(PortsExhausted):
        sound.open("2001:db8::1")
