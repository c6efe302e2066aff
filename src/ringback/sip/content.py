"""What of a message's content is meant for us: the description of a session, or digits, alone or as one part of several.

    application/sdp                                   the body
    multipart/mixed (and any other subtype)           its one part that is a session description
    multipart/alternative                             the last of its parts that we understand
    anything else                                     nothing; unless its handling is optional it must be understood

RFC 3261 sections 7.4.1 and 20.11, RFC 5621; the parts are cut as RFC 2046 section 5.1 has it, and decoded as RFC 2045
section 6. So ISUP travels beside SDP (RFC 3204): carriers put both into an INVITE and its answers.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, a2b_qp
from collections.abc import Collection
from typing import Final, NamedTuple

from ringback.sip.errors import SipSyntaxError
from ringback.sip.fields import Message
from ringback.sip.headers import unquote
from ringback.sip.limits import MAX_PART_DEPTH, MAX_PART_HEAD, MAX_PARTS

SDP: Final = "application/sdp"
ACCEPTED: Final = f"{SDP}, multipart/*"
"""What Accept says of this."""

_BOUNDARY: Final = re.compile(r';[ \t]*boundary[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;\s"]+)', re.I)
_BOUNDARY_VALUE: Final = re.compile(
    r"[ -~]{0,69}[!-~]"
)  # RFC 2046 section 5.1.1: at most 70, no space at the end
_OPTIONAL: Final = re.compile(r';[ \t]*handling[ \t]*=[ \t]*"?optional\b', re.I)
_FOLD: Final = re.compile(r"\r?\n[ \t]+")
_LINE_FEED: Final = 10
_RETURN: Final = 13


class Found(NamedTuple):
    """``body`` is b"", and ``kind`` "", where nothing is meant for us; ``is_understood``: nothing is left that had to be."""

    body: bytes
    is_understood: bool
    kind: str = ""


_NOTHING: Final = Found(b"", False)


class _Wanted(NamedTuple):
    """The media types that are understood, and what they may be meant as; "" is what they are without a word."""

    kinds: Collection[str]
    dispositions: Collection[str]


_SESSION: Final = _Wanted((SDP,), ("", "session"))


class _Entity(NamedTuple):
    """A body or a part of one, with the fields that tell what it is (RFC 3261 section 20.11 and following)."""

    content_type: str
    disposition: str
    encoding: str
    transfer: str
    body: bytes


def is_plain(message: Message) -> bool:
    """Whether the body is a session description and nothing else, as nearly all are."""
    return message.content_type in (SDP, "") and not message.has("Content-Disposition")


def session_of(message: Message) -> Found:
    """What the body says of the session. Raises SipSyntaxError: 400 for parts that cannot be told apart, 413 for too many."""
    return _find(message, message.get("Content-Type") or SDP, _SESSION)  # some phones leave it out


def info_of(message: Message, kinds: Collection[str]) -> Found:
    """What the body of an INFO says in one of these media types. Raises SipSyntaxError as ``session_of``."""
    return _find(message, message.get("Content-Type") or "", _Wanted(kinds, ("", "render", "signal")))


def _find(message: Message, content_type: str, wanted: _Wanted) -> Found:
    disposition = message.get("Content-Disposition") or ""
    found = _read(_Entity(content_type, disposition, "", "", message.body), wanted, 0)
    if not found.is_understood and _is_optional(disposition):
        return Found(b"", True)
    return found


def _read(entity: _Entity, wanted: _Wanted, depth: int) -> Found:
    body = None if entity.encoding else _decoded(entity)
    if body is None:
        return _NOTHING
    kind = entity.content_type.partition(";")[0].strip(" \t").lower()
    if kind.startswith("multipart/"):
        if depth == MAX_PART_DEPTH:
            raise SipSyntaxError("Body Parts Too Deep", 413)
        parts = [_part(text) for text in _split(body, _boundary(entity.content_type))]
        is_choice = kind == "multipart/alternative"
        return _alternative(parts, wanted, depth) if is_choice else _mixed(parts, wanted, depth)
    meant = entity.disposition.partition(";")[0].strip(" \t").lower()
    return Found(body, True, kind) if kind in wanted.kinds and meant in wanted.dispositions else _NOTHING


def _mixed(parts: list[_Entity], wanted: _Wanted, depth: int) -> Found:
    whole = Found(b"", True)
    for part in parts:
        found = _read(part, wanted, depth + 1)
        if found.body and whole.body:
            found = _NOTHING  # a second description of one session is none
        if found.is_understood or not _is_optional(part.disposition):
            best = whole if whole.body else found
            whole = Found(best.body, whole.is_understood and found.is_understood, best.kind)
    return whole


def _alternative(parts: list[_Entity], wanted: _Wanted, depth: int) -> Found:
    """The best is the last (RFC 2046 section 5.1.4); how the others are to be handled does not matter."""
    for part in reversed(parts):
        found = _read(part, wanted, depth + 1)
        if found.is_understood:
            return found
    return _NOTHING


def _decoded(entity: _Entity) -> bytes | None:
    """The body as it was before its Content-Transfer-Encoding (RFC 2045 section 6), never longer; None where that is unknown."""
    if entity.transfer in ("", "7bit", "8bit", "binary"):
        return entity.body
    if entity.transfer == "quoted-printable":
        return a2b_qp(entity.body)
    try:
        return a2b_base64(entity.body) if entity.transfer == "base64" else None
    except Error:
        return None


def _is_optional(disposition: str) -> bool:
    return bool(disposition) and _OPTIONAL.search(disposition) is not None


def _boundary(content_type: str) -> bytes:
    found = _BOUNDARY.search(content_type)
    value = unquote(found[1]) if found else ""
    if not _BOUNDARY_VALUE.fullmatch(value):
        raise SipSyntaxError("Multipart Without Boundary")
    return value.encode("ascii")


def _split(body: bytes, boundary: bytes) -> list[bytes]:
    """The parts between the delimiters: what stands before the first and after the last counts for nothing."""
    mark = b"--" + boundary
    parts: list[bytes] = []
    start, at = -1, 0
    while True:
        found = body.find(mark, at)
        if found < 0:
            raise SipSyntaxError("Multipart Without End")
        at = found + len(mark)
        if found and body[found - 1] != _LINE_FEED:
            continue
        line_end = body.find(b"\n", at)
        rest = body[at : line_end if line_end >= 0 else len(body)].strip(b" \t\r")
        if rest and rest != b"--":
            continue  # a longer boundary begins like this one
        if start >= 0:
            parts.append(body[start : max(start, _before_line_end(body, found))])
        if rest:
            return parts
        if line_end < 0:
            raise SipSyntaxError("Multipart Without End")
        if len(parts) == MAX_PARTS:
            raise SipSyntaxError("Too Many Body Parts", 413)
        start = at = line_end + 1


def _before_line_end(body: bytes, at: int) -> int:
    """Where the line before ends; its end belongs to the delimiter."""
    return at - 2 if at > 1 and body[at - 2] == _RETURN else at - 1


def _part(text: bytes) -> _Entity:
    """A part with its fields. Without a type it is text (RFC 2046 section 5.2)."""
    head, body = _cut(text)
    if len(head) > MAX_PART_HEAD:
        raise SipSyntaxError("Body Part Head Too Long", 413)
    fields: dict[str, str] = {}
    for line in _FOLD.sub(" ", head.decode("utf-8", "replace")).split("\n"):
        name, colon, value = line.strip(" \t\r").partition(":")
        if not colon and name:
            raise SipSyntaxError("Malformed Body Part")
        fields.setdefault(name.strip(" \t").lower(), value.strip(" \t"))
    encoding = fields.get("content-encoding", "").lower()
    return _Entity(
        fields.get("content-type", ""),
        fields.get("content-disposition", ""),
        "" if encoding == "identity" else encoding,
        fields.get("content-transfer-encoding", "").lower(),
        body,
    )


def _cut(text: bytes) -> tuple[bytes, bytes]:
    """The fields of a part, and its body after the empty line."""
    for gap in (b"\r\n", b"\n"):
        if text.startswith(gap):
            return b"", text[len(gap) :]
        head, found, body = text.partition(gap + gap)
        if found:
            return head, body
    return text, b""
