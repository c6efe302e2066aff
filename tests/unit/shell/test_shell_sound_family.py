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


def branch(host: str) -> Branch:
    uri = Uri(user="x", host=host)
    return Branch(uri, (Hop("UDP", host, 5060),), host, "", "", NameAddr("", uri), NameAddr("", uri))


def made() -> tuple[FakePump, Sound, Any, list[str]]:
    pump, remarks = FakePump(), []

    def remark(call: Any, note: Any) -> None:
        remarks.append(note.text)

    sound = Sound(pump, None, None, lambda call, event: None, remark, str)  # type: ignore[arg-type]
    port = sound.open()
    call = SimpleNamespace(port=port, leg=SimpleNamespace(port_id=port.id, port=port.port))
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


def test_branches_of_the_other_family_are_not_tried() -> None:
    _, sound, call, remarks = made()
    first, second = sound.fit(call, [branch("192.0.2.1"), branch("2001:db8::1")])
    assert (len(first.hops), second.hops) == (1, ())
    assert len(remarks) == 1


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
