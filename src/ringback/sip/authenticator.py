"""The server's end of Digest authentication (RFC 7616, RFC 3261 section 22): challenges for a realm, and their judge.

Nonces carry their own proof (time, number, keyed hash), so that challenging costs no memory; what is remembered is
only the count of each nonce that was used with a right answer, within a bound.

The proof is for the address that was challenged (RFC 7616 section 5.4), and is looked at before the answer: who forges
another's address cannot know a nonce of it, so nobody has wrong passwords counted against somebody else.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Final

from ringback.sip.digest import ALGORITHMS, Credentials, request_digest
from ringback.sip.errors import SipSyntaxError, UsageError
from ringback.sip.headers import quoted
from ringback.sip.limits import MAX_NONCE_COUNTS, NONCE_LIFETIME
from ringback.sip.uri import Uri

_USED_UP: Final = 1 << 32  # no nonce count is as high
_MAC_BYTES: Final = 16


class Outcome(Enum):
    """How credentials fared."""

    OK = "ok"
    MISSING = "missing"  # none for our realm: challenge
    WRONG = "wrong"  # unknown user or wrong password: 403
    STALE = "stale"  # the nonce is too old or not ours, or another address had it: challenge with stale
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
        # nonce -> (issued at, highest count), by first use. A dict whose first goes again and again looks for it ever longer.
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._floor = 0.0  # nonces issued before, and not in the table, count as stale
        self._nobody = {name: self._sign(f"nobody {name}").ljust(64, "0") for name in ALGORITHMS}

    def __repr__(self) -> str:
        return f"<Authenticator of {self.realm!r}>"

    def _sign(self, text: str) -> str:
        mac = self._mac.copy()
        mac.update(text.encode())
        return mac.hexdigest()

    def challenge(self, now: float, *, stale: bool = False, algorithm: str = "MD5", source: str = "") -> str:
        """The value of a Proxy-Authenticate (407) or WWW-Authenticate (401), with a nonce never given before.

        Only ``source``, the address that asked, can answer it.
        """
        self._issued += 1
        stamp = (
            f"{hex(int(now * 1000))[2:]}.{self._node}.{hex(self._issued)[2:]}"  # formats cost more compiled
        )
        nonce = f"{stamp}.{self._sign(f'{stamp}@{source}')}"
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
        source: str = "",
    ) -> Verdict:
        """Judge the credentials of a request from the address ``source``.

        `header` is one value or all of them: the first for our realm counts. `lookup(username, algorithm)` gives
        the stored HA1 in hex, algorithm "MD5" or "SHA-256", or None. With `uri`, the Request-URI, credentials
        made for another user or host are malformed (RFC 7616 section 3.4.6): ports and parameters may differ,
        because proxies and phones change them.
        """
        values = [] if header is None else [header] if isinstance(header, str) else header
        malformed = False
        for value in values:
            if not value.startswith("Digest ") and value.partition(" ")[0].lower() != "digest":
                continue  # another scheme is none of ours (RFC 4475 section 3.3.7)
            try:
                credentials = Credentials.parse(value)
            except SipSyntaxError:
                malformed = True
                continue
            if credentials.realm == self.realm:
                return Verdict(
                    self._judge(credentials, method, lookup, now, uri, source), credentials.username
                )
        return Verdict(Outcome.MALFORMED if malformed else Outcome.MISSING, "")

    def _judge(
        self,
        credentials: Credentials,
        method: str,
        lookup: Callable[[str, str], str | None],
        now: float,
        uri: Uri | None,
        source: str,
    ) -> Outcome:
        algorithm, fields = credentials.algorithm, credentials.fields
        if uri is not None and not _same_target(fields["uri"], uri):
            return Outcome.MALFORMED
        issued_at = self._issued_at(fields["nonce"], source)
        if not now - NONCE_LIFETIME <= issued_at <= now + 1.0:
            return Outcome.STALE
        stored = lookup(credentials.username, algorithm.removesuffix("-sess"))
        key = self._nobody[algorithm] if stored is None else stored.lower()
        expected = request_digest(algorithm, key, method, fields, None)
        is_right = hmac.compare_digest(expected, fields["response"].lower())
        if not is_right or stored is None:
            return Outcome.WRONG
        return self._count(fields, issued_at, now)

    def _issued_at(self, nonce: str, source: str) -> float:
        """When we gave a nonce to this address; minus infinity if we did not."""
        stamp, _, signature = nonce.rpartition(".")
        if not signature.isascii() or not hmac.compare_digest(self._sign(f"{stamp}@{source}"), signature):
            return -math.inf
        return int(stamp.partition(".")[0], 16) / 1000

    def _count(self, fields: Mapping[str, str], issued_at: float, now: float) -> Outcome:
        """Whether a nonce of ours was not used with this count yet; then remember the use.

        A right answer without qop carries no count, so its nonce is good for one request only.
        """
        nonce = fields["nonce"]
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
