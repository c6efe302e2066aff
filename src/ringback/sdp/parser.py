"""Bytes to a session description: strict about what we must understand, calm about the rest.

What phones really send is accepted: bare LF line ends, blank lines, spaces at line ends, lines out of
order, missing s= and t=, user names with spaces in o=, and types that nobody defined. A description
without v=0 or o=, or with an m= or c= line that cannot be read, is refused: guessing would send audio
to nobody.
"""

from __future__ import annotations

from .description import Attribute, Connection, Media, Origin, Session
from .errors import SdpSyntaxError
from .limits import MAX_BODY, MAX_FORMATS, MAX_LINE, MAX_LINES, MAX_MEDIA


def parse(body: bytes) -> Session:
    """Read a session description. Raises SdpSyntaxError and nothing else. RFC 8866 section 5."""
    lines = _lines(body)
    if not lines or lines[0] != "v=0":
        raise SdpSyntaxError("does not begin with v=0")
    session: Session | None = None
    waiting: list[tuple[str, str]] = []  # session lines that came before o=
    media: Media | None = None
    for line in lines[1:]:
        letter, equals, value = line[0], line[1:2], line[2:].strip()
        if equals != "=":
            continue  # a broken or folded line; everything that we need is checked for by itself
        if letter == "o":
            if session is None:
                session = Session(_origin(value))
                for early_letter, early_value in waiting:
                    _session_line(session, early_letter, early_value)
        elif letter == "m":
            if session is None:
                raise SdpSyntaxError("m= before o=")
            if len(session.media) == MAX_MEDIA:
                raise SdpSyntaxError(f"more than {MAX_MEDIA} m= lines")
            media = _media(value)
            session.media.append(media)
        elif media is not None:
            _media_line(media, letter, value)
        elif session is not None:
            _session_line(session, letter, value)
        else:
            waiting.append((letter, value))
    if session is None:
        raise SdpSyntaxError("no o= line")
    return session


def _lines(body: bytes) -> list[str]:
    if len(body) > MAX_BODY:
        raise SdpSyntaxError(f"longer than {MAX_BODY} bytes")
    if b"\0" in body:
        raise SdpSyntaxError("NUL byte")  # RFC 8866 section 9: byte-string excludes it
    text = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")
    raw = text.split("\n", MAX_LINES)
    if len(raw) > MAX_LINES:
        raise SdpSyntaxError(f"more than {MAX_LINES} lines")
    lines = []
    for line in raw:
        if len(line) > MAX_LINE:
            raise SdpSyntaxError(f"line longer than {MAX_LINE} characters")
        stripped = line.strip(" \t")
        if stripped:
            lines.append(stripped)
    return lines


def _origin(value: str) -> Origin:
    # From the right, because some phones put a display name with spaces in front.
    words = value.rsplit(None, 5)
    if len(words) != 6:
        raise SdpSyntaxError("o= line needs six fields")
    username, session_id, version, _network, address_type, address = words
    return Origin(username, session_id, version, address_type, address)


def _connection(value: str) -> Connection:
    words = value.split()
    if len(words) != 3 or words[0].upper() != "IN":
        raise SdpSyntaxError("c= line is not IN, address type, address")
    address_type = words[1].upper()
    if address_type not in ("IP4", "IP6"):
        raise SdpSyntaxError("c= line with an unknown address type")
    address, slash, suffix = words[2].partition("/")
    return Connection(address_type, address.strip("[]"), slash + suffix)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < 65536):
        raise SdpSyntaxError("m= line with an impossible port")
    return int(text)


def _media(value: str) -> Media:
    words = value.split(None, MAX_FORMATS + 3)
    if len(words) < 3:
        raise SdpSyntaxError("m= line needs a kind, a port, a protocol and formats")
    kind, port_text, protocol = words[:3]
    formats = words[3:]  # none at all is a fault that phones make in lines with port 0
    if len(formats) > MAX_FORMATS:
        raise SdpSyntaxError(f"more than {MAX_FORMATS} formats")
    port, slash, count = port_text.partition("/")
    return Media(kind.lower(), _port(port), protocol, formats, _port(count) if slash else 1)


def _attribute(value: str) -> Attribute:
    name, colon, rest = value.partition(":")
    name = name.rstrip()
    # Names compare exactly (RFC 8866 section 6), but phones that shout SENDONLY mean it.
    return Attribute(name.lower() if name.isupper() else name, rest.strip() if colon else None)


def _session_line(session: Session, letter: str, value: str) -> None:
    match letter:
        case "a":
            session.attributes.append(_attribute(value))
        case "c":
            session.connection = session.connection or _connection(value)
        case "s":
            session.name = value or "-"
        case "i" | "u" | "e" | "p" | "b" | "t" | "r" | "z" | "k":
            session.others.append((letter, value))


def _media_line(media: Media, letter: str, value: str) -> None:
    match letter:
        case "a":
            media.attributes.append(_attribute(value))
        case "c":
            media.connection = media.connection or _connection(value)
        case "i" | "b" | "k":
            media.others.append((letter, value))
