"""Which URLs Twilio accepts for a webhook."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from .limits import MAX_LABEL, MAX_URL

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f<>\"\\^`{|}]")
_LABEL = re.compile(rf"(?!-)[A-Za-z0-9\-\u00a1-\uffff]{{1,{MAX_LABEL}}}(?<!-)\Z")
_LOOSE = re.compile(rf"[A-Za-z0-9_\-\u00a1-\uffff]{{1,{MAX_LABEL}}}\Z")  # names of containers and the like
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+\Z")


def is_webhook_url(text: str, *, strict: bool = False) -> bool:
    """Whether a URL is absolute, http or https, with a valid host name and port.

    User and password, a query and the fragment of connection overrides are allowed; underscores in the host
    name unless `strict`.
    """
    if len(text) > MAX_URL or _FORBIDDEN.search(text):
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or port == 0:
        return False
    host = parts.hostname or ""
    if ":" in host:
        return _IPV6.match(host) is not None
    return is_host_name(host) or (not strict and all(map(_LOOSE.match, host.removesuffix(".").split("."))))


def is_host_name(host: str) -> bool:
    """Whether a text is a host name or an IPv4 address by its form (RFC 1123 section 2.1)."""
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and all(_LABEL.match(label) for label in labels)
