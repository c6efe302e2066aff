"""SIP and SIPS URIs, and room for tel: and others, RFC 3261 section 19.1 and RFC 3966."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from ringback.sip.errors import SipSyntaxError, UsageError
from ringback.sip.limits import MAX_REMEMBERED_TEXT, MAX_URI, REMEMBERED_ADDRESSES

# RFC 3261 section 25.1, wider by what phones really send: "#" in a user (feature codes), "_" in a host name,
# "=" in the value of a parameter (push tokens), and any visible character in the headers of a dialled URI.
_HEX: Final = r"%[0-9A-Fa-f]{2}"
_PARAM_CHARS: Final = r"A-Za-z0-9\-_.!~*'()\[\]/:&+$"
_SIP_URI: Final = re.compile(
    rf"(?i:(sips?)):"
    rf"(?:((?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#]++|{_HEX})++)"
    rf"(?::((?:[A-Za-z0-9\-_.!~*'()&=+$,]++|{_HEX})*+))?@)?"
    r"([A-Za-z0-9_][A-Za-z0-9\-_.]*+|\[(?=[^\]:]*+:)[0-9A-Fa-f:.]{2,64}\])"
    r"(?::([0-9]{1,5}))?"
    rf"((?:;(?:[{_PARAM_CHARS}]++|{_HEX})++(?:=(?:[{_PARAM_CHARS}=]++|{_HEX})++)?)*+)"
    r'(?:\?([^\s<>"]++))?'
)
_OTHER_URI: Final = re.compile(r'([A-Za-z][A-Za-z0-9+.\-]*+):([^\s<>"]++)')
_HOST: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9\-_.]*+|(?=[^:]*+:)[0-9A-Fa-f:.]{2,64}")
VISUAL_SEPARATORS: Final = str.maketrans("", "", "-.()")  # RFC 3966 section 3

_SAFE_USER: Final = "-_.!~*'()&=+$,;?/"
_SAFE_PASSWORD: Final = "-_.!~*'()&=+$,"
_SAFE_PARAM: Final = "-_.!~*'()[]/:&+$"
_SAFE_HEADER: Final = "-_.!~*'()[]/?:+$"

# RFC 3261 section 19.1.4: these never match when only one of the two URIs has them.
_STRICT_PARAMS: Final = ("user", "ttl", "method", "maddr", "transport")
_NOTHING: Final[Mapping[str, str | None]] = MappingProxyType({})


class Uri:
    """One URI, immutable; `str()` gives back the very text that was parsed.

    `user`, `password`, parameters and headers are without percent escapes; `host` is without the brackets of
    an IPv6 literal; parameter names are in lower case, and a parameter without a value has None. A tel: URI has
    its number in `user` and no host; any other scheme has nothing but `opaque`. Equality and hash go by the text;
    RFC 3261's equivalence is `matches`.
    """

    __slots__ = ("headers", "host", "params", "password", "port", "scheme", "text", "user")

    def __init__(
        self,
        scheme: str = "sip",
        user: str = "",
        password: str = "",
        host: str = "",
        port: int | None = None,
        params: Mapping[str, str | None] = _NOTHING,
        headers: tuple[tuple[str, str], ...] = (),
        text: str = "",
    ) -> None:
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.params = params if text else MappingProxyType(dict(params))
        self.headers = headers
        self.text = text or self._build()

    @staticmethod
    def parse(text: str) -> Uri:
        """Read an addr-spec (no angle brackets, no white space around). Raises SipSyntaxError."""
        return _parse_remembered(text) if len(text) <= MAX_REMEMBERED_TEXT else _parse(text)

    def _build(self) -> str:
        if self.scheme == "tel":
            return f"tel:{self.user}{_render_params(self.params)}"
        if self.scheme not in ("sip", "sips") or not _HOST.fullmatch(self.host):
            raise UsageError("a URI is built from the scheme sip, sips or tel and a valid host")
        user = ""
        if self.user:
            user = quote(self.user, safe=_SAFE_USER)
            if self.password:
                user += ":" + quote(self.password, safe=_SAFE_PASSWORD)
            user += "@"
        port = "" if self.port is None else f":{self.port}"
        text = f"{self.scheme}:{user}{bracketed(self.host)}{port}{_render_params(self.params)}"
        if self.headers:
            pairs = [
                f"{quote(name, safe=_SAFE_HEADER)}={quote(value, safe=_SAFE_HEADER)}"
                for name, value in self.headers
            ]
            text += "?" + "&".join(pairs)
        return text

    def replace(self, **changes: Any) -> Uri:
        """The same URI with some fields changed, its text written anew."""
        names = ("scheme", "user", "password", "host", "port", "params", "headers")
        return Uri(**{**{name: getattr(self, name) for name in names}, **changes})

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Uri({self.text if not self.password else f'{self.scheme}:{self.user}:***@{self.host}'!r})"

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Uri) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def is_sip(self) -> bool:
        """Whether the scheme is sip or sips, the only ones that can be sent to (else 416)."""
        return self.scheme == "sip" or self.scheme == "sips"

    @property
    def for_request(self) -> Uri:
        """The same as it may stand in a Request-URI: without headers and method (RFC 3261 section 19.1.1)."""
        if not self.headers and "method" not in self.params:
            return self
        params = {name: value for name, value in self.params.items() if name != "method"}
        return self.replace(params=params, headers=())

    @property
    def opaque(self) -> str:
        """What follows the scheme and its colon."""
        return self.text[len(self.scheme) + 1 :]

    @property
    def aor(self) -> str:
        """The address of record: "user@host", host in lower case, no port, user escaped as on the wire.

        "host" alone when there is no user; the whole text for other schemes.
        """
        if not self.is_sip:
            return self.text
        host = bracketed(self.host.lower())
        return f"{quote(self.user, safe=_SAFE_USER)}@{host}" if self.user else host

    @property
    def transport(self) -> str | None:
        """The transport that the URI asks for, in capitals ("TLS" for sips:); None when it does not say."""
        if self.scheme == "sips":
            return "TLS"
        value = self.params.get("transport")
        return value.upper() if value else None

    def matches(self, other: Uri) -> bool:
        """Equivalence of URIs, RFC 3261 section 19.1.4 with RFC 5954 (RFC 3966 section 4 for tel:)."""
        if self.text == other.text:
            return True
        if self.scheme != other.scheme or not (self.is_sip or self.scheme == "tel"):
            return False
        if self.scheme == "tel":
            ours, theirs = [uri.user.translate(VISUAL_SEPARATORS).lower() for uri in (self, other)]
            return ours == theirs and _folded(self.params) == _folded(other.params)
        return (
            self.user == other.user
            and self.password == other.password
            and same_host(self.host, other.host)
            and self.port == other.port
            and self._params_match(other)
            and sorted((name.lower(), value) for name, value in self.headers)
            == sorted((name.lower(), value) for name, value in other.headers)
        )

    def _params_match(self, other: Uri) -> bool:
        ours, theirs = _folded(self.params), _folded(other.params)
        if any(ours.get(name, False) != theirs.get(name, False) for name in _STRICT_PARAMS):
            return False
        return all(theirs.get(name, value) == value for name, value in ours.items())


def same_host(one: str, other: str) -> bool:
    """Whether two hosts are the same: names by their letters, IPv6 literals by their bits (RFC 5954 section 4.2)."""
    if one.lower() == other.lower():
        return True
    if ":" not in one or ":" not in other:
        return False
    try:
        return IPv6Address(one) == IPv6Address(other)
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """A host as it stands in a URI or a Via: an IPv6 literal gets its brackets."""
    return f"[{host}]" if ":" in host else host


def _folded(params: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name: value and value.lower() for name, value in params.items()}


def _unescape(text: str) -> str:
    """Percent escapes undone; left as they are when they do not spell UTF-8."""
    if "%" not in text:
        return text
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return text


def _render_params(params: Mapping[str, str | None]) -> str:
    text = ""
    for name, value in params.items():
        text += ";" + quote(name, safe=_SAFE_PARAM)
        if value is not None:
            text += "=" + quote(value, safe=_SAFE_PARAM)
    return text


def _read_params(text: str) -> Mapping[str, str | None]:
    """The parameters of a URI from ";a=b;c"; one name twice is an error (RFC 3261 section 19.1.1)."""
    if not text:
        return _NOTHING
    params: dict[str, str | None] = {}
    pieces = text.split(";")
    for piece in pieces[1:]:
        name, equals, value = piece.partition("=")
        params[_unescape(name).lower()] = _unescape(value) if equals else None
    if len(params) != len(pieces) - 1:
        raise SipSyntaxError("URI parameter given twice")
    return MappingProxyType(params)


def _read_headers(text: str) -> tuple[tuple[str, str], ...]:
    headers = []
    for piece in text.split("&"):
        name, equals, value = piece.partition("=")
        if not name or not equals:
            raise SipSyntaxError("Malformed URI headers")
        headers.append((_unescape(name), _unescape(value)))
    return tuple(headers)


def _parse(text: str) -> Uri:
    if len(text) > MAX_URI:
        raise SipSyntaxError("URI too long", 414)
    found = _SIP_URI.fullmatch(text)
    if found is None:
        return _parse_other(text)
    scheme, user, password, host, digits, params, headers = found.groups()
    port = None if digits is None else int(digits)
    if port is not None and port > 65535:
        raise SipSyntaxError("Port out of range")
    return Uri(
        scheme.lower(),
        _unescape(user) if user else "",
        _unescape(password) if password else "",
        host[1:-1] if host[0] == "[" else host,
        port,
        _read_params(params),
        _read_headers(headers) if headers else (),
        text,
    )


def _parse_other(text: str) -> Uri:
    found = _OTHER_URI.fullmatch(text)
    if found is None or found[1].lower() in ("sip", "sips"):
        raise SipSyntaxError("Malformed URI")
    scheme = found[1].lower()
    if scheme != "tel":
        return Uri(scheme=scheme, text=text)
    number, semicolon, params = found[2].partition(";")
    return Uri(scheme="tel", user=_unescape(number), params=_read_params(semicolon + params), text=text)


_parse_remembered: Final = lru_cache(maxsize=REMEMBERED_ADDRESSES)(_parse)
