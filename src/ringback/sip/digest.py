"""Digest authentication, both ends: RFC 7616 and RFC 8760 as RFC 3261 section 22 uses them.

The server's nonces carry their own proof (time, number, keyed hash), so that challenging costs no memory; what is
remembered is only the count of each nonce that was used with a right answer, within a bound. The client answers
401 and 407.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache, partial
from typing import Final, NamedTuple

from ringback.sip.errors import SipSyntaxError, UsageError
from ringback.sip.headers import TOKEN, quoted, unquote
from ringback.sip.limits import (
    MAX_CREDENTIALS,
    MAX_NONCE_COUNTS,
    MAX_REMEMBERED_NAMES,
    MAX_REMEMBERED_TEXT,
    NONCE_LIFETIME,
    REMEMBERED_ADDRESSES,
)
from ringback.sip.uri import Uri

_MD5: Final = partial(hashlib.md5, usedforsecurity=False)
_SHA_256: Final = partial(hashlib.sha256, usedforsecurity=False)
_HASHES: Final[dict[str, Callable[[bytes], hashlib._Hash]]] = {
    "MD5": _MD5,
    "MD5-sess": _MD5,
    "SHA-256": _SHA_256,
    "SHA-256-sess": _SHA_256,
}
ALGORITHMS: Final = ("MD5", "MD5-sess", "SHA-256", "SHA-256-sess")
_BY_LOWER: Final = {name.lower(): name for name in ALGORITHMS}

_VALUE: Final = r'"(?:[^"\\]++|\\.)*+"|[^\s",]++'
_ONE: Final = rf"{TOKEN}++[ \t]*+=[ \t]*+(?:{_VALUE})[ \t]*+"
_PAIRS: Final = re.compile(rf"[ \t]*+{_ONE}(?:,[ \t,]*+{_ONE})*+", re.DOTALL)
_PAIR: Final = re.compile(rf"({TOKEN}++)[ \t]*+=[ \t]*+({_VALUE})", re.DOTALL)
_SCHEME: Final = re.compile(rf"({TOKEN}++)[ \t]++")
_PLAIN_NAMES: Final = frozenset(
    "algorithm cnonce nc nonce opaque qop realm response stale uri username".split()
)
_USED_UP: Final = 1 << 32  # no nonce count is as high


_MAC_BYTES: Final = 16


def _is_hex(text: str) -> bool:
    if not (text.isascii() and text.isalnum()):
        return False
    try:
        int(text, 16)
    except ValueError:
        return False
    return True


def _hashed(algorithm: str, text: str) -> str:
    return _HASHES[algorithm](text.encode()).hexdigest()


_hashed_before: Final = lru_cache(maxsize=REMEMBERED_ADDRESSES)(_hashed)
"""Of a method and a URI: the users of a domain register at the same."""


def ha1(username: str, realm: str, password: str, algorithm: str = "MD5") -> str:
    """The stored form of a password: hex of H(username:realm:password), RFC 7616 section 3.4.2.

    That of MD5-sess is the one of MD5, and so for SHA-256. Raises UsageError for an unknown algorithm.
    """
    if algorithm not in ALGORITHMS:
        raise UsageError(f"unknown digest algorithm {algorithm}")
    return _hashed(algorithm, f"{username}:{realm}:{password}")


def _response(algorithm: str, key: str, method: str, fields: Mapping[str, str], body_hash: str | None) -> str:
    """The request-digest, RFC 7616 section 3.4.1; without qop that of RFC 2617 section 3.2.2.1."""
    nonce, qop = fields["nonce"], fields.get("qop")
    if algorithm.endswith("-sess"):
        key = _hashed(algorithm, f"{key}:{nonce}:{fields.get('cnonce', '')}")
    a2 = f"{method}:{fields['uri']}"
    if qop == "auth-int":
        a2 += f":{body_hash}"
    ha2 = _hashed_before(algorithm, a2) if len(a2) <= MAX_REMEMBERED_TEXT else _hashed(algorithm, a2)
    if qop:
        return _hashed(algorithm, f"{key}:{nonce}:{fields['nc']}:{fields['cnonce']}:{qop}:{ha2}")
    return _hashed(algorithm, f"{key}:{nonce}:{ha2}")


def _pairs(value: str) -> dict[str, str]:
    """The parameters of a Digest challenge or of Digest credentials. Raises SipSyntaxError."""
    if len(value) > MAX_CREDENTIALS:
        raise SipSyntaxError("Credentials too long")
    if value.startswith("Digest ") and (pairs := _plain_pairs(value[7:])):
        return pairs
    scheme = _SCHEME.match(value)
    if scheme is None or scheme[1].lower() != "digest":
        raise SipSyntaxError("Not Digest")
    at = scheme.end()
    if not _PAIRS.fullmatch(value, at):
        raise SipSyntaxError("Malformed Digest parameters")
    found: list[tuple[str, str]] = _PAIR.findall(value, at)
    pairs = {name.lower(): unquote(given) for name, given in found}
    if len(pairs) != len(found):
        raise SipSyntaxError("Digest parameter given twice")
    return pairs


class _Between:
    """What stands between two quoted values: whole parameters, and the name of the one whose value follows."""

    __slots__ = ("has_comma", "name", "pairs")

    def __init__(self, has_comma: bool, pairs: list[tuple[str, str]], name: str) -> None:
        self.has_comma = has_comma
        self.pairs = pairs
        self.name = name


_BETWEEN: Final[dict[str, _Between]] = {}
"""Every request of a phone has the same between its quoted values, but for the count of the nonce."""


def _plain_pairs(text: str) -> dict[str, str] | None:
    """Parameters without anything that is unusual: an eighth of the work. None where something is."""
    pieces = text.split('"')
    last = len(pieces) - 1
    if last & 1 or "\\" in text:
        return None
    pairs: dict[str, str] = {}
    count = 0
    for at in range(0, last + 1, 2):
        piece = pieces[at]
        between = _BETWEEN.get(piece)
        if between is None:
            between = _between(piece)
            if between is None:
                return None
            if len(_BETWEEN) >= MAX_REMEMBERED_NAMES:
                _BETWEEN.clear()
            if len(piece) < MAX_REMEMBERED_TEXT:
                _BETWEEN[piece] = between
        if between.has_comma != (at > 0 and bool(piece)) or bool(between.name) != (at < last):
            return None
        for name, value in between.pairs:
            pairs[name] = value
        count += len(between.pairs)
        if at < last:
            pairs[between.name] = pieces[at + 1]
            count += 1
    return pairs if len(pairs) == count else None


def _between(text: str) -> _Between | None:
    parts = [part.strip(" \t") for part in text.split(",")]
    has_comma = len(parts) > 1 and not parts[0]
    if has_comma or not text:
        del parts[0]
    pairs: list[tuple[str, str]] = []
    for at, part in enumerate(parts):
        name, _, value = part.partition("=")
        if name not in _PLAIN_NAMES:
            return None
        if not value and at == len(parts) - 1 and part.endswith("="):
            return _Between(has_comma, pairs, name)
        if not (value.isascii() and value.replace("-", "").isalnum()):
            return None
        pairs.append((name, value))
    return _Between(has_comma, pairs, "")


# -- the client's end


class Challenge(NamedTuple):
    """What a 401 or a 407 asks for. `algorithm` is "" when it is none of ours; `qop` holds what we know of it."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: tuple[str, ...] = ()
    opaque: str | None = None
    stale: bool = False
    has_unknown_qop: bool = False

    @classmethod
    def parse(cls, value: str) -> Challenge:
        """Read the value of a WWW-Authenticate or Proxy-Authenticate. Raises SipSyntaxError."""
        pairs = _pairs(value)
        if "realm" not in pairs or not pairs.get("nonce"):
            raise SipSyntaxError("Digest challenge without realm or nonce")
        offered = [each.strip(" \t").lower() for each in pairs.get("qop", "").split(",")]
        qop = tuple(each for each in ("auth", "auth-int") if each in offered)
        return cls(
            pairs["realm"],
            pairs["nonce"],
            _BY_LOWER.get(pairs.get("algorithm", "MD5").lower(), ""),
            qop,
            pairs.get("opaque"),
            pairs.get("stale", "").lower() == "true",
            not qop and any(offered),
        )

    @property
    def is_answerable(self) -> bool:
        """Whether we know the algorithm, and one of the protections if any is asked for."""
        return bool(self.algorithm) and not self.has_unknown_qop


def answer(
    challenge: Challenge,
    *,
    method: str,
    uri: str,
    username: str,
    password: str | None = None,
    ha1: str | None = None,
    cnonce: str,
    nc: int = 1,
    body: bytes = b"",
) -> str:
    """The value of Authorization or Proxy-Authorization that answers a challenge, RFC 7616 section 3.4.

    `uri` is the Request-URI as it is sent; `ha1`, when given instead of the password, is for the challenge's
    algorithm and realm; `nc` counts the uses of this nonce from 1. Raises UsageError for what cannot be answered.
    """
    if not challenge.is_answerable or (password is None) == (ha1 is None):
        raise UsageError("an unknown challenge, or not exactly one of password and ha1")
    algorithm = challenge.algorithm
    if password is not None:
        ha1 = _hashed(algorithm, f"{username}:{challenge.realm}:{password}")
    assert ha1 is not None
    fields = {"nonce": challenge.nonce, "uri": uri, "cnonce": cnonce, "nc": f"{nc:08x}"}
    body_hash = None
    if challenge.qop:
        fields["qop"] = challenge.qop[0]
        if challenge.qop[0] == "auth-int":
            body_hash = _HASHES[algorithm](body).hexdigest()
    parts = [
        f"Digest username={quoted(username)}",
        f"realm={quoted(challenge.realm)}",
        f"nonce={quoted(challenge.nonce)}",
        f"uri={quoted(uri)}",
        f'response="{_response(algorithm, ha1, method, fields, body_hash)}"',
        f"algorithm={algorithm}",
    ]
    if challenge.qop:
        parts += [f"cnonce={quoted(cnonce)}", f"qop={fields['qop']}", f"nc={fields['nc']}"]
    elif algorithm.endswith("-sess"):
        parts.append(f"cnonce={quoted(cnonce)}")
    if challenge.opaque is not None:
        parts.append(f"opaque={quoted(challenge.opaque)}")
    return ", ".join(parts)


# -- the server's end


class Credentials:
    """What a client answered."""

    __slots__ = ("algorithm", "fields", "realm", "username")

    def __init__(self, username: str, realm: str, algorithm: str, fields: dict[str, str]) -> None:
        self.username = username
        self.realm = realm
        self.algorithm = algorithm
        self.fields = fields

    @staticmethod
    def parse(value: str) -> Credentials:
        """Read the value of an Authorization or Proxy-Authorization. Raises SipSyntaxError."""
        fields = _pairs(value)
        named = fields.get("algorithm", "MD5")
        algorithm = named if named in _HASHES else _BY_LOWER.get(named.lower())
        qop = fields.get("qop")
        if (
            algorithm is None
            or not ("username" in fields and "realm" in fields and "nonce" in fields)
            or not ("uri" in fields and "response" in fields)
            or len(fields["response"]) not in (32, 64)
            or not _is_hex(fields["response"])
            or qop not in (None, "auth")
            or (qop and not (fields.get("cnonce") and _is_count(fields.get("nc", ""))))
            or (algorithm.endswith("-sess") and not fields.get("cnonce"))
            or fields.get("userhash", "").lower() == "true"
        ):
            raise SipSyntaxError("Malformed Digest credentials")
        return Credentials(fields["username"], fields["realm"], algorithm, fields)

    def __repr__(self) -> str:
        return f"<Credentials of {self.username!r}>"


def _is_count(text: str) -> bool:
    return len(text) <= 8 and _is_hex(text)


class Outcome(Enum):
    """How credentials fared."""

    OK = "ok"
    MISSING = "missing"  # none for our realm: challenge
    WRONG = "wrong"  # unknown user or wrong password: 403
    STALE = "stale"  # right, but the nonce is too old or not ours: challenge with stale
    REPLAYED = "replayed"  # right, but this nonce count was used before: challenge with stale
    MALFORMED = "malformed"  # 400


class Verdict:
    """The outcome, and the name that was claimed ("" when none); it is proven only when the outcome is OK."""

    __slots__ = ("outcome", "username")

    def __init__(self, outcome: Outcome, username: str) -> None:
        self.outcome = outcome
        self.username = username


class Authenticator:
    """Challenges and checks for one realm.

    `key` is the secret of the installation, the same on all its nodes; `node` keeps the nonces of two nodes
    apart. ``most_counts`` nonces in use are remembered. Times are seconds of the wall clock, since nonces outlive a
    restart.
    """

    def __init__(
        self, key: bytes, realm: str, *, node: str = "0", most_counts: int = MAX_NONCE_COUNTS
    ) -> None:
        if len(key) < 16 or not re.fullmatch(r"[A-Za-z0-9]{1,16}", node):
            raise UsageError("a key has 16 bytes at least, a node's name 1 to 16 letters and digits")
        # BLAKE2 with a key is a MAC (RFC 7693 section 2.9), and a third of the work of HMAC through OpenSSL.
        self._mac = hashlib.blake2s(
            f"{realm}\0".encode(), key=hashlib.sha256(key).digest(), digest_size=_MAC_BYTES
        )
        self.realm = realm
        self._asked = f'Digest realm={quoted(realm)}, qop="auth", nonce='
        self._node = node
        self._most_counts = most_counts
        self._issued = 0
        self._counts: dict[str, tuple[float, int]] = {}  # nonce -> (issued at, highest count), by first use
        self._floor = 0.0  # nonces issued before, and not in the table, count as stale
        self._nobody = {name: self._sign(f"nobody {name}").ljust(64, "0") for name in ALGORITHMS}

    def __repr__(self) -> str:
        return f"<Authenticator of {self.realm!r}>"

    def _sign(self, text: str) -> str:
        mac = self._mac.copy()
        mac.update(text.encode())
        return mac.hexdigest()

    def challenge(self, now: float, *, stale: bool = False, algorithm: str = "MD5") -> str:
        """The value of a Proxy-Authenticate (407) or WWW-Authenticate (401), with a nonce never given before."""
        self._issued += 1
        stamp = (
            f"{hex(int(now * 1000))[2:]}.{self._node}.{hex(self._issued)[2:]}"  # formats cost more compiled
        )
        nonce = f"{stamp}.{self._sign(stamp)}"
        value = f'{self._asked}"{nonce}", algorithm={algorithm}'
        return f"{value}, stale=TRUE" if stale else value

    def check(
        self,
        header: str | Iterable[str] | None,
        *,
        method: str,
        lookup: Callable[[str, str], str | None],
        now: float,
        uri: Uri | None = None,
    ) -> Verdict:
        """Judge the credentials of a request.

        `header` is one value or all of them: the first for our realm counts. `lookup(username, algorithm)` gives
        the stored HA1 in hex, algorithm "MD5" or "SHA-256", or None. With `uri`, the Request-URI, credentials
        made for another user or host are malformed (RFC 7616 section 3.4.6): ports and parameters may differ,
        because proxies and phones change them.
        """
        values = [] if header is None else [header] if isinstance(header, str) else header
        malformed = False
        for value in values:
            if value.partition(" ")[0].lower() != "digest":
                continue  # another scheme is none of ours (RFC 4475 section 3.3.7)
            try:
                credentials = Credentials.parse(value)
            except SipSyntaxError:
                malformed = True
                continue
            if credentials.realm == self.realm:
                return Verdict(self._judge(credentials, method, lookup, now, uri), credentials.username)
        return Verdict(Outcome.MALFORMED if malformed else Outcome.MISSING, "")

    def _judge(
        self,
        credentials: Credentials,
        method: str,
        lookup: Callable[[str, str], str | None],
        now: float,
        uri: Uri | None,
    ) -> Outcome:
        algorithm, fields = credentials.algorithm, credentials.fields
        if uri is not None and not _same_target(fields["uri"], uri):
            return Outcome.MALFORMED
        stored = lookup(credentials.username, algorithm.removesuffix("-sess"))
        key = self._nobody[algorithm] if stored is None else stored.lower()
        expected = _response(algorithm, key, method, fields, None)
        is_right = hmac.compare_digest(expected.encode(), fields["response"].lower().encode())
        if not is_right or stored is None:
            return Outcome.WRONG
        return self._count(fields, now)

    def _count(self, fields: Mapping[str, str], now: float) -> Outcome:
        """Whether the nonce is ours, fresh, and not used with this count; then remember the use.

        A right answer without qop carries no count, so its nonce is good for one request only.
        """
        nonce = fields["nonce"]
        stamp, _, signature = nonce.rpartition(".")
        if not hmac.compare_digest(self._sign(stamp).encode(), signature.encode()):
            return Outcome.STALE
        issued_at = int(stamp.partition(".")[0], 16) / 1000
        if not now - NONCE_LIFETIME <= issued_at <= now + 1.0:
            return Outcome.STALE
        count = int(fields["nc"], 16) if "qop" in fields else _USED_UP
        known = self._counts.get(nonce)
        if known is None:
            if issued_at <= self._floor:
                return Outcome.STALE
            self._make_room(now)
        elif count <= known[1] or count == _USED_UP:
            return Outcome.REPLAYED
        self._counts[nonce] = (issued_at, count)
        return Outcome.OK

    def _make_room(self, now: float) -> None:
        counts = self._counts
        while counts:
            oldest = next(iter(counts))
            issued_at = counts[oldest][0]
            if issued_at >= now - NONCE_LIFETIME:
                if len(counts) < self._most_counts:
                    return
                self._floor = max(self._floor, issued_at)
            del counts[oldest]


def _same_target(text: str, uri: Uri) -> bool:
    if text == uri.text:
        return True
    try:
        claimed = Uri.parse(text)
    except SipSyntaxError:
        return False
    return claimed.user == uri.user and claimed.host.lower() == uri.host.lower()
