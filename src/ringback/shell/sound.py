"""The sound of calls: ports of the pump, clips on their way to them, and what the pump tells."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Any

from ringback.call import events
from ringback.call.effects import Note, info
from ringback.call.info_digits import Keys
from ringback.call.outgoing_leg import Branch
from ringback.media.clips import Clip, ClipError
from ringback.media.errors import Overload, PortsExhausted
from ringback.media.library import Library
from ringback.media.pump import Event, Port, PortStats, Pump, quality
from ringback.sdp import Negotiated
from ringback.shell.live import LiveCall
from ringback.shell.tasks import Tasks

TURN = 0.005
"""Seconds in each turn of the loop for the pump's events."""

Deliver = Callable[[LiveCall, events.Event], None]
Remark = Callable[[LiveCall, Note], None]


class Sound:
    """Carries the sound effects of calls out on the pump; its events come back by ``deliver``."""

    def __init__(
        self,
        pump: Pump,
        library: Library,
        tasks: Tasks,
        deliver: Deliver,
        remark: Remark,
        unmask: Callable[[str], str],
    ) -> None:
        self._pump = pump
        self._library = library
        self._tasks = tasks
        self._deliver = deliver
        self._remark = remark
        self._unmask = unmask
        self._calls: dict[int, LiveCall] = {}
        self._play_ids = count(1)
        self._tap_ids = count(1)
        self._taps: dict[int, Callable[[bytes, int], None]] = {}
        self._told: deque[Event] = deque()
        self._later: asyncio.Handle | None = None
        self._keys: dict[int, Keys] = {}
        """Of the ports whose far end has sent any."""

    def open(self, peer: str = "") -> Port:
        """A port on every address of this machine, of the family of the peer's address.

        Raises PortsExhausted, also where the system has no socket to give (descriptors, an address family).
        """
        try:
            return self._pump.open("::" if ":" in peer else "0.0.0.0")
        except (Overload, OSError) as problem:
            raise PortsExhausted(f"no sound for another call: {problem}") from problem

    def fit(self, call: LiveCall, branches: list[Branch], *, more: bool = False) -> list[Branch]:
        """Give each branch a port of its address family: the call's, or a spare one until somebody has answered.

        ``more``: others were placed before, with the ports that there are.
        """
        ways = [way for branch in branches for way in branch.in_turn() if way.hops]
        families = {":" in way.address for way in ways}
        if families and not more and (":" in call.port.host) not in families:
            self._take_port_for(call, ways[0].address)
        for way in ways:
            port = self._port_for(call, way.address)
            if port is None:
                self._remark(call, Note("sip", f"{way.uri}: no port for {way.address}", "warning", 0))
                way.hops = ()
            else:
                way.port = port.port
        return branches

    def _take_port_for(self, call: LiveCall, address: str) -> None:
        """One of this family in place of what the call has."""
        with suppress(PortsExhausted):
            port = self.open(address)
            self._pump.close_port(call.port.id)
            self._put(call, port)

    def _port_for(self, call: LiveCall, address: str) -> Port | None:
        for port in (call.port, call.spare):
            if port is not None and (":" in port.host) == (":" in address):
                return port
        with suppress(PortsExhausted):
            call.spare = self.open(address)
            return call.spare
        return None

    def _put(self, call: LiveCall, port: Port) -> None:
        self._calls.pop(call.port.id, None)
        self._keys.pop(call.port.id, None)
        call.port = port
        call.leg.port_id, call.leg.port = port.id, port.port
        self.attach(call)

    def _choose(self, call: LiveCall, far_end: str) -> None:
        """Of a call's two ports the one that far ends of this family have."""
        spare, before, other = call.spare, call.port, call.bridged
        if spare is not None and (":" in before.host) != (":" in far_end):
            if other is not None:
                self._pump.disconnect(before.id, other.port.id)
                self._pump.connect(spare.id, other.port.id)
            call.spare = before
            self._put(call, spare)
        if call.leg.session is not None:
            self._close_spare(call)

    def _close_spare(self, call: LiveCall) -> None:
        if call.spare is not None:
            self._pump.close_port(call.spare.id)
            call.spare = None

    def attach(self, call: LiveCall) -> None:
        """Events of the call's port are for this call from now on."""
        self._calls[call.port.id] = call

    def configure(self, call: LiveCall, negotiated: Negotiated, signalling_host: str) -> None:
        """The leg's sound was negotiated."""
        call.is_silent = False  # the pump's watch begins anew
        self._keys.pop(call.port.id, None)
        host, port = negotiated.remote
        self._choose(call, host)
        configure_port(self._pump, call.port.id, negotiated, signalling_host)
        self._remark(call, info("media", f"{negotiated.codec} with {host}:{port}, {negotiated.direction}"))

    # -- playing ------------------------------------------------------------------------------------------

    def play(self, call: LiveCall, token: str, source: list[Any], loops: int) -> None:
        """Fetch a clip and play it; Played or PlayFailed follows."""
        call.playing = token
        self._tasks.start(self._fetch_and_play(call, token, source, loops), f"clip for {call.sid}")

    async def _fetch_and_play(self, call: LiveCall, token: str, source: list[Any], loops: int) -> None:
        try:
            clip = await self._library.clip(self._source(source), owner=call.setup.account_sid)
        except (ClipError, OSError, ValueError, RuntimeError) as problem:
            code, reason = (
                (problem.code, problem.reason) if isinstance(problem, ClipError) else (12400, repr(problem))
            )
            if call.playing == token:
                call.playing = ""
                self._deliver(call, events.PlayFailed(token, code, reason))
            return
        if call.playing == token and call.port.id in self._calls:
            self._start(call, token, clip, loops)

    def _source(self, plain: list[Any]) -> tuple[Any, ...]:
        """A source as the library takes it: lists of a journal are tuples there, and secrets are handles."""
        match plain:
            case ["say", content, voice, language]:
                return ("say", ("Say", (), tuple(_node(part) for part in content)), voice, language)
            case ["url", url]:
                return ("url", self._unmask(url))
        return tuple(plain)

    def _start(self, call: LiveCall, token: str, clip: Clip, loops: int) -> None:
        if clip.note:
            self._remark(call, info("media", clip.note))
        play_id = next(self._play_ids)
        call.play_ids[play_id] = token
        self._pump.play(call.port.id, play_id, clip.mulaw, loops)

    def stop(self, call: LiveCall) -> None:
        """Stop what plays, or what is still being fetched."""
        token, call.playing = call.playing, ""
        if token in call.play_ids.values():
            self._pump.stop(call.port.id)
        elif token:
            self._deliver(call, events.Played(token, True))

    def send_digits(self, call: LiveCall, token: str, digits: str) -> None:
        """Send DTMF; Played follows."""
        play_id = next(self._play_ids)
        call.playing = token
        call.play_ids[play_id] = token
        self._pump.send_digits(call.port.id, digits, play_id)

    def press(self, call: LiveCall, digit: str) -> bool:
        """A key came by INFO: who is connected to the call gets it as if by RTP. False where RTP tells it as well."""
        is_new = self._keys.setdefault(call.port.id, Keys()).by_info(digit, monotonic())
        if is_new:
            self._pump.press(call.port.id, digit)
        return is_new

    # -- bridges and conferences --------------------------------------------------------------------------

    def bridge(self, one: LiveCall, other: LiveCall) -> None:
        """Connect two calls, each out of the bridge it was in."""
        if one.bridged is other:
            return
        self.unbridge(one)
        self.unbridge(other)
        one.bridged, other.bridged = other, one
        self._pump.connect(one.port.id, other.port.id)

    def unbridge(self, call: LiveCall) -> None:
        """Take a call out of its bridge, if it is in one."""
        other = call.bridged
        if other is not None:
            call.bridged = other.bridged = None
            self._pump.disconnect(call.port.id, other.port.id)

    # -- taps -----------------------------------------------------------------------------------------------

    def tap(self, call: LiveCall, track: str, listener: Callable[[bytes, int], None]) -> int:
        """Give a call's inbound or outbound sound to a listener: (mu-law, milliseconds)."""
        tap_id = next(self._tap_ids)
        self._taps[tap_id] = listener
        self._pump.tap(call.port.id, tap_id, "inbound" if track == "inbound" else "outbound")
        return tap_id

    def untap(self, tap_id: int) -> None:
        """End a tap."""
        if self._taps.pop(tap_id, None) is not None:
            self._pump.untap(tap_id)

    # -- the pump's events ------------------------------------------------------------------------------------

    def on_readable(self) -> None:
        """The pump has events: pass on what there is time for in a turn of the loop, and the others in the next."""
        self._told.extend(self._pump.events())
        self._serve(monotonic() + TURN)
        if self._told and self._later is None:
            self._later = asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._later = None
        self.on_readable()

    def drain(self) -> None:
        """Pass all of the pump's events on, before the end of a leg."""
        self._told.extend(self._pump.events())
        self._serve(math.inf)

    def _serve(self, until: float) -> None:
        """Pass events on. What one causes may end a leg: then the later ones are passed on within."""
        while self._told and monotonic() < until:
            event = self._told.popleft()
            if event[0] == "frames":
                listener = self._taps.get(event[1])
                if listener is not None:
                    listener(event[2], event[3])
                continue
            call = self._calls.get(event[1])
            if call is not None:
                self._pass_on(call, event)

    def _pass_on(self, call: LiveCall, event: tuple[Any, ...]) -> None:
        match event:
            case ("digit", port, digit, duration):
                self._remark(call, info("media", f"digit {digit}, {duration} ms"))
                if self._keys.setdefault(port, Keys()).by_rtp(digit, monotonic()):
                    self._deliver(call, events.Digit(digit))
            case ("played", _, play_id, interrupted):
                token = call.play_ids.pop(play_id, "")
                if token == call.playing:
                    call.playing = ""
                if token:
                    self._deliver(call, events.Played(token, interrupted))
            case ("locked", _, (host, port)):
                self._remark(call, info("media", f"sound comes from {host}:{port}"))
            case ("silent", _, seconds):
                call.is_silent = True
                text = f"no sound from the far end for {seconds:.0f} s: {silence_reason(call, self._pump)}"
                self._remark(call, Note("media", text, "warning", 0))
                self._deliver(call, events.Heard(float(seconds)))
            case ("heard", _):
                call.is_silent = False
                self._remark(call, info("media", "the far end is heard"))
                self._deliver(call, events.Heard(0.0))

    def close(self, call: LiveCall) -> PortStats:
        """Close a call's port: its final numbers."""
        self.unbridge(call)
        self._close_spare(call)
        self._calls.pop(call.port.id, None)
        self._keys.pop(call.port.id, None)
        return self._pump.close_port(call.port.id)

    def stats(self, call: LiveCall) -> PortStats:
        """Numbers so far."""
        return self._pump.stats(call.port.id)


def configure_port(pump: Pump, port_id: int, negotiated: Negotiated, signalling_host: str) -> None:
    """Tell the pump what a leg negotiated."""
    pump.configure(
        port_id,
        remote=negotiated.remote,
        rtcp_remote=negotiated.remote_rtcp,
        payload_type=negotiated.remote_payload_type,
        receive_payload_type=negotiated.payload_type,
        other_payload_type=next(
            (number for number, name in negotiated.receive if name != negotiated.codec), None
        ),
        codec=negotiated.codec,
        dtmf_payload_type=negotiated.dtmf_payload_type,
        dtmf_receive_payload_type=negotiated.dtmf_receive_payload_type,
        ptime=negotiated.ptime,
        send=negotiated.sends,
        receive=negotiated.receives,
        signalling_host=signalling_host or None,
    )


def silence_reason(call: LiveCall, pump: Pump) -> str:
    """Why nothing is heard, as far as the numbers tell."""
    stats = pump.stats(call.port.id)
    negotiated = call.leg.negotiated
    announced = f"{negotiated.remote[0]}:{negotiated.remote[1]}" if negotiated else "nowhere"
    if stats.strangers:
        return f"{stats.strangers} packets came from another address than the announced {announced}"
    if stats.packets_in:
        return "it was heard before, and stopped"
    return f"not one packet came; it announced {announced}. A firewall or NAT may stop its RTP"


def describe(stats: PortStats) -> str:
    """A port's numbers as a line of the timeline."""
    heard = (
        f"heard {stats.packets_in} packets, lost {max(0, stats.lost)}, jitter {stats.jitter * 1000:.1f} ms"
    )
    if stats.mos is not None:
        heard += f", MOS {stats.mos:.2f}"
        if stats.lost > 0:
            bare = quality(
                lost=stats.lost,
                received=stats.packets_in,
                jitter=stats.jitter,
                round_trip=stats.rtt,
                concealed=False,
            )
            heard += f" ({bare:.2f} without loss concealment)"
    discarded = f"; the kernel threw {stats.discarded} away" if stats.discarded else ""
    return f"{heard}; sent {stats.packets_out} packets{discarded}"


def _node(part: str | list[Any]) -> Any:
    if isinstance(part, str):
        return part
    name, attributes, content = part
    return (name, tuple(attributes.items()), tuple(_node(child) for child in content))
