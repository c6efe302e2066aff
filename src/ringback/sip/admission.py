"""What a request must be before anybody is asked about it (RFC 3261 section 8.2): stateless refusals.

any request      420 unknown extension required, 415 a body that must be understood and is not, 422 refreshed too often,
                 406 no SDP wanted, 400 Replaces outside INVITE
outside dialogs  481 405 501 methods, 416 URI schemes, 480 SIPS without TLS, 482 merged or looped,
                 489 events, 483 hops used up, 400 no dialog possible
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ringback.sip import content, replaces
from ringback.sip.dialog import Header
from ringback.sip.flow import Flow
from ringback.sip.message import Request
from ringback.sip.refresh import EXTENSION, parse_session_expires
from ringback.sip.timers import ROUTES_MAX
from ringback.sip.transactions import Tables, merge_key
from ringback.sip.warning import SIPS_NOT_ALLOWED, warning

Refusal = tuple[int, str | None, list[Header]]
"""Status, reason phrase (None: the usual one) and further header fields."""

IN_DIALOG: Final = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE")
_ONLY_IN_DIALOG: Final = frozenset(("BYE", "INFO", "UPDATE", "PRACK", "NOTIFY"))
_WITH_OFFER: Final = frozenset(("INVITE", "UPDATE", "PRACK"))
_IDENTITY: Final = frozenset(("identity",))
_FOR_EVENTS: Final = frozenset(("SUBSCRIBE", "PUBLISH"))
REGISTRATION: Final = frozenset(("path", "outbound"))
"""Extensions of REGISTER that the registrar keeps: RFC 3327 and RFC 5626."""
_KNOWN: Final = frozenset((*IN_DIALOG, *"REGISTER PRACK REFER NOTIFY SUBSCRIBE PUBLISH MESSAGE".split()))


class Admission:
    """The rules of one agent: methods, extensions, and whether it passes calls on."""

    __slots__ = ("_extensions", "_forwards", "_info_types", "_methods", "_min_se", "_takes_replaces", "allow")

    def __init__(
        self,
        methods: Collection[str],
        extensions: Collection[str],
        forwards: bool,
        *,
        min_se: int = 0,
        info_types: Collection[str] = (),
        in_dialog: Collection[str] = (),
    ) -> None:
        self._min_se = min_se
        self._methods = frozenset(methods)
        self._extensions = frozenset(tag.lower() for tag in extensions)
        self._takes_replaces = replaces.EXTENSION in self._extensions
        self._forwards = forwards
        self._info_types = tuple(info_types)
        known = dict.fromkeys((*IN_DIALOG, *in_dialog, *methods))
        self.allow: list[Header] = [("Allow", ", ".join(known))]

    def method(self, request: Request) -> Refusal:
        """405 for a method that is known but not served here, 501 for any other (8.2.1)."""
        return (405 if request.method in _KNOWN else 501), None, self.allow

    def inside(self, request: Request) -> Refusal | None:
        """Rules for every request: Require (8.2.2.3), and what an offer may be written in (8.2.3).

        Deviation: the bodies of requests that need none (REGISTER, OPTIONS, BYE, REFER) are passed over whatever they
        are, where RFC 3261 section 8.2.3 has 415: nothing in them is for us, and a BYE or a transfer that is refused for
        one helps nobody. Pinned by test_a_body_that_nobody_needs_is_passed_over.
        """
        if request.has("Require"):
            known = REGISTRATION if request.method == "REGISTER" else self._extensions
            unknown = [tag for tag in request.all("Require") if tag.lower() not in known]
            if unknown:
                return 420, None, [("Unsupported", ", ".join(unknown))]
        if request.method != "INVITE" and self._takes_replaces and request.has("Replaces"):
            return 400, "Replaces Outside INVITE", []  # RFC 3891 section 3
        if (
            self._min_se
            and request.has("Session-Expires")
            and (request.method == "INVITE" or request.method == "UPDATE")
        ):
            wanted = parse_session_expires(request)
            if wanted is not None and wanted.interval < self._min_se and _has_timers(request):
                return 422, None, [("Min-SE", str(self._min_se))]  # RFC 4028 section 9
        if request.method == "INVITE" and request.has("Accept") and not _takes_sdp(request):
            return 406, None, []
        if request.body and request.method in _WITH_OFFER:
            refusal = _encoded(request)
            if refusal is None and not content.is_plain(request) and not _take_session(request):
                refusal = 415, None, [("Accept", content.ACCEPTED)]
            return refusal
        return None

    def info(self, request: Request) -> Refusal | None:
        """469 for an INFO of a package, as none was offered (RFC 6086 section 4.2.2), 415 for unknown words (8.2.3).

        Packages are not for us, so only the 469 has a Recv-Info (section 5.2.2), and that is empty. What is understood
        are digits in INFOs without a package, as phones send them.
        """
        if request.has("Info-Package"):
            return 469, None, [("Recv-Info", "")]
        kinds = self._info_types
        if request.body and kinds:
            refusal = _encoded(request)
            if refusal is None and request.content_type not in kinds and not _take_info(request, kinds):
                refusal = 415, None, [("Accept", ", ".join((*kinds, "multipart/*")))]
            return refusal
        return None

    def outside(self, request: Request, flow: Flow, tables: Tables) -> Refusal | None:
        """Rules for requests that belong to no dialog."""
        method = request.method
        if method not in self._methods:
            if method in _FOR_EVENTS:
                return (
                    489,
                    None,
                    [("Allow-Events", "refer"), *self.allow],
                )  # RFC 6665 section 8.2.1; those only in dialogs
            return (481, None, []) if method in _ONLY_IN_DIALOG else self.method(request)
        if not request.uri.is_sip and request.uri.scheme != "tel":
            return 416, None, []
        if flow.transport != "TLS" and _asks_for_sips(request):
            return 480, None, [warning(SIPS_NOT_ALLOWED, "SIPS Not Allowed")]  # RFC 5630 section 5.1.2
        if merge_key(request) in tables.merged or (len(request.vias) > 1 and _is_looped(request, tables)):
            return 482, None, []
        if method == "INVITE":
            if self._forwards and request.max_forwards == 0:
                return 483, None, []
            contacts = request.contacts or (() if request.has("Contact") else (request.from_,))
            if len(contacts) != 1 or not contacts[0].uri.is_sip:
                return 400, "Exactly One SIP Contact Needed", []
            if len(request.record_routes) > ROUTES_MAX:
                return 400, "Route Set Too Long", []
        return None


def _asks_for_sips(request: Request) -> bool:
    """Whether a request leads here by a SIPS URI, or makes a dialog that would lead back by one (RFC 3261 section 26.2.2).

    Whom 480 with this Warning meets may ask by a SIP URI instead, after 416 he would do it unasked. A REGISTER is
    judged by the registrar.
    """
    if request.uri.scheme == "sips":
        return True
    back = request.contacts if request.method == "INVITE" else ()
    return bool(back) and back[0].uri.scheme == "sips"


def _is_looped(request: Request, tables: Tables) -> bool:
    """Whether this is a request of ours that came back unchanged through somebody (RFC 5393 section 4.2)."""
    for via in request.vias[1:]:
        client = tables.clients.get(via.branch or "")
        if (
            client is not None
            and client.is_sent_by(via, "")
            and client.request.raw_uri == request.raw_uri
            and client.request.call_id == request.call_id
        ):
            return True
    return False


def _has_timers(request: Request) -> bool:
    return EXTENSION in request.tokens("Supported")


def _takes_sdp(request: Request) -> bool:
    """Whether the caller can read our answer (RFC 4475 section 3.3.15)."""
    ranges = [value.partition(";")[0].strip().lower() for value in request.all("Accept")]
    return any(each in ("application/sdp", "application/*", "*/*") for each in ranges)


def _encoded(request: Request) -> Refusal | None:
    """The refusal of a body that was packed (8.2.3)."""
    if request.has("Content-Encoding") and request.tokens("Content-Encoding") - _IDENTITY:
        return 415, None, [("Accept-Encoding", "identity")]
    return None


def _take_session(request: Request) -> bool:
    """Put what a body says of the session in its place; False where another part had to be understood (section 20.11)."""
    found = content.session_of(request)
    request.body = found.body
    return found.is_understood


def _take_info(request: Request, kinds: Collection[str]) -> bool:
    """Put what the body of an INFO says in one of these media types in its place, and the type as well."""
    found = content.info_of(request, kinds)
    request.body = found.body
    if found.kind:
        request.set("Content-Type", found.kind)
    return found.is_understood
