"""The offer/answer machine of RFC 3264 for one audio stream of G.711 with telephone-event.

              offer()                        accept(answer)
    stable --------------------> offered --------------------> answered
      ^  ^                          |                          |   ^  | accept(): 183 and then 200,
      |  +-------- withdraw() ------+                          |   +--+ or another branch of a fork
      |                                                        |
      +--- answer(offer) ------ stable or answered ------------+--- offer() starts the next round

It gives bodies (bytes) and `negotiated`; a refused or broken description leaves all of it as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .description import Direction, Session
from .errors import SdpRefused, UsageError
from .negotiated import (
    CODECS,
    DEFAULT_PTIME,
    SECURE_PROTOCOLS,
    Match,
    Negotiated,
    choose,
    match,
    our_direction,
    own_host,
    packet_time,
    target,
)
from .parser import parse

TELEPHONE_EVENT = 101  # the number that everybody offers; not assigned by a standard
EVENTS = "0-15"  # RFC 4733 section 3.2: the digits, *, #, A to D
STATIC: Mapping[str, int] = {"PCMU": 0, "PCMA": 8}  # RFC 3551 section 6


class Slot(msgspec.Struct, frozen=True):
    """An m= line that this session has. Lines never go away: RFC 3264 section 8."""

    kind: str
    protocol: str
    formats: tuple[str, ...]


class OfferAnswer:
    """One side of a session's negotiation.

    `address` and `port` are where we receive RTP (RTCP on the next port); `session_id` is the o= line's.
    `codecs` are ours, in the order in which we offer them. With `single_codec`, an answer of ours names only
    the first common codec (RFC 3264 section 6.1 lets us): the peer cannot change it in the middle of a call, and
    phones made with PJSIP need no second exchange, in which they would settle on one codec themselves.
    """

    def __init__(
        self,
        address: str,
        port: int,
        session_id: int,
        codecs: Sequence[str] = CODECS,
        telephone_event: bool = True,
        *,
        single_codec: bool = True,
    ) -> None:
        if not codecs or any(codec not in STATIC for codec in codecs):
            raise UsageError(f"codecs must be some of {', '.join(STATIC)}")
        self._address = own_host(address)
        self._port = port
        self._session_id = session_id
        self._codecs = tuple(codecs)
        self._telephone_event = telephone_event
        self._single_codec = single_codec
        self._version = 1
        self._last = ""  # what we described last, without the o= line
        self._slots: list[Slot] = []
        self._index = 0
        self._payloads: dict[str, int] = {codec: STATIC[codec] for codec in codecs}
        self._dtmf = TELEPHONE_EVENT
        self._offered: Direction | None = None  # the direction of the last offer of ours, until a new round
        self._pending = False
        self._negotiated: Negotiated | None = None

    @property
    def negotiated(self) -> Negotiated | None:
        """The stream as agreed last; None before the first agreement."""
        return self._negotiated

    @property
    def pending(self) -> bool:
        """An offer of ours has no answer yet."""
        return self._pending

    def offer(self, direction: Direction = "sendrecv") -> bytes:
        """The body of an offer: the first, or one that changes (or just repeats) what is agreed.

        A repeated offer that changes nothing keeps its version (RFC 3264 section 8). Raises UsageError
        while an offer is open.
        """
        if self._pending:
            raise UsageError("an offer is open; withdraw it first")
        formats = [(self._payloads[codec], codec) for codec in self._codecs]
        if self._negotiated is not None:  # what is in use comes first
            in_use = self._negotiated.codec
            formats = [item for item in formats if item[1] == in_use] + [
                item for item in formats if item[1] != in_use
            ]
        dtmf = self._dtmf if self._telephone_event else None
        if not self._slots:
            self._slots = [Slot("audio", "RTP/AVP", ())]
            self._index = 0
        body = self._describe(formats, dtmf, direction)
        self._offered, self._pending = direction, True
        return body

    def withdraw(self) -> None:
        """The open offer was refused or never answered: what was agreed before holds. RFC 3261 section 14.1."""
        self._pending = False
        self._offered = None

    def accept(self, answer: bytes) -> Negotiated:
        """Take the answer to our offer. Raises SdpSyntaxError, SdpRefused (no stream is left) or UsageError.

        May be called again for the same offer: the 200 may differ from the 183, as forks do.
        """
        if self._offered is None:
            raise UsageError("no offer of ours waits for an answer")
        session = parse(answer)
        index = self._answered_stream(session)
        media = session.media[index]
        common = match(media, self._codecs, self._telephone_event, assumed_dtmf=self._dtmf)
        if not common.codecs:
            raise SdpRefused("no-codec", "the answer names no codec that was offered")
        where = target(session, media, self._address)
        remote_type, codec = common.codecs[0]
        self._negotiated = Negotiated(
            codec=codec,
            payload_type=self._payloads[codec],
            remote_payload_type=remote_type,
            dtmf_payload_type=common.dtmf,
            dtmf_receive_payload_type=None if common.dtmf is None else self._dtmf,
            remote=where.remote,
            remote_rtcp=where.rtcp,
            direction=our_direction(self._offered, session.direction_of(media), where.reachable),
            ptime=packet_time(media),
            receive=tuple((self._payloads[name], name) for _, name in common.codecs),
        )
        self._pending = False
        return self._negotiated

    def answer(self, offer: bytes, direction: Direction = "sendrecv") -> bytes:
        """The body that answers an offer; `direction` is the most that we are willing to do.

        Raises SdpSyntaxError (400), SdpRefused (488, or 491 while our own offer is open); the session then
        goes on as it was agreed before.
        """
        if self._pending:
            raise SdpRefused("pending", "an offer of ours is open")  # RFC 3264 section 4
        session = parse(offer)
        index, common = choose(session, self._codecs, self._telephone_event, self._index)
        media = session.media[index]
        where = target(session, media, self._address)
        if self._single_codec:
            common = Match(common.codecs[:1], common.dtmf)
        ours = our_direction(direction, session.direction_of(media), where.reachable)
        payload_type, codec = common.codecs[0]
        self._slots = [Slot(m.kind, m.protocol, tuple(m.formats)) for m in session.media]
        self._index = index
        self._learn_numbers(session, common)
        self._offered = None
        self._negotiated = Negotiated(
            codec=codec,
            payload_type=payload_type,
            remote_payload_type=payload_type,
            dtmf_payload_type=common.dtmf,
            dtmf_receive_payload_type=common.dtmf,
            remote=where.remote,
            remote_rtcp=where.rtcp,
            direction=ours,
            ptime=packet_time(media),
            receive=common.codecs,
        )
        return self._describe(common.codecs, common.dtmf, ours)

    def move(self, address: str, port: int) -> None:
        """Receive somewhere else from the next offer or answer on (take-over, a new network address)."""
        self._address = own_host(address)
        self._port = port

    def record(self) -> dict[str, Any]:
        """The machine as plain data for JSON, so that another node can go on; an open offer is left out."""
        return {
            "address": self._address,
            "port": self._port,
            "session_id": self._session_id,
            "codecs": list(self._codecs),
            "telephone_event": self._telephone_event,
            "single_codec": self._single_codec,
            "version": self._version,
            "last": self._last,
            "slots": [[slot.kind, slot.protocol, list(slot.formats)] for slot in self._slots],
            "index": self._index,
            "payloads": dict(self._payloads),
            "dtmf": self._dtmf,
            "negotiated": None if self._negotiated is None else msgspec.structs.asdict(self._negotiated),
        }

    @classmethod
    def restore(cls, record: Mapping[str, Any]) -> OfferAnswer:
        """The machine that `record()` described."""
        machine = cls(
            record["address"],
            record["port"],
            record["session_id"],
            record["codecs"],
            record["telephone_event"],
            single_codec=record["single_codec"],
        )
        machine._version = record["version"]
        machine._last = record["last"]
        machine._slots = [Slot(kind, protocol, tuple(formats)) for kind, protocol, formats in record["slots"]]
        machine._index = record["index"]
        machine._payloads = dict(record["payloads"])
        machine._dtmf = record["dtmf"]
        agreed = record["negotiated"]
        if agreed is not None:
            rtcp = agreed["remote_rtcp"]
            machine._negotiated = Negotiated(
                **{
                    **agreed,
                    "remote": tuple(agreed["remote"]),
                    "remote_rtcp": None if rtcp is None else tuple(rtcp),
                    "receive": tuple(tuple(item) for item in agreed["receive"]),
                }
            )
        return machine

    def _answered_stream(self, session: Session) -> int:
        """Our stream's line in an answer: the line at its place, else (for peers that drop lines) any audio."""
        media = session.media
        places = [self._index] if self._index < len(media) else []
        places += [i for i in range(len(media)) if i != self._index]
        for i in places:
            if media[i].kind == "audio" and media[i].port:
                if media[i].protocol.upper() in SECURE_PROTOCOLS:
                    raise SdpRefused("secure-media", "the answer encrypts what was offered plain")
                return i
        raise SdpRefused("no-audio", "the answer refuses the audio stream")

    def _learn_numbers(self, session: Session, common: Match) -> None:
        """Payload numbers stay the same for the whole session: RFC 3264 section 8.3.2."""
        self._payloads = {codec: STATIC[codec] for codec in self._codecs}
        for payload_type, codec in common.codecs:
            self._payloads[codec] = payload_type
        if common.dtmf is not None:
            self._dtmf = common.dtmf
            return
        number = str(self._dtmf)
        streams = [media for media in session.media if media.kind == "audio" and number in media.formats]
        if any(self._dtmf in media.rtpmaps() for media in streams):  # they mean something else by it
            taken = {t for media in session.media if media.kind == "audio" for t in media.rtpmaps()}
            self._dtmf = next(t for t in range(127, 95, -1) if t not in taken or t == 96)

    def _describe(self, formats: Sequence[tuple[int, str]], dtmf: int | None, direction: Direction) -> bytes:
        """Our description with all the session's m= lines; all but ours are refused with port 0."""
        family = "IP6" if ":" in self._address else "IP4"
        lines = ["s=Ringback", f"c=IN {family} {self._address}", "t=0 0"]
        for i, slot in enumerate(self._slots):
            if i == self._index:
                lines += self._stream(slot, formats, dtmf, direction)
            else:
                lines.append(f"m={slot.kind} 0 {slot.protocol} {' '.join(slot.formats) or '0'}")
        described = "\r\n".join(lines) + "\r\n"
        if self._last and described != self._last:
            self._version += 1  # RFC 3264 section 8: by one, and only for a change
        self._last = described
        origin = f"v=0\r\no=ringback {self._session_id} {self._version} IN {family} {self._address}\r\n"
        return (origin + described).encode("utf-8", "surrogateescape")

    def _stream(
        self, slot: Slot, formats: Sequence[tuple[int, str]], dtmf: int | None, direction: Direction
    ) -> list[str]:
        numbers = [str(payload_type) for payload_type, _ in formats]
        lines = [f"a=rtpmap:{payload_type} {codec}/8000" for payload_type, codec in formats]
        if dtmf is not None:
            numbers.append(str(dtmf))
            lines += [f"a=rtpmap:{dtmf} telephone-event/8000", f"a=fmtp:{dtmf} {EVENTS}"]
        lines += [f"a=ptime:{DEFAULT_PTIME}", f"a={direction}"]
        return [f"m=audio {self._port} {slot.protocol} {' '.join(numbers)}", *lines]
