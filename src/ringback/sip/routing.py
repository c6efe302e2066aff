"""Where a message goes next: answers by their Via, requests inside a dialog by its route set.

Names are not looked up here; what is no IP literal has no hop yet (effect Resolve).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from ringback.sip.flow import Flow, Hop

if TYPE_CHECKING:
    from ringback.sip.dialog import Dialog
    from ringback.sip.headers import Via
    from ringback.sip.uri import Uri

HOSTS_KEPT: Final = 4_096
"""Hosts whose kind is remembered."""

_IPV4: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")


def is_address(host: str) -> bool:
    """Whether a host (without brackets) is an IP literal and not a name."""
    return ":" in host or _IPV4.fullmatch(host) is not None


def _maddr(params: Mapping[str, str | None]) -> str:
    """Where a URI or a Via wants to be sent to, an IPv6 literal without its brackets; "" where it does not say."""
    return (params.get("maddr") or "").strip("[]")


def default_port(transport: str) -> int:
    """RFC 3261 19.1.2: 5061 for TLS, 5060 for the others."""
    return 5061 if transport == "TLS" else 5060


def response_hop(via: Via, flow: Flow, *, is_stranger: bool = False) -> Hop:
    """Where the answers to a request go, RFC 3261 18.2.2 and RFC 3581 section 4.

    The stream that it came on; when that is closed by then, the sent-by port of the same host. For UDP maddr,
    else the source address, with the source port when the client asked for it (rport).

    Deviation: for a request that makes no transaction maddr does not count, because an answer to a stranger could be
    led to anybody with it. Pinned by test_an_answer_to_a_stranger_goes_to_nobody_else.
    """
    back = flow.hop()
    port = via.port or default_port(flow.transport)
    if flow.connection:
        return Hop(flow.transport, back.host, port, flow.connection)
    params = via.params
    if "rport" in params:
        port = back.port
    host = back.host if is_stranger else _maddr(params) or back.host
    if host == back.host and port == back.port:
        return back
    return Hop(flow.transport, host, port, 0, "", flow.local)


def literal_hop(uri: Uri, flow: Flow | None) -> Hop | None:
    """The hop of a URI whose host is an IP literal; None for names.

    The stream of ``flow`` is used again when it leads to the same host over the same transport (RFC 5923 in
    spirit: a phone behind NAT cannot be reached otherwise), and so is its UDP socket.
    """
    host = _maddr(uri.params) or uri.host
    if not is_address(host):
        return None
    transport = uri.transport or "UDP"
    port = uri.port or default_port(transport)
    if flow is not None and flow.transport == transport:
        if flow.connection and flow.remote[0] == host:
            return Hop(transport, host, port, flow.connection)
        if not flow.connection:
            return Hop(transport, host, port, 0, "", flow.local)
    return Hop(transport, host, port)


def dialog_hop(dialog: Dialog, flow: Flow | None) -> Hop | None:
    """Where the requests of a dialog go, RFC 3261 section 12.2.1.1; None for a route whose name is to be looked up.

    Deviation: without a route set they go where the peer last sent from, and not to its Contact, since phones behind
    NAT write addresses there that nobody can reach. Over UDP the Contact counts where both addresses are public, so that
    no NAT is between. Pinned by test_without_routes_requests_go_where_the_peer_sends_from.

    Deviation: who answers a call that came without TLS, and names a SIPS Contact, is sent to as any other, where RFC 3261
    section 26.2.2 would have TLS from then on: a call that is up is not put at risk for it.
    Pinned by test_a_callee_that_names_sips_without_tls_is_not_lost.
    """
    uri = dialog.next_uri
    if uri is not None:
        return literal_hop(uri, flow)
    assert flow is not None
    target, source = dialog.target, flow.remote[0]
    if target.host == source or flow.connection or not (is_public(target.host) and is_public(source)):
        return flow.hop()
    if "ob" in target.params or "maddr" in target.params:  # RFC 5626 section 4.3: by this flow
        return flow.hop()
    return literal_hop(target, flow)


@lru_cache(maxsize=HOSTS_KEPT)
def is_public(host: str) -> bool:
    """Whether a host is an address that is reached from everywhere."""
    try:
        return ip_address(host).is_global
    except ValueError:
        return False
