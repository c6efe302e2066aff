"""X-Twilio-Signature: how a webhook proves that it comes from the exchange.

Source: Twilio, "Webhooks security". The base is the full URL without its fragment, then, for a form, every
name directly followed by its value, sorted by name; a repeated name gives its distinct values, sorted. The
signature is the base64 of the HMAC-SHA1 of the base under the Auth Token of the account that owns the
resource. A body that is not a form is covered by the query parameter ``bodySHA256`` of the URL.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import chain
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

Params = Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def sign(token: str, url: str, params: Params | None = None) -> str:
    """The signature of a request: its final URL (see `signed_url`) and the parameters of its form.

    `params` is a mapping whose values are texts or lists of texts, or pairs; None or empty for GET, WebSocket
    upgrades and bodies that are no form.
    """
    base = url.partition("#")[0] + _joined(params) if params else url.partition("#")[0]
    return b64encode(hmac.digest(token.encode(), base.encode(), "sha1")).decode("ascii")


def signed_url(url: str, body: bytes | None = None) -> str:
    """The URL to request and to sign: no fragment, no default port, ``bodySHA256`` when a body is given."""
    parts = urlsplit(url)
    netloc = parts.netloc
    default = f":{_DEFAULT_PORTS.get(parts.scheme, 0)}"
    if netloc.endswith(default):
        netloc = netloc.removesuffix(default)
    query = parts.query
    if body is not None:
        digest = f"bodySHA256={sha256(body).hexdigest()}"
        query = f"{query}&{digest}" if query else digest
    return urlunsplit((parts.scheme, netloc, parts.path, query, ""))


def validate(
    token: str, url: str, signature: str, params: Params | None = None, body: bytes | None = None
) -> bool:
    """Whether a signature is right for a request, in constant time; with and without the default port.

    `body` is the raw body of a request that is not a form; its hash must then be in the URL.
    """
    if body is not None:
        claimed = parse_qs(urlsplit(url).query).get("bodySHA256", [""])[0]
        if not hmac.compare_digest(claimed.encode(), sha256(body).hexdigest().encode()):
            return False
        params = None
    right = False
    for candidate in (url, _with_port(url), signed_url(url)):
        right |= hmac.compare_digest(sign(token, candidate, params).encode(), signature.encode())
    return right


def _joined(params: Params) -> str:
    """Name and value of each distinct pair, in order."""
    pairs: list[Any] = list(params.items() if isinstance(params, Mapping) else params)
    try:
        return "".join(chain.from_iterable(sorted(set(pairs))))
    except TypeError:  # lists of texts, too
        single: list[tuple[str, str]] = []
        for name, value in pairs:
            single += [(name, each) for each in ([value] if isinstance(value, str) else value)]
        return _joined(single)


def _with_port(url: str) -> str:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return url
    if port is not None or parts.scheme not in _DEFAULT_PORTS:
        return url
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}:{_DEFAULT_PORTS[parts.scheme]}"))
