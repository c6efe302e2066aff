r"""Who may call in, decided before anything is created for the request.

::

    INVITE --> carrier by source address? --> number --> its voice URL
          \--> SIP domain by host --> IP list --> digest (407) --> the domain's voice URL

Everybody else gets one stateless answer, with Twilio's error in ``X-Twilio-Error`` where it has one
(sip.md sections 1 and 8). No call, no webhook and no server transaction comes of a request that is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import msgspec

from ringback.call.caller_id import caller_of_carrier, wants_privacy
from ringback.call.directory import Directory, Row
from ringback.call.numbers import normalize
from ringback.call.setup import Page, StatusCallback
from ringback.sip.authenticator import Authenticator, Outcome
from ringback.sip.flow import Flow
from ringback.sip.identity import impossible_privacy
from ringback.sip.message import Request
from ringback.sip.uri import VISUAL_SEPARATORS
from ringback.sip.warning import MISCELLANEOUS, warning


class Refused:
    """The stateless answer. ``note`` says why, for the log; "" for the ordinary first challenge.

    ``is_wrong_password``: somebody guesses, or mistyped.
    """

    __slots__ = ("headers", "is_wrong_password", "note", "reason", "status")

    def __init__(
        self,
        status: int,
        reason: str,
        headers: Sequence[tuple[str, str]] = (),
        note: str = "",
        is_wrong_password: bool = False,
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.note = note
        self.is_wrong_password = is_wrong_password


class Admitted(msgspec.Struct, frozen=True):
    """A call that may come in, with what its script starts from."""

    account_sid: str
    from_: str
    to: str
    page: Page
    status_callback: StatusCallback
    parameters: dict[str, str]
    phone_number_sid: str = ""
    application_sid: str = ""
    is_user: bool = False
    """It comes from a user of a SIP domain, not from a carrier."""
    is_withheld: bool = False
    """Whom it is for must not see who calls (RFC 3323)."""
    asserted: str = ""
    """The number of a carrier's caller, which carriers alone may be told (RFC 3325)."""


def twilio_error(status: int, reason: str, code: int, text: str) -> Refused:
    """A refusal with Twilio's error header."""
    return Refused(status, reason, (("X-Twilio-Error", f"{code} {text}"),), f"{code} {text}")


def _insecure(code: int, reason: str, text: str) -> Refused:
    """A refusal of what a secure domain does not take, with the Warning of RFC 3261 section 21.4.26."""
    refused = twilio_error(488, reason, code, text)
    refused.headers = (*refused.headers, warning(MISCELLANEOUS, text))
    return refused


def admit(
    request: Request, flow: Flow, directory: Directory, authenticator: Authenticator, now: float
) -> Admitted | Refused:
    """Decide on an INVITE outside any dialog."""
    source = directory.trunk_for_source(*flow.remote[:2])
    if source is not None:
        return _refuse_privacy(request) or _admit_carrier(request, source.trunk, directory)
    domain = domain_of(request, flow, directory)
    if domain is None:
        return Refused(404, "Not Found", note=f"no SIP domain {request.uri.host!r:.100} here")
    refusal = authenticate(request, flow, domain, "calls", directory, authenticator, now)
    if isinstance(refusal, Refused):
        return refusal
    return _refuse_privacy(request) or _admit_user(request, flow, domain, refusal)


def _refuse_privacy(request: Request) -> Refused | None:
    missing = impossible_privacy(request)
    if not missing:
        return None
    return Refused(
        500, f"Privacy Failure: {missing}", note=f"the privacy {missing} is critical, and unknown here"
    )


def domain_of(request: Request, flow: Flow, directory: Directory) -> Row | None:
    """The SIP domain that a request is for: by its host, or the default one if that is our own address.

    A number alone (tel:) is for the domain of who dials it: the server that a phone knows dials in its own domain.
    """
    uri = request.uri if request.uri.scheme != "tel" else request.from_.uri
    return _domain_at(uri.host, flow, directory)


def registrar_of(request: Request, flow: Flow, directory: Directory) -> Row | None:
    """The SIP domain that a REGISTER is for (RFC 3261 section 10.3 steps 1 and 5).

    The address of record must be one of the domain that is asked; where that is but our own address, it says which.
    """
    domain = domain_of(request, flow, directory)
    host, asked = request.to.uri.host, request.uri.host
    if host == asked:
        return domain
    named = _domain_at(host, flow, directory)
    if directory.domain(asked) is None:
        return named if is_own_address(asked, flow) else None
    return domain if named and domain and named["sid"] == domain["sid"] else None


def _domain_at(host: str, flow: Flow, directory: Directory) -> Row | None:
    """The SIP domain of a host name, or of an address of our own."""
    domain = directory.domain(host)
    if domain is not None:
        return domain
    return directory.default_domain() if is_own_address(host, flow) else None


def is_own_address(host: str, flow: Flow) -> bool:
    """Whether a host is the very address that the request came to, or some loopback name of it."""
    bare = host.strip("[]").lower()
    if bare == "localhost":
        return True
    try:
        address = ip_address(bare)
    except ValueError:
        return False
    local = flow.local[0].strip("[]")
    # A socket bound to every address does not say by which one it was reached: any literal is our own then.
    return address.is_loopback or bare == local or local in ("0.0.0.0", "::")


def authenticate(
    request: Request,
    flow: Flow,
    domain: Row,
    purpose: str,
    directory: Directory,
    authenticator: Authenticator,
    now: float,
) -> str | Refused:
    """Check the source and the digest of a request for a domain: the user name ("" by address), or a refusal.

    ``purpose`` is calls or registrations. Where both an address list and credentials are set, both must pass.
    """
    sid = str(domain["sid"])
    lookup = directory.credentials_for(sid, purpose)
    by_address = purpose == "calls" and directory.has_ip_rules(sid)
    if not lookup and not by_address:
        return twilio_error(
            403, "Forbidden", 32202, f"Authentication failure - {domain['domain_name']} lets nobody in"
        )
    if by_address:
        if not directory.lets_in(sid, flow.remote[0]):
            return twilio_error(
                403, "Forbidden", 32201, "Authentication failure - source IP Address not in ACL"
            )
        if not lookup:
            return ""

    algorithms = (domain["digest_algorithm"] or "MD5").split(",")
    given = request.raw("Proxy-Authorization")
    given.extend(request.raw("Authorization"))

    def digest_of(username: str, algorithm: str) -> str | None:
        if algorithm not in algorithms:
            return None
        credential = lookup(username)
        if credential is None:
            return None
        return str(credential.ha1_sha256 if algorithm == "SHA-256" else credential.ha1_md5)

    verdict = authenticator.check(
        given, method=request.method, lookup=digest_of, now=now, uri=request.uri, source=flow.remote[0]
    )
    if verdict.outcome is Outcome.OK:
        return verdict.username
    stale = verdict.outcome in (Outcome.STALE, Outcome.REPLAYED)
    if stale or verdict.outcome is Outcome.MISSING:
        source = flow.remote[0]
        # The preferred algorithm first (RFC 8760 section 2.3).
        challenges = [
            (
                "Proxy-Authenticate",
                authenticator.challenge(now, stale=stale, algorithm=algorithm, source=source),
            )
            for algorithm in algorithms
        ]
        return Refused(407, "Proxy Authentication Required", challenges)
    if verdict.outcome is Outcome.MALFORMED:
        return Refused(400, "Bad Request", note="malformed digest")
    wrong = twilio_error(403, "Forbidden", 32202, "Authentication failure - bad user credentials")
    wrong.is_wrong_password = True
    return wrong


def _page(row: Row) -> Page:
    return Page(
        row["voice_url"] or "",
        row["voice_method"] or "POST",
        row["voice_fallback_url"] or "",
        row["voice_fallback_method"] or "POST",
    )


def _admit_user(request: Request, flow: Flow, domain: Row, username: str) -> Admitted | Refused:
    if domain["secure"] and flow.transport != "TLS":
        return _insecure(32209, "Secure SIP transport required", "Secure SIP transport required")
    if domain["secure"]:
        return _insecure(32208, "Secure media required", "SRTP is required, and not available here yet")
    if not domain["voice_url"]:
        return Refused(404, "Not Found", note=f"{domain['domain_name']} has no voice URL")
    name = str(domain["domain_name"])
    caller, called = request.from_.uri, request.uri.user
    if request.uri.scheme == "tel":
        called = called.translate(VISUAL_SEPARATORS)  # RFC 3261 section 19.1.6
    parameters = {
        "SipDomain": name,
        "SipDomainSid": str(domain["sid"]),
        "SipCallId": request.call_id,
        "SipSourceIp": flow.remote[0],
    }
    if username:
        parameters["SipUsername"] = username
    parameters.update(passed_headers(request))
    callback = StatusCallback(
        domain["voice_status_callback_url"] or "", domain["voice_status_callback_method"] or "POST"
    )
    return Admitted(
        account_sid=str(domain["account_sid"]),
        from_=f"sip:{caller.user or username}@{name if username else caller.host}",
        to=f"sip:{called}@{name}",
        page=_page(domain),
        status_callback=callback,
        parameters=parameters,
        is_user=True,
        is_withheld=wants_privacy(request),
    )


def passed_headers(request: Request) -> dict[str, str]:
    """SipHeader_ parameters: each X- header, and User-to-User (sip.md section 1)."""
    found = {}
    for name, value in request.headers:
        if name[:2].lower() == "x-" or name.lower() == "user-to-user":
            found[f"SipHeader_{name}"] = value
    return found


def _admit_carrier(request: Request, trunk: Row, directory: Directory) -> Admitted | Refused:
    """A call from a carrier to one of its account's numbers. BYOC drops the custom headers."""
    account = directory.account(str(trunk["account_sid"]))
    country = str((account or {}).get("country") or "US")
    number = normalize(request.uri.user or "", country)
    row = directory.number(number) if number else None
    if row is None or row["account_sid"] != trunk["account_sid"]:
        shown = number or request.uri.user or ""
        return Refused(404, "Not Found", note=f"the account has no number {shown!r:.60}")
    caller = caller_of_carrier(request, country)
    page, application = _page(row), ""
    callback_url, callback_method = row["status_callback"] or "", row["status_callback_method"] or "POST"
    if row["voice_application_sid"]:
        found = directory.application(row["voice_application_sid"])
        if found is not None:
            page, application = _page(found), str(found["sid"])
            callback_url, callback_method = (
                found["status_callback"] or "",
                found["status_callback_method"] or "POST",
            )
    if trunk["voice_url"] and not page.url:
        page = _page(trunk)
    if not page.url:
        return Refused(404, "Not Found", note=f"the number {number} has no voice URL")
    return Admitted(
        account_sid=str(trunk["account_sid"]),
        from_=caller.shown,
        to=str(number),
        page=page,
        status_callback=StatusCallback(callback_url, callback_method),
        parameters={"ApplicationSid": application} if application else {},
        phone_number_sid=str(row["sid"]),
        application_sid=application,
        is_withheld=caller.is_withheld,
        asserted=caller.asserted,
    )
