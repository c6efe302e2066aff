"""Values of header fields that have a structure (RFC 3261 sections 7.3 and 20)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from ringback.sip.errors import SipSyntaxError
from ringback.sip.header_names import TOKEN, TOKEN_ALONE
from ringback.sip.limits import (
    MAX_CSEQ,
    MAX_DELTA_SECONDS,
    MAX_KEY,
    MAX_LIST_VALUES,
    MAX_REMEMBERED_TEXT,
    REMEMBERED_ADDRESSES,
)
from ringback.sip.uri import Uri, bracketed

Params = Mapping[str, str | None]

_QUOTED: Final = r'"(?:[^"\\]++|\\.)*+"'
_VALUE: Final = r'[^\x00-\x20\x7f;,"<>]++'  # a token, a host, or what phones send in their place
_PLAIN_VALUE: Final = re.compile(_VALUE)
_PARAM: Final = re.compile(rf"[ \t]*+;[ \t]*+({TOKEN}++)(?:[ \t]*+=[ \t]*+({_VALUE}|{_QUOTED}))?+", re.DOTALL)
_PARAMS: Final = re.compile(
    rf"(?:[ \t]*+;[ \t]*+{TOKEN}++(?:[ \t]*+=[ \t]*+(?:{_VALUE}|{_QUOTED}))?+)*+[ \t]*+", re.DOTALL
)
_LIST_VALUE: Final = re.compile(rf"(?:[^\",<]++|{_QUOTED}|<[^>]*+>)*+", re.DOTALL)
_NAME_ADDR: Final = re.compile(r'(?:"((?:[^"\\]++|\\.)*+)"[ \t]*+|([^"<>,;]*+))<([^<>\s]++)>(.*+)', re.DOTALL)
_ADDR_SPEC: Final = re.compile(r'([^\s;?,<>"]++)(.*+)', re.DOTALL)
_SENT: Final = re.compile(  # a Via without its parameters
    rf"(?i:SIP)[ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+({TOKEN}++)[ \t]++"
    r"([A-Za-z0-9_][A-Za-z0-9\-_.]*+|\[(?=[^\]:]*+:)[0-9A-Fa-f:.]{2,64}\])(?:[ \t]*+:[ \t]*+([0-9]{1,5}))?+[ \t]*+"
)
_CSEQ: Final = re.compile(rf"([0-9]{{1,32}})[ \t]++({TOKEN}++)")
_QVALUE: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_ESCAPE: Final = re.compile(r'(["\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f])')
_LINE_ENDS: Final = str.maketrans("\r\n", "  ")
_PLAIN_DISPLAY: Final = re.compile(rf"{TOKEN}++(?: {TOKEN}++)*+")
_NO_PARAMS: Final[Params] = MappingProxyType({})
_COMMON_PARAMS: Final = frozenset(
    ("branch", "expires", "lr", "ob", "q", "received", "reg-id", "rport", "tag")
)


def unquote(value: str) -> str:
    """A quoted-string's content; any other value as it is (RFC 3261 section 25.1)."""
    if len(value) < 2 or value[0] != '"':
        return value
    inner = value[1:-1]
    return _ESCAPED.sub(r"\1", inner) if "\\" in inner else inner


def quoted(value: str) -> str:
    """A quoted-string that holds `value`; line ends, which no quoted-string can hold, become spaces."""
    if value.isprintable() and '"' not in value and "\\" not in value:
        return f'"{value}"'
    return '"' + _NEEDS_ESCAPE.sub(r"\\\1", value.translate(_LINE_ENDS)) + '"'


def split_list(value: str) -> list[str]:
    """The values of a comma-separated field; commas in quotes and in angle brackets do not count."""
    if "," not in value:
        return [value]
    if '"' not in value and "<" not in value:
        pieces = value.split(",")
    else:
        pieces = []
        at = 0
        while True:
            found = _LIST_VALUE.match(value, at)
            end = found.end() if found else at
            pieces.append(value[at:end])
            if end == len(value) or len(pieces) > MAX_LIST_VALUES:
                break
            if value[end] != ",":
                raise SipSyntaxError("Unbalanced quotes or brackets")
            at = end + 1
    if len(pieces) > MAX_LIST_VALUES:
        raise SipSyntaxError("Too many header values")
    return [piece.strip(" \t") for piece in pieces]


def parse_params(text: str) -> Params:
    """Parameters from ";a=b;c": names in lower case, values as they came (quotes kept), None without a value.

    One name twice is an error (RFC 3261 section 7.3.1).
    """
    if not text:
        return _NO_PARAMS
    return _common_params(text) or _any_params(text)


def _common_params(text: str) -> Params | None:
    """Those that most messages have, as most write them; None for the others."""
    params: dict[str, str | None] = {}
    pieces = text.split(";")
    if pieces[0]:
        return None
    del pieces[0]
    for piece in pieces:
        name, equals, value = piece.partition("=")
        if name not in _COMMON_PARAMS:
            return None
        if equals and not (_is_plain(value) or _PLAIN_VALUE.fullmatch(value)):
            return None
        params[name] = value if equals else None
    return params if len(params) == len(pieces) else None


def _is_plain(value: str) -> bool:
    """Whether there is nothing but letters, digits, "-" and "." in it: most tags and branches, without an expression."""
    return value.isalnum() or value.replace("-", "").replace(".", "").isalnum()


def _any_params(text: str) -> Params:
    if not _PARAMS.fullmatch(text):
        raise SipSyntaxError("Malformed parameters")
    params: dict[str, str | None] = {}
    if '"' in text:
        pairs = _PARAM.findall(text)
        count = len(pairs)
        for name, value in pairs:
            params[name.lower()] = value or None
    else:
        pieces = text.split(";")
        count = len(pieces) - 1
        for piece in pieces[1:]:
            name, equals, value = piece.partition("=")
            params[name.strip(" \t").lower()] = value.strip(" \t") if equals else None
    if count < 1 and text.strip(" \t"):
        raise SipSyntaxError("Malformed parameters")
    if len(params) != count:
        raise SipSyntaxError("Parameter given twice")
    return params


def render_params(params: Params) -> str:
    """Parameters as `parse_params` read them, on the wire again."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params.items()])


class NameAddr:
    """An address with a display name and parameters: From, To, Contact, Route (RFC 3261 section 20.10).

    `params` are those of the header field, values as on the wire; `param` takes the quotes off. Immutable, as the
    others here, because equal texts share one; a slotted class, as every message makes them anew.
    """

    __slots__ = ("display", "params", "tag", "uri")

    def __init__(self, display: str, uri: Uri, params: Params = _NO_PARAMS) -> None:
        self.display = display
        self.uri = uri
        self.params = params
        self.tag: str | None = params.get("tag")
        """The tag of From and To."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NameAddr) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return f"NameAddr({str(self)!r})"

    @property
    def q(self) -> float:
        """Preference among contacts, 0 to 1; 1 when absent or malformed."""
        value = self.params.get("q")
        return float(value) if value and _QVALUE.fullmatch(value) else 1.0

    @property
    def expires(self) -> int | None:
        """The contact's own expiry in seconds; malformed counts as 3600 (RFC 3261 section 10.2.1.1)."""
        value = self.params.get("expires")
        return None if value is None else delta_seconds(unquote(value), 3600)

    def param(self, name: str) -> str | None:
        """One parameter's value without quotes; None when absent or without a value."""
        value = self.params.get(name)
        return None if value is None else unquote(value)

    @property
    def bare(self) -> NameAddr:
        """The same address without parameters."""
        return NameAddr(self.display, self.uri)

    def with_tag(self, tag: str) -> NameAddr:
        """The same address with this tag."""
        return NameAddr(self.display, self.uri, {**self.params, "tag": tag})

    def __str__(self) -> str:
        display = ""
        if self.display:
            display = self.display if _PLAIN_DISPLAY.fullmatch(self.display) else quoted(self.display)
            display += " "
        return f"{display}<{self.uri.text}>{render_params(self.params)}"


class Via:
    """One hop of the way back, RFC 3261 section 20.42. `host` is without the brackets of an IPv6 literal."""

    __slots__ = ("_sent_by", "branch", "host", "params", "port", "transport")

    def __init__(
        self,
        transport: str,
        host: str,
        port: int | None,
        params: Params = _NO_PARAMS,
        sent_by: str = "",
    ) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.params = params
        self.branch: str | None = params.get("branch")
        """The transaction's name at the peer."""
        self._sent_by = sent_by

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Via) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return f"Via({str(self)!r})"

    @property
    def received(self) -> str | None:
        """The address that the request really came from, without brackets (RFC 5118 section 4.5 shows both)."""
        value = self.params.get("received")
        return value.strip("[]") if value else value

    @property
    def rport(self) -> int | None:
        """The port that the request really came from, RFC 3581; None when absent or not yet filled in."""
        value = self.params.get("rport")
        return int(value) if value and value.isascii() and value.isdigit() and len(value) <= 5 else None

    @property
    def sent_by(self) -> str:
        """ "host:port", host in lower case and the default port written out, fit to compare (section 17.2.3)."""
        if not self._sent_by:
            port = self.port or (5061 if self.transport == "TLS" else 5060)
            self._sent_by = f"{bracketed(self.host.lower())}:{port}"
        return self._sent_by

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {bracketed(self.host)}{port}{render_params(self.params)}"


class CSeq(NamedTuple):
    """Order of requests in a dialog, RFC 3261 section 20.16."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def _parse_name_addr(value: str) -> NameAddr:
    found = _NAME_ADDR.fullmatch(value)
    if found is not None:
        inner, plain, uri, params = found.groups()
        if inner is None:
            display = plain.rstrip(" \t")
        else:
            display = _ESCAPED.sub(r"\1", inner) if "\\" in inner else inner
        address = NameAddr(display, Uri.parse(uri), parse_params(params))
    else:
        found = _ADDR_SPEC.fullmatch(value)
        if found is None:
            raise SipSyntaxError("Malformed address")
        # Without brackets, every parameter belongs to the header field (RFC 3261 section 20).
        address = NameAddr("", Uri.parse(found[1]), parse_params(found[2]))
    tag = address.params.get("tag", "-")
    if not tag or len(tag) > MAX_KEY:
        raise SipSyntaxError("Malformed tag")
    return address


_parse_name_addr_remembered: Final = lru_cache(maxsize=REMEMBERED_ADDRESSES)(_parse_name_addr)


def parse_name_addr(value: str) -> NameAddr:
    """Read the value of From, To, Route, Record-Route or one Contact. Raises SipSyntaxError.

    What comes again is remembered, an address apart from its tag, which is new with every call.
    """
    if len(value) > MAX_REMEMBERED_TEXT:
        return _parse_name_addr(value)
    address, found, tag = value.rpartition(">;tag=")
    if found and TOKEN_ALONE.fullmatch(tag):
        known = _parse_name_addr_remembered(address + ">")
        return NameAddr(known.display, known.uri, {"tag": tag})
    return _parse_name_addr_remembered(value)


def parse_name_addrs(values: Iterable[str]) -> tuple[NameAddr, ...]:
    """Read all values of a list field of addresses. Raises SipSyntaxError."""
    addresses = tuple([parse_name_addr(each) for value in values for each in split_list(value)])
    if len(addresses) > MAX_LIST_VALUES:
        raise SipSyntaxError("Too many header values")
    return addresses


def parse_via(value: str) -> Via:
    """Read one Via value. Raises SipSyntaxError."""
    sent, semicolon, rest = value.partition(";")
    known = _parse_sent_remembered(sent) if len(sent) <= MAX_REMEMBERED_TEXT else _parse_sent(sent)
    via = Via(known.transport, known.host, known.port, parse_params(semicolon + rest), known.sent_by)
    branch = via.branch
    if branch is None:
        if "branch" in via.params:
            raise SipSyntaxError("Malformed Via")
    elif not branch or len(branch) > MAX_KEY:
        raise SipSyntaxError("Malformed Via")
    return via


def _parse_sent(text: str) -> Via:
    """Transport, host and port of a Via."""
    found = _SENT.fullmatch(text)
    if found is None:
        raise SipSyntaxError("Malformed Via")
    transport, host, digits = found.groups()
    port = None if digits is None else int(digits)
    if port is not None and port > 65535:
        raise SipSyntaxError("Malformed Via")
    return Via(transport.upper(), host[1:-1] if host[0] == "[" else host, port)


_parse_sent_remembered: Final = lru_cache(maxsize=REMEMBERED_ADDRESSES)(_parse_sent)


def parse_vias(values: Iterable[str]) -> tuple[Via, ...]:
    """Read all Via values, topmost first. Raises SipSyntaxError."""
    vias = tuple([parse_via(each) for value in values for each in split_list(value)])
    if len(vias) > MAX_LIST_VALUES:
        raise SipSyntaxError("Too many Via values", 483)
    return vias


def _parse_cseq(value: str) -> CSeq:
    found = _CSEQ.fullmatch(value)
    if found is None or int(found[1]) > MAX_CSEQ:
        raise SipSyntaxError("Malformed CSeq")
    return CSeq(int(found[1]), found[2])


_parse_cseq_remembered: Final = lru_cache(maxsize=REMEMBERED_ADDRESSES)(_parse_cseq)


def parse_cseq(value: str) -> CSeq:
    """Read a CSeq; those of one transaction are all the same. Raises SipSyntaxError."""
    return _parse_cseq_remembered(value) if len(value) <= MAX_REMEMBERED_TEXT else _parse_cseq(value)


def delta_seconds(value: str, malformed: int) -> int:
    """Seconds from text; above 2**32 - 1 counts as that, and what is no number as `malformed`."""
    if not (value.isascii() and value.isdigit()):
        return malformed
    return min(int(value), MAX_DELTA_SECONDS) if len(value) <= 16 else MAX_DELTA_SECONDS
