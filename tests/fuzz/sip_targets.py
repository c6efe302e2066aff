"""SIP and SDP: datagrams, streams, URIs, header fields, digest, the agent, descriptions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from fuzz import agent_target, seeds, stories
from fuzz.target import Target, text_of

from ringback.sdp import OfferAnswer
from ringback.sdp import PeerError as SdpPeerError
from ringback.sdp import parse as parse_sdp
from ringback.sdp.errors import SdpSyntaxError
from ringback.sip import stun
from ringback.sip.authenticator import Authenticator
from ringback.sip.content import info_of, is_plain, session_of
from ringback.sip.digest import Challenge, Credentials, answer
from ringback.sip.errors import SipSyntaxError
from ringback.sip.fields import Message
from ringback.sip.header_names import canonical_name
from ringback.sip.headers import (
    delta_seconds,
    parse_cseq,
    parse_name_addr,
    parse_name_addrs,
    parse_params,
    parse_via,
    parse_vias,
    split_list,
)
from ringback.sip.limits import MAX_BODY, MAX_HEAD
from ringback.sip.message import Request, Response, parse
from ringback.sip.stream import KeepAlive, Malformed, StreamParser
from ringback.sip.uri import Uri


def check_message(message: Request | Response) -> None:
    """What a message that was taken must allow everybody to do with it."""
    written = parse(message.render())
    # Where the bytes that were no UTF-8 stood in what is written anew, the same bytes are another text.
    assert written.start_line().encode(written.encoding) == message.start_line().encode(message.encoding)
    assert written.body == message.body
    try:
        message.validate()
    except SipSyntaxError as error:
        assert 400 <= error.status < 700
        return
    for name in ("via", "vias", "from_", "to", "call_id", "cseq", "contacts", "routes", "record_routes"):
        getattr(message, name)
    for name in ("max_forwards", "expires", "content_type", "is_wildcard"):
        getattr(message, name)
    if isinstance(message, Request):
        message.stamp_via("192.0.2.7", 5060)
        answered = parse(message.reply(404, to_tag="t").render())
        assert isinstance(answered, Response)
        assert answered.cseq == message.cseq


def datagram(data: bytes) -> None:
    """One UDP datagram."""
    try:
        message = parse(data)
    except SipSyntaxError as error:
        assert 400 <= error.status < 700
        if isinstance(error.message, Request):
            error.message.reply(error.status, error.reason, to_tag="t").render()
        return
    check_message(message)


def _items(data: bytes, size: int) -> tuple[list[tuple[str, bytes]], bool]:
    parser = StreamParser()
    found: list[tuple[str, bytes]] = []
    for at in range(0, len(data), size):
        try:
            items = parser.feed(data[at : at + size])
        except SipSyntaxError as error:
            assert parser.failure is error
            return found, True
        for item in items:
            if isinstance(item, Malformed):
                found.append((str(item.error), b""))
            elif not isinstance(item, KeepAlive):
                found.append((item.start_line(), item.body))
        assert len(parser._buffer) <= MAX_HEAD + MAX_BODY + size
    return found, parser.failure is not None


def stream(data: bytes) -> None:
    """A stream gives the same messages however it is cut."""
    if len(data) < 2_000:
        sizes = (len(data) or 1, 1 + data[0] % 200 if data else 1, 1)
    else:
        sizes = (len(data), 500 + data[0])
    results = [_items(data, size) for size in sizes]
    assert all(result == results[0] for result in results), results


def uri(data: bytes) -> None:
    """A URI, read and built again."""
    text = text_of(data)
    try:
        found = Uri.parse(text)
    except SipSyntaxError:
        return
    assert str(found) == text
    assert found.matches(Uri.parse(text))
    assert found.aor
    _ = found.transport, found.opaque, repr(found)
    if found.is_sip and len(text) < 600:  # escapes make a byte six characters
        again = Uri.parse(str(found.replace(port=5070)))
        assert (again.user, again.password, again.host) == (found.user, found.password, found.host)


FIELD_PARSERS: tuple[Callable[[str], Any], ...] = (
    parse_name_addr,
    lambda text: parse_name_addrs([text]),
    parse_via,
    lambda text: parse_vias([text, text]),
    parse_cseq,
    parse_params,
    split_list,
    canonical_name,
)


def fields(data: bytes) -> None:
    """The value of a header field, given to all that read one."""
    text = text_of(data)
    for parser in FIELD_PARSERS:
        with contextlib.suppress(SipSyntaxError):
            str(parser(text))
    assert 0 <= delta_seconds(text, 60) < 1 << 32
    with contextlib.suppress(SipSyntaxError):
        address = parse_name_addr(text)
        _ = address.q, address.expires, address.param("tag")
        assert parse_name_addr(str(address)).uri.matches(address.uri) or not address.uri.is_sip


LINE_ENDS = str.maketrans("\r\n", "  ")
NONCE_TIME = 0x18C0FFEE / 1000
AUTHENTICATOR = Authenticator(b"0123456789abcdef", "sip.twilio.com")


def digest(data: bytes) -> None:
    """Credentials and challenges."""
    text = text_of(data)
    with contextlib.suppress(SipSyntaxError):
        Credentials.parse(text)
    verdict = AUTHENTICATOR.check(
        [text], method="INVITE", lookup=lambda name, algorithm: "0" * 32, now=NONCE_TIME
    )
    assert verdict.outcome.value != "ok"
    try:
        challenge = Challenge.parse(text)
    except SipSyntaxError:
        return
    if challenge.is_answerable and challenge.qop[:1] != ("auth-int",):
        given = answer(
            challenge, method="INVITE", uri="sip:a@b", username="u", password="p", cnonce="c", body=b"x"
        )
        if len(given) < 4_000:
            assert Credentials.parse(given).realm == challenge.realm.translate(LINE_ENDS)


def body(data: bytes) -> None:
    """A body of several parts: what is found in it is never longer than it."""
    kind, _, body = data.partition(b"\n")
    message = Message([("Content-Type", text_of(kind).translate(LINE_ENDS))], body)
    try:
        found, info = session_of(message), info_of(message, ("application/dtmf-relay",))
    except SipSyntaxError as error:
        assert error.status in (400, 413)
        return
    assert len(found.body) <= len(body) and len(info.body) <= len(body)
    if is_plain(message):
        assert found.is_understood or not found.body


def binding(data: bytes) -> None:
    """A STUN keep-alive: one short answer, or none."""
    for source in (("192.0.2.7", 65_535), ("2001:db8::7", 1)):
        found = stun.answer(data, source)
        assert found is None or (stun.is_stun(data) and len(found) <= len(data) + stun.EXCESS)


def sdp(data: bytes) -> None:
    """A description, as an offer and as an answer."""
    try:
        session = parse_sdp(data)
    except SdpSyntaxError as error:
        assert 400 <= error.status < 700
    else:
        session = parse_sdp(session.render())
        for media in session.media:
            _ = media.rtpmaps(), session.direction_of(media), session.connection_of(media), media.rtcp
            _ = media.ptime, media.maxptime
    for first in (False, True):
        machine = OfferAnswer("192.0.2.1", 10000, 1)
        if first:
            machine.answer(seeds.OFFER)
        try:
            body = machine.answer(data)
        except SdpPeerError as error:
            assert 400 <= error.status < 700
        else:
            assert len(body) <= 2 * len(data) + 500
            parse_sdp(body)
            again = OfferAnswer.restore(machine.record())
            assert again.negotiated == machine.negotiated
    machine = OfferAnswer("192.0.2.1", 10000, 1)
    machine.offer()
    with contextlib.suppress(SdpPeerError):
        machine.accept(data)
        parse_sdp(machine.offer("sendonly"))


TARGETS = (
    Target(
        "sip datagram",
        datagram,
        (*seeds.SIP, *seeds.corpus("rfc4475", "*.dat"), *seeds.corpus("rfc5118", "*.dat")),
        share=16,
    ),
    Target("sip stream", stream, (*seeds.SIP, b"\r\n\r\n".join(seeds.SIP[:4]), seeds.INVITE * 3), share=3),
    Target("sip uri", uri, seeds.URIS, share=16),
    Target("sip fields", fields, (*seeds.FIELDS, *seeds.URIS), share=12),
    Target("sip digest", digest, seeds.DIGEST, share=12),
    Target("sip agent", agent_target.agent, stories.STORIES, share=4, separator=agent_target.SEPARATOR),
    Target("sip body", body, seeds.BODIES, share=4),
    Target("stun", binding, seeds.STUN, share=2),
    Target("sdp", sdp, (seeds.OFFER, seeds.BROWSER_OFFER), share=4),
)
