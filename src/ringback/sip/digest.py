"""Digest authentication, RFC 7616 and RFC 8760 as RFC 3261 section 22 uses them: challenges, and what answers them.

The client answers 401 and 407 with these; the server's end is `authenticator`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from ringback.sip.digest_pairs import read_pairs
from ringback.sip.errors import SipSyntaxError, UsageError
from ringback.sip.headers import quoted
from ringback.sip.limits import MAX_REMEMBERED_TEXT, REMEMBERED_ADDRESSES


def _md5(data: bytes) -> hashlib._Hash:
    return hashlib.md5(data, usedforsecurity=False)


def _sha_256(data: bytes) -> hashlib._Hash:
    return hashlib.sha256(data, usedforsecurity=False)


_HASHES: Final[dict[str, Callable[[bytes], hashlib._Hash]]] = {
    "MD5": _md5,
    "MD5-sess": _md5,
    "SHA-256": _sha_256,
    "SHA-256-sess": _sha_256,
}
ALGORITHMS: Final = ("MD5", "MD5-sess", "SHA-256", "SHA-256-sess")
_BY_LOWER: Final = {name.lower(): name for name in ALGORITHMS}


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


def request_digest(
    algorithm: str, key: str, method: str, fields: Mapping[str, str], body_hash: str | None
) -> str:
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
        pairs = read_pairs(value)
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
        f'response="{request_digest(algorithm, ha1, method, fields, body_hash)}"',
        f"algorithm={algorithm}",
    ]
    if challenge.qop:
        parts += [f"cnonce={quoted(cnonce)}", f"qop={fields['qop']}", f"nc={fields['nc']}"]
    elif algorithm.endswith("-sess"):
        parts.append(f"cnonce={quoted(cnonce)}")
    if challenge.opaque is not None:
        parts.append(f"opaque={quoted(challenge.opaque)}")
    return ", ".join(parts)


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
        fields = read_pairs(value)
        named = fields.get("algorithm", "MD5")
        algorithm = named if named in _HASHES else _BY_LOWER.get(named.lower())
        qop = fields.get("qop")
        if (
            algorithm is None
            or not ("username" in fields and "realm" in fields and "nonce" in fields)
            or not ("uri" in fields and "response" in fields)
            or not _is_digest(fields["response"])
            or qop not in (None, "auth")
            or (qop and not (fields.get("cnonce") and _is_count(fields.get("nc", ""))))
            or (algorithm.endswith("-sess") and not fields.get("cnonce"))
            or fields.get("userhash", "").lower() == "true"
        ):
            raise SipSyntaxError("Malformed Digest credentials")
        return Credentials(fields["username"], fields["realm"], algorithm, fields)

    def __repr__(self) -> str:
        return f"<Credentials of {self.username!r}>"


def _is_digest(text: str) -> bool:
    size = len(text)
    if not ((size == 32 or size == 64) and text.isascii() and text.isalnum()):
        return False
    try:
        bytes.fromhex(text)  # a third of what int() takes
    except ValueError:
        return False
    return True


def _is_count(text: str) -> bool:
    if not (len(text) <= 8 and text.isascii() and text.isalnum()):
        return False
    try:
        int(text, 16)
    except ValueError:
        return False
    return True
