"""One port of the pure pump: everything between two sockets and the rest of the pump."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from ringback.media import g711
from ringback.media.pump import Address, Codec, Event, PortStats, Track, quality
from ringback.media.pure_rtcp import PureRtcp, send
from ringback.media.pure_sound import SILENCE, Playing, Tap
from ringback.media.sockets import Pair, discarded
from ringback.rtp import tones
from ringback.rtp.allowance import Allowance
from ringback.rtp.dtmf import TONE_TICKS, Digit, DtmfReceiver, DtmfSender, Phase, Tick
from ringback.rtp.errors import RtpSyntaxError
from ringback.rtp.limits import DIGIT_RATE, FRAME_RATE, MAX_DIGITS_AT_ONCE, MAX_FRAMES
from ringback.rtp.outbound import OutboundStream, Stamp
from ringback.rtp.packet import Packet
from ringback.rtp.playout import FRAME
from ringback.rtp.reception import Reception
from ringback.rtp.report import jitter_seconds
from ringback.rtp.source import SourceLock, Verdict

KEEP_ALIVE_AFTER: Final = 5.0  # seconds; RFC 6263 section 4.6 allows up to 15
_COMFORT_NOISE: Final = 13  # RFC 3389
_STATIC: Final[dict[int, Codec]] = {0: "PCMU", 8: "PCMA"}  # RFC 3551 table 4
_TONES: Final = {digit: g711.encode_ulaw(tones.samples(digit)) for digit in "0123456789*#ABCD"}


class Configuration(NamedTuple):
    """What was negotiated; see `Pump.configure`."""

    remote: Address
    rtcp_remote: Address | None
    payload_type: int
    codec: Codec
    dtmf_payload_type: int | None
    dtmf_receive_payload_type: int | None
    send: bool
    receive: bool
    signalling_host: str | None
    receive_payload_type: int
    other_payload_type: int | None

    @property
    def received(self) -> set[int]:
        """The payload types that the peer may send."""
        types = (self.receive_payload_type, self.other_payload_type, self.dtmf_receive_payload_type)
        return {number for number in types if number is not None}

    def codec_of(self, payload_type: int) -> Codec | None:
        """The codec of a packet that came."""
        if payload_type == self.receive_payload_type:
            return self.codec
        if payload_type == self.other_payload_type:
            return "PCMA" if self.codec == "PCMU" else "PCMU"
        return _STATIC.get(payload_type)


class Listener(Protocol):
    """A mixer's ear: takes a member's audio."""

    def hear(self, port_id: int, packet: Packet, ulaw: bytes) -> None:
        """A packet with its audio as mu-law."""


class PurePort:
    """A port. All calls come under the pump's lock; times are monotonic seconds."""

    def __init__(
        self,
        port_id: int,
        pair: Pair[socket.socket],
        stream: OutboundStream,
        cname: str,
        emit: Callable[[Event], None],
        now: float,
        report_at: float,
        silent_after: float,
        ours: range,
    ) -> None:
        self.id = port_id
        self.pair = pair
        self.peer: PurePort | None = None
        self.mixer: Listener | None = None
        self.taps: list[Tap] = []
        self.report_at = report_at
        self._stream = stream
        self._emit = emit
        self._silent_after = silent_after
        self._opened_at = now
        self._lock = SourceLock()
        self._rtcp = PureRtcp(pair.rtcp, cname, stream, self._lock)
        self._configuration: Configuration | None = None
        self._reception: Reception | None = None
        self._dtmf = DtmfReceiver()
        self._ours = ours
        self._is_near = False  # its peer's port is in our own range, and may be ours
        self._near = Allowance(MAX_FRAMES, FRAME_RATE)
        self._told = Allowance(MAX_FRAMES, FRAME_RATE)
        self._digits = Allowance(MAX_DIGITS_AT_ONCE, DIGIT_RATE)
        self._playing: Playing | None = None
        self._sender: DtmfSender | None = None
        self._sender_id: int | None = None
        self._sounding = False
        self._event_timestamp = 0
        self._quiet_since = now
        self._heard = False
        self._silent = False
        self._idle_since = now
        self._packets_in = self._bytes_in = self._strangers = self._malformed = self._discarded = (
            self._lost_before
        ) = 0
        self._first_at: float | None = None
        self._last_at: float | None = None

    # Commands

    def configure(self, configuration: Configuration, now: float) -> None:
        """See `Pump.configure`."""
        self._configuration = configuration
        self._rtcp.configure(configuration.remote, configuration.rtcp_remote)
        self._lock.configure(configuration.remote, configuration.signalling_host, configuration.received)
        self._quiet_since = self._idle_since = now
        if self._silent:
            self._heard = self._silent = False

    def play(self, playing: Playing) -> None:
        """Play in place of what plays."""
        self._end_playing()
        self._playing = playing

    def send_digits(self, sender: DtmfSender, play_id: int) -> None:
        """Send in place of what is sent."""
        self._end_digits()
        self._sender, self._sender_id = sender, play_id

    def stop(self) -> None:
        """Stop both."""
        self._end_playing()
        self._end_digits()

    def _end_playing(self) -> None:
        if self._playing is not None:
            self._emit(("played", self.id, self._playing.play_id, True))
            self._playing = None

    def _end_digits(self) -> None:
        if self._sender is not None and self._sender_id is not None:
            self._emit(("played", self.id, self._sender_id, True))
        self._sender, self._sender_id, self._sounding = None, None, False

    # From the peer

    def on_rtp(self, data: bytes, source: Address, now: float) -> None:
        """A datagram on the RTP socket."""
        try:
            packet = Packet.parse(data)
        except RtpSyntaxError:
            self._malformed += 1
            return
        configuration = self._configuration
        if configuration is None:
            self._strangers += 1
            return
        codec = configuration.codec_of(packet.payload_type)
        is_event = packet.payload_type == configuration.dtmf_receive_payload_type
        verdict = self._lock.offer(source, packet.payload_type, packet.ssrc, packet.sequence)
        if verdict is Verdict.STRANGER:
            self._strangers += 1
            return
        if codec is None and not is_event and packet.payload_type != _COMFORT_NOISE:
            self._malformed += 1
            return
        if verdict is Verdict.ACCEPT and self._is_near and not self._near.take(_frames(packet.payload), now):
            self._malformed += 1
            return
        if verdict is Verdict.LOCKED:
            self._rtcp.unlock()
            self._is_near = source[1] in self._ours
            self._emit(("locked", self.id, source))
        self._count(packet, codec is not None and not is_event, now)
        if not configuration.receive:
            return
        if not self._heard:
            self._heard, self._silent = True, False
            self._emit(("heard", self.id))
        if is_event:
            self._on_event(packet, now)
        elif codec is not None and packet.payload:
            self._on_audio(packet, codec, now)

    def _count(self, packet: Packet, is_audio: bool, now: float) -> None:
        self._packets_in += 1
        self._bytes_in += len(packet.payload)
        self._quiet_since = self._last_at = now
        if self._first_at is None:
            self._first_at = now
        if self._reception is None or self._reception.ssrc != packet.ssrc:
            if self._reception is not None:
                self._lost_before += self._reception.lost
            self._reception = Reception(packet.ssrc, packet.sequence)
            self._dtmf = DtmfReceiver()
        self._reception.receive(packet.sequence)
        if is_audio:
            self._reception.time(packet.timestamp, now)

    def _on_event(self, packet: Packet, now: float) -> None:
        digits = self._dtmf.receive(packet.timestamp, packet.payload, now)
        self._emit_digits(digits, now)
        if self.peer is not None and len(packet.payload) >= 4:
            self.peer.relay_event((self.id, packet.ssrc), packet, now)

    def _emit_digits(self, digits: list[Digit], now: float) -> None:
        for digit, duration in digits:
            if not self._digits.take(1, now):
                continue
            self._emit(("digit", self.id, digit, duration))
            if self.peer is not None and not self.peer.takes_events:
                self.peer.spell_also(digit)

    def _on_audio(self, packet: Packet, codec: Codec, now: float) -> None:
        inbound = self._told_of("inbound", packet.payload, now)
        if inbound or self.mixer is not None:
            ulaw = packet.payload if codec == "PCMU" else packet.payload.translate(g711.ALAW_TO_ULAW)
            for tap in inbound:
                for event in tap.feed(ulaw, packet.timestamp, now):
                    self._emit(event)
            if self.mixer is not None:
                self.mixer.hear(self.id, packet, ulaw)
        if self.peer is not None:
            self.peer.relay((self.id, packet.ssrc), packet, codec, now)

    def _told_of(self, track: Track, payload: bytes, now: float) -> list[Tap]:
        """Who is told of this sound."""
        if not self.taps or not self._told.take(_frames(payload), now):
            return []
        return [tap for tap in self.taps if tap.track == track]

    def on_rtcp(self, data: bytes, source: Address, now: float, wall: float) -> None:
        """A datagram on the RTCP socket."""
        try:
            if not self._rtcp.receive(data, source, now, wall):
                self._strangers += 1
        except RtpSyntaxError:
            self._malformed += 1

    # To the peer

    def relay(self, origin: tuple[int, int], packet: Packet, codec: Codec, now: float) -> None:
        """Audio of the connected port."""
        if self._is_busy():
            return
        configuration, size = self._configuration, len(packet.payload)
        if configuration is None or not self._may_send():
            return
        stamp = self._stream.relay(origin, packet.sequence, packet.timestamp, packet.marker, size, size, now)
        if stamp is None:
            return
        payload = packet.payload
        if codec != configuration.codec:
            payload = payload.translate(g711.ALAW_TO_ULAW if codec == "PCMA" else g711.ULAW_TO_ALAW)
        self._transmit(stamp, configuration.payload_type, payload)
        if self.taps:
            self._tap_outbound(payload, configuration.codec, stamp, now)

    def relay_event(self, origin: tuple[int, int], packet: Packet, now: float) -> None:
        """A telephone event of the connected port."""
        configuration = self._configuration
        if configuration is None or configuration.dtmf_payload_type is None or self._is_busy():
            return
        if not self._may_send():
            return
        stamp = self._stream.relay(origin, packet.sequence, packet.timestamp, packet.marker, 0, 4, now)
        if stamp is not None:
            self._transmit(stamp, configuration.dtmf_payload_type, packet.payload[:4])

    @property
    def takes_events(self) -> bool:
        """Whether the peer takes telephone events; else it gets digits as tones."""
        return self._configuration is not None and self._configuration.dtmf_payload_type is not None

    def spell_also(self, digit: str) -> None:
        """A digit of the connected port, after those of it that wait; what a program plays or spells goes before."""
        if self._configuration is None or self._playing is not None or self._sender_id is not None:
            return
        if self._sender is None:
            self._sender = DtmfSender("")
        self._sender.add(digit)

    def _is_busy(self) -> bool:
        """Something goes before what the connected port sends."""
        return self._playing is not None or self._sounding

    def _may_send(self) -> bool:
        target = self._lock.target
        return (
            self._configuration is not None
            and self._configuration.send
            and target is not None
            and target[1] != 0
            and target[0] not in ("0.0.0.0", "::")
        )

    def tick(self, mixed: bytes | None, now: float, wall: float) -> None:
        """20 ms passed; `mixed` is the mixer's frame for this port."""
        self._emit_digits(self._dtmf.expire(now), now)
        self._watch(now)
        if now >= self.report_at:
            self._rtcp.send(self._reception, now, wall)
        if self._spell(now):
            return
        if self._playing is not None:
            frame, is_last = self._playing.frame()
            self._send_frame(frame, now)
            if is_last:
                self._emit(("played", self.id, self._playing.play_id, False))
                self._playing = None
        elif mixed is not None:
            self._send_frame(mixed, now)
        elif now - max(self._idle_since, self._stream.sent_at or 0.0) >= KEEP_ALIVE_AFTER:
            self._send_frame(SILENCE, now)

    def _spell(self, now: float) -> bool:
        """Send a tick of digits; False when other audio may pass."""
        if self._sender is None:
            return False
        tick = self._sender.tick()
        if tick is None:
            if self._sender_id is not None:
                self._emit(("played", self.id, self._sender_id, False))
            self._sender, self._sender_id, self._sounding = None, None, False
            return False
        self._sounding = tick.phase is not Phase.WAIT
        if self._sounding:
            self._send_tick(tick, now)
        return self._sounding

    def _send_tick(self, tick: Tick, now: float) -> None:
        configuration = self._configuration
        if configuration is None:
            return
        if configuration.dtmf_payload_type is None:
            frame = SILENCE
            if tick.number < TONE_TICKS:
                frame = _TONES[tick.digit][tick.number * FRAME : (tick.number + 1) * FRAME]
            self._send_frame(frame, now)
        elif tick.event is not None and self._may_send():
            first = tick.number == 0
            if first:
                self._event_timestamp = self._stream.begin_event(now)
            stamp = self._stream.event(self._event_timestamp, tick.event.duration, first, now)
            self._transmit(stamp, configuration.dtmf_payload_type, tick.event.render())

    def _send_frame(self, ulaw: bytes, now: float) -> None:
        configuration = self._configuration
        self._idle_since = now
        if configuration is None or not self._may_send():
            return
        stamp = self._stream.frame(FRAME, FRAME, now)
        payload = ulaw if configuration.codec == "PCMU" else ulaw.translate(g711.ULAW_TO_ALAW)
        self._transmit(stamp, configuration.payload_type, payload)
        if self.taps:
            self._tap_outbound(ulaw, "PCMU", stamp, now)

    def _tap_outbound(self, payload: bytes, codec: Codec, stamp: Stamp, now: float) -> None:
        outbound = self._told_of("outbound", payload, now)
        if outbound:
            ulaw = payload if codec == "PCMU" else payload.translate(g711.ALAW_TO_ULAW)
            for tap in outbound:
                for event in tap.feed(ulaw, stamp.timestamp, now):
                    self._emit(event)

    def _transmit(self, stamp: Stamp, payload_type: int, payload: bytes) -> None:
        target = self._lock.target
        if target is not None:
            packet = Packet(
                payload_type, stamp.sequence, stamp.timestamp, self._stream.ssrc, payload, stamp.marker
            )
            send(self.pair.rtp, packet.render(), target)

    def _watch(self, now: float) -> None:
        configuration = self._configuration
        if configuration is None or not configuration.receive or self._silent:
            return
        quiet = now - self._quiet_since
        if quiet >= self._silent_after:
            self._silent, self._heard = True, False
            self._emit(("silent", self.id, quiet))

    # Numbers and the end

    def close(self, now: float, wall: float) -> None:
        """Say goodbye and close the sockets."""
        self._rtcp.send(self._reception, now, wall, bye=True)
        self._discarded = discarded(self.pair.rtp)
        self.pair.rtp.close()
        self.pair.rtcp.close()

    def stats(self) -> PortStats:
        """See PortStats."""
        reception, round_trip = self._reception, self._rtcp.round_trip
        if self.pair.rtp.fileno() >= 0:
            self._discarded = discarded(self.pair.rtp)
        lost = self._lost_before + (reception.lost if reception is not None else 0)
        jitter = jitter_seconds(reception.jitter) if reception is not None else 0.0
        return PortStats(
            packets_in=self._packets_in,
            bytes_in=self._bytes_in,
            packets_out=self._stream.packets,
            bytes_out=self._stream.octets,
            lost=lost,
            jitter=jitter,
            mos=quality(lost=lost, received=self._packets_in, jitter=jitter, round_trip=round_trip),
            first_packet_at=None if self._first_at is None else self._first_at - self._opened_at,
            last_packet_at=None if self._last_at is None else self._last_at - self._opened_at,
            source=self._lock.source,
            rtt=round_trip,
            strangers=self._strangers,
            malformed=self._malformed,
            discarded=self._discarded,
            remote=self._rtcp.remote,
        )


def _frames(payload: bytes) -> int:
    """How many frames a payload counts for: one at least."""
    return 1 + max(0, len(payload) - 1) // FRAME
