"""The pump in plain Python: the oracle of the compiled one, and the fallback where no compiler was.

One thread waits for packets and wakes each 20 ms while there are ports; commands run in the caller's thread under the
pump's lock.
"""

from __future__ import annotations

import os
import secrets
import selectors
import threading
import time
from contextlib import suppress
from typing import Final

from ringback.media.errors import Overload, UnknownPort, UsageError
from ringback.media.limits import MAX_AUDIO, MAX_EVENTS, MAX_FRAME_EVENTS, MAX_MIXERS, MAX_PORTS, MAX_TAPS
from ringback.media.pump import REPORT_AFTER, SILENT_AFTER, Address, Codec, Event, Port, PortStats, Track
from ringback.media.pure_mixer import Member, PureMixer
from ringback.media.pure_port import Configuration, PurePort
from ringback.media.pure_sound import Playing, Tap
from ringback.media.sockets import PortPairs, bind_both, canonical
from ringback.rtp.dtmf import DIGITS, DtmfSender
from ringback.rtp.errors import UsageError as RtpUsageError
from ringback.rtp.limits import MAX_DATAGRAM
from ringback.rtp.outbound import OutboundStream

TICK: Final = 0.020
_MAX_BEHIND: Final = (
    10  # ticks; a pump that slept longer (a suspended machine) does not send them all at once
)


class PurePump:
    """See `ringback.media.pump.Pump`."""

    def __init__(
        self,
        rtp_ports: tuple[int, int],
        *,
        report_after: float = REPORT_AFTER,
        silent_after: float = SILENT_AFTER,
    ) -> None:
        self._pairs = PortPairs(rtp_ports, bind_both)
        self._ours = range(rtp_ports[0], rtp_ports[1] + 1)
        self._report_after = report_after
        self._silent_after = silent_after
        self._lock = threading.Lock()
        self._ports: dict[int, PurePort] = {}
        self._mixers: dict[int, PureMixer] = {}
        self._taps: dict[int, int] = {}
        self._last_id = 0
        self._events: list[Event] = []
        self._closed = False
        self._selector = selectors.DefaultSelector()
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._writable, False)
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="ringback-pump", daemon=True)
        self._thread.start()

    # Events

    def fileno(self) -> int:
        return self._readable

    def events(self) -> list[Event]:
        with self._lock:
            if not self._closed:
                with suppress(BlockingIOError):
                    os.read(self._readable, 64)
            events, self._events = self._events, []
        return events

    def _emit(self, event: Event) -> None:
        limit = MAX_FRAME_EVENTS if event[0] == "frames" else MAX_EVENTS
        if len(self._events) >= limit:
            return
        if not self._events:
            with suppress(BlockingIOError):
                os.write(self._writable, b"!")
        self._events.append(event)

    # Ports

    def open(self, host: str) -> Port:
        with self._lock:
            self._check()
            if len(self._ports) >= MAX_PORTS:
                raise Overload("too many ports")
            pair = self._pairs.bind(host)
            now = time.monotonic()
            stream = OutboundStream(secrets.randbits(32), secrets.randbits(15), secrets.randbits(32))
            self._last_id += 1
            report_at = now + self._interval()
            port = PurePort(
                self._last_id,
                pair,
                stream,
                secrets.token_hex(8),
                self._emit,
                now,
                report_at,
                self._silent_after,
                self._ours,
            )
            self._wake()
            self._ports[port.id] = port
            self._selector.register(pair.rtp, selectors.EVENT_READ, (port, False))
            self._selector.register(pair.rtcp, selectors.EVENT_READ, (port, True))
            return Port(port.id, pair.host, pair.port)

    def configure(
        self,
        port_id: int,
        *,
        remote: Address,
        rtcp_remote: Address | None,
        payload_type: int,
        codec: Codec,
        dtmf_payload_type: int | None,
        dtmf_receive_payload_type: int | None,
        ptime: int = 20,
        send: bool,
        receive: bool,
        signalling_host: str | None,
        receive_payload_type: int | None = None,
        other_payload_type: int | None = None,
    ) -> None:
        if codec not in ("PCMU", "PCMA"):
            raise UsageError(f"codec {codec!r}")
        received = payload_type if receive_payload_type is None else receive_payload_type
        for number in (
            payload_type,
            dtmf_payload_type,
            dtmf_receive_payload_type,
            received,
            other_payload_type,
        ):
            if number is not None and not 0 <= number < 128:
                raise UsageError(f"payload type {number}")
        configuration = Configuration(
            _address(remote),
            None if rtcp_remote is None else _address(rtcp_remote),
            payload_type,
            codec,
            dtmf_payload_type,
            dtmf_receive_payload_type,
            send,
            receive,
            None if signalling_host is None else canonical(signalling_host),
            received,
            other_payload_type,
        )
        with self._lock:
            self._port(port_id).configure(configuration, time.monotonic())

    def close_port(self, port_id: int) -> PortStats:
        with self._lock:
            port = self._port(port_id)
            self._part(port)
            self._unmix(port)
            for tap in port.taps:
                del self._taps[tap.tap_id]
            del self._ports[port_id]
            self._selector.unregister(port.pair.rtp)
            self._selector.unregister(port.pair.rtcp)
            port.close(time.monotonic(), time.time())
            self._pairs.release(port.pair.host, port.pair.port)
            return port.stats()

    def stats(self, port_id: int) -> PortStats:
        with self._lock:
            return self._port(port_id).stats()

    def connect(self, a: int, b: int) -> None:
        with self._lock:
            one, other = self._port(a), self._port(b)
            if one is other:
                raise UsageError("a port cannot be connected to itself")
            for port in (one, other):
                self._part(port)
                self._unmix(port)
            one.peer, other.peer = other, one

    def disconnect(self, a: int, b: int) -> None:
        with self._lock:
            self._check()
            one, other = self._ports.get(a), self._ports.get(b)
            if one is not None and other is not None and one.peer is other:
                self._part(one)

    def _part(self, port: PurePort) -> None:
        if port.peer is not None:
            port.peer.peer = None
            port.peer = None

    # Playing and digits

    def play(self, port_id: int, play_id: int, audio: bytes, loops: int) -> None:
        if loops < 0:
            raise UsageError(f"{loops} loops")
        with self._lock:
            self._port(port_id).play(Playing(play_id, _audio(audio), loops))

    def stop(self, port_id: int) -> None:
        with self._lock:
            self._check()
            port = self._ports.get(port_id)
            if port is not None:
                port.stop()

    def send_digits(self, port_id: int, digits: str, play_id: int) -> None:
        try:
            sender = DtmfSender(digits)
        except RtpUsageError as error:
            raise UsageError(str(error)) from error
        with self._lock:
            self._port(port_id).send_digits(sender, play_id)

    def press(self, port_id: int, digit: str) -> None:
        if len(digit) != 1 or digit not in DIGITS:
            raise UsageError(f"{digit!r} is no key")
        with self._lock:
            peer = self._port(port_id).peer
            if peer is not None:
                peer.spell_also(digit)

    # Taps

    def tap(self, port_id: int, tap_id: int, track: Track) -> None:
        if track not in ("inbound", "outbound"):
            raise UsageError(f"track {track!r}")
        with self._lock:
            port = self._port(port_id)
            if tap_id in self._taps:
                raise UsageError(f"tap {tap_id} is set already")
            if len(port.taps) >= MAX_TAPS:
                raise Overload(f"{MAX_TAPS} taps on one port")
            port.taps.append(Tap(tap_id, track, time.monotonic()))
            self._taps[tap_id] = port_id

    def untap(self, tap_id: int) -> None:
        with self._lock:
            self._check()
            port_id = self._taps.pop(tap_id, None)
            if port_id is not None:
                port = self._ports[port_id]
                port.taps = [tap for tap in port.taps if tap.tap_id != tap_id]

    # Mixers

    def open_mixer(self) -> int:
        with self._lock:
            self._check()
            if len(self._mixers) >= MAX_MIXERS:
                raise Overload("too many mixers")
            self._wake()
            self._last_id += 1
            self._mixers[self._last_id] = PureMixer(self._last_id, self._emit)
            return self._last_id

    def mix(
        self, mixer_id: int, port_id: int, *, muted: bool = False, deaf: bool = False, heard_by: int = 0
    ) -> None:
        with self._lock:
            mixer, port = self._mixer(mixer_id), self._port(port_id)
            self._part(port)
            if port.mixer is not mixer:
                self._unmix(port)
                mixer.members[port_id] = Member(port)
                port.mixer = mixer
            member = mixer.members[port_id]
            member.muted, member.deaf, member.heard_by = muted, deaf, heard_by

    def set_muted(self, mixer_id: int, port_id: int, muted: bool) -> None:
        with self._lock:
            member = self._mixer(mixer_id).members.get(port_id)
            if member is None:
                raise UnknownPort(f"port {port_id} is not in mixer {mixer_id}")
            member.muted = muted

    def unmix(self, mixer_id: int, port_id: int) -> None:
        with self._lock:
            self._check()
            mixer = self._mixers.get(mixer_id)
            if mixer is not None and port_id in mixer.members:
                self._unmix(mixer.members[port_id].port)

    def close_mixer(self, mixer_id: int) -> None:
        with self._lock:
            self._check()
            mixer = self._mixers.pop(mixer_id, None)
            if mixer is not None:
                for member in mixer.members.values():
                    member.port.mixer = None

    def play_mixer(self, mixer_id: int, play_id: int, audio: bytes) -> None:
        with self._lock:
            self._mixer(mixer_id).play(Playing(play_id, _audio(audio), 1))

    def _unmix(self, port: PurePort) -> None:
        if isinstance(port.mixer, PureMixer):
            del port.mixer.members[port.id]
        port.mixer = None

    # The thread

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._wake()
            self._closed = True
        self._thread.join()
        now, wall = time.monotonic(), time.time()
        for port in self._ports.values():
            port.close(now, wall)
            self._pairs.release(port.pair.host, port.pair.port)
        self._ports.clear()
        self._mixers.clear()
        self._selector.close()
        os.close(self._readable)
        for descriptor in (self._writable, self._woken, self._waker):
            os.close(descriptor)

    def _wake(self) -> None:
        """The thread sleeps without a time when there is nothing to look after."""
        if not self._ports and not self._mixers:
            with suppress(BlockingIOError):
                os.write(self._waker, b"!")

    def _run(self) -> None:
        due = time.monotonic() + TICK
        while not self._closed:
            is_idle = not self._ports and not self._mixers
            ready = self._selector.select(None if is_idle else max(0.0, due - time.monotonic()))
            with self._lock:
                for key, _ in ready:
                    if key.data is None:
                        os.read(self._woken, 64)
                        due = time.monotonic() + TICK
                        continue
                    port, is_rtcp = key.data
                    if port.id in self._ports:
                        self._receive(port, is_rtcp)
                now = time.monotonic()
                if now - due > _MAX_BEHIND * TICK:
                    due = now
                while due <= now:
                    self._tick(due)
                    due += TICK

    def _receive(self, port: PurePort, is_rtcp: bool) -> None:
        udp = port.pair.rtcp if is_rtcp else port.pair.rtp
        try:
            data, source = udp.recvfrom(MAX_DATAGRAM + 1)
        except OSError:  # drained already, or an ICMP error of a packet sent before
            return
        now, address = time.monotonic(), (source[0], source[1])
        if is_rtcp:
            port.on_rtcp(data, address, now, time.time())
        else:
            port.on_rtp(data, address, now)

    def _tick(self, now: float) -> None:
        mixed: dict[int, bytes] = {}
        for mixer in self._mixers.values():
            mixed.update(mixer.mix())
        wall = time.time()
        for port in self._ports.values():
            is_due = now >= port.report_at
            port.tick(mixed.get(port.id), now, wall)
            if is_due:
                port.report_at = now + self._interval()

    def _interval(self) -> float:
        """Seconds to the next report: 0.5 to 1.5 times the mean, RFC 3550 section 6.3.1."""
        return self._report_after * (0.5 + secrets.randbelow(1000) / 1000.0)

    def _check(self) -> None:
        if self._closed:
            raise UsageError("the pump is closed")

    def _port(self, port_id: int) -> PurePort:
        self._check()
        port = self._ports.get(port_id)
        if port is None:
            raise UnknownPort(f"port {port_id}")
        return port

    def _mixer(self, mixer_id: int) -> PureMixer:
        self._check()
        mixer = self._mixers.get(mixer_id)
        if mixer is None:
            raise UnknownPort(f"mixer {mixer_id}")
        return mixer


def _address(address: Address) -> Address:
    host, port = address
    if not 0 <= port <= 65535:
        raise UsageError(f"UDP port {port}")
    return canonical(host), port


def _audio(audio: bytes) -> bytes:
    if len(audio) > MAX_AUDIO:
        raise UsageError(f"{len(audio)} bytes of audio, at most {MAX_AUDIO}")
    return bytes(audio)
