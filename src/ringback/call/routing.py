"""Where a call goes: from what was dialed to the SIP targets that reach it.

A plan is plain data, because it comes back to the script as an event and stays in the journal::

    {"error_code": 0, "error_text": "", "to": "+1555...", "from": "+1650...",
     "from_user": "+1650...", "from_domain": "...", "display_name": "",
     "targets": [{"uri", "hop", "headers", "route", "username", "password", "follow_redirects",
                  "turn", "identity"}]}

``hop`` is a Hop as a list when the way is known already (a registered phone), else None: DNS finds it. ``spare``,
where it is there, are further ways to the same phone, each a Hop and a route. Targets of turn 0 ring at once; those of the next turn when they all failed.
``password`` is a handle, never the secret. ``identity`` is [whether to keep the caller from whom is called, the number
that this target may know all the same]: carriers may, nobody else (RFC 3325).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from ringback.call.caller_id import WITHHELD_AS
from ringback.call.directory import Directory, Registered, Registrations, Row
from ringback.call.failover import in_turn
from ringback.call.numbers import is_e164, normalize
from ringback.call.wanted import Wanted
from ringback.sip.errors import SipSyntaxError
from ringback.sip.uri import Uri

Plan = dict[str, Any]
Target = dict[str, Any]

CALLER_ID = re.compile(r"[A-Za-z0-9+\-_.]{1,64}\Z")
"""What a SIP caller ID may hold (sip.md section 3)."""

HEADER_NAME = re.compile(
    r"(?:x-[A-Za-z0-9\-_.]{1,120}|user-to-user|remote-party-id|p-preferred-identity|p-called-party-id)\Z",
    re.I,
)
"""Headers that a <Sip> may add to its INVITE (Twilio: Sip noun, "Custom headers")."""

TWILIO_PARAMETERS = frozenset({"edge", "region", "tnx", "secure"})
"""Parameters of a <Sip> address that are for Twilio, not for the far end (sip.md section 3)."""

ADDRESSES_KEPT: Final = 1_000
"""Addresses of <Sip> nouns that are remembered as they were read: bins and programs dial the same few."""

MAX_URI = 255
MAX_HEADERS = 1024


class Unroutable(Exception):
    """The noun cannot be reached: Twilio's code, and what to do about it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def plan(
    wanted: Wanted,
    directory: Directory,
    registrations: Registrations,
    now: float,
    chance: Callable[[], float] = lambda: 0.0,
) -> Plan:
    """The plan for a dialed noun or a REST call's To; and where a Refer leads.

    ``chance`` gives numbers of [0, 1), by which targets of one priority are drawn.
    """
    try:
        if wanted["kind"] == "refer":
            return _plan_refer(wanted["address"])
        if wanted["kind"] == "sip":
            planned = _plan_sip(wanted, directory, registrations, now)
        else:
            planned = _plan_number(wanted, directory, chance)
    except Unroutable as problem:
        return {
            "error_code": problem.code,
            "error_text": problem.text,
            "to": wanted["address"],
            "targets": [],
        }
    if wanted["is_withheld"]:
        for target in planned["targets"]:
            target["identity"][0] = True
    return planned


def _planned(to: str, from_: str, from_user: str, from_domain: str, targets: list[Target]) -> Plan:
    return {
        "error_code": 0,
        "error_text": "",
        "to": to,
        "from": from_,
        "from_user": from_user,
        "from_domain": from_domain,
        "display_name": "",
        "targets": targets,
    }


def _to_binding(binding: Registered, headers: list[list[str]]) -> Target:
    target = _target(str(binding.target), hop=binding.received.parts(), headers=headers)
    target["route"] = list(binding.path)
    if binding.spare:
        target["spare"] = [[other.received.parts(), list(other.path)] for other in binding.spare]
    return target


def _target(
    uri: str,
    *,
    hop: list[Any] | None = None,
    headers: list[list[str]] | None = None,
    turn: int = 0,
    asserted: str = "",
) -> Target:
    return {
        "uri": uri,
        "hop": hop,
        "headers": headers or [],
        "route": [],
        "username": "",
        "password": "",
        "follow_redirects": hop is None,
        "turn": turn,
        "identity": [False, asserted],
    }


# -- numbers ---------------------------------------------------------------------------------------------


def _plan_number(wanted: Wanted, directory: Directory, chance: Callable[[], float]) -> Plan:
    number = normalize(wanted["address"], wanted["country"])
    if number is None:
        raise Unroutable(
            13224,
            f"{wanted['address']!r:.60} is not a phone number: dial +country-and-number, or as in {wanted['country']}",
        )
    caller = _number_caller(wanted, directory)
    sid = wanted["byoc"]
    carrier = directory.trunk(sid) if sid else directory.default_trunk(wanted["account_sid"])
    if carrier is None or (sid and carrier.trunk["account_sid"] != wanted["account_sid"]):
        raise Unroutable(
            21300 if sid else 32010, f"there is no BYOC trunk {sid}" if sid else "the account has no carrier"
        )
    asserted = wanted["asserted"] if caller in WITHHELD_AS.values() else caller
    targets = [
        _target(_towards(row["target"], number), turn=turn, asserted=asserted)
        for turn, row in enumerate(in_turn(carrier.targets, chance))
    ]
    if not targets:
        raise Unroutable(32010, f"the carrier {carrier.trunk['friendly_name']} has no enabled target")
    domain = _from_domain(carrier.trunk, directory)
    return _planned(number, caller, caller, domain, targets)


def _from_domain(trunk: Row, directory: Directory) -> str:
    sid = trunk.get("from_domain_sid")
    domain = directory.domain_by_sid(sid) if sid else None
    return str(domain["domain_name"]) if domain else directory.base_domain


def _towards(target: str, number: str) -> str:
    """The target's URI with the number as its user part, unless it has one."""
    uri = Uri.parse(target)
    return str(uri) if uri.user else str(uri.replace(user=number))


def _number_caller(wanted: Wanted, directory: Directory) -> str:
    """The number that is shown: the account's own or verified, or that of a caller from outside."""
    given = wanted["caller_id"]
    if not given:
        caller = str(wanted["caller"])
        if wanted["caller_direction"] == "inbound" and is_e164(caller):
            return caller
        given = caller
    number = normalize(given, wanted["country"]) if not given.startswith("sip:") else None
    if number is None or not directory.may_show(wanted["account_sid"], number):
        raise Unroutable(
            13214,
            f"the caller ID {given!r:.80} is neither a number of the account nor a verified one; "
            "set <Dial callerId> to one that is",
        )
    return number


# -- SIP addresses -----------------------------------------------------------------------------------------


@lru_cache(maxsize=ADDRESSES_KEPT)
def parse_sip_address(address: str) -> tuple[Uri, tuple[tuple[str, str], ...]]:
    """A <Sip> noun's text: its URI without headers, and the headers to add. Raises Unroutable.

    Deviation: a SIPS URI becomes a SIP URI with transport=tls, as Twilio has it, where RFC 3261 section 26.2.2 would keep
    the scheme up to the last hop. Pinned by test_sips_becomes_sip_over_tls.
    """
    text = address.strip()
    if not re.match(r"sips?:", text, re.I):
        text = f"sip:{text}"
    front, _, query = text.partition("?")
    if len(front) > MAX_URI or len(query) > MAX_HEADERS:
        raise Unroutable(
            13253, f"a SIP address has at most {MAX_URI} characters, and {MAX_HEADERS} of headers"
        )
    try:
        uri = Uri.parse(front)
    except SipSyntaxError as problem:
        raise Unroutable(13243, f"{address!r:.100} is not a SIP address: {problem}") from None
    if not uri.is_sip or not uri.host:
        raise Unroutable(13243, f"{address!r:.100} is not a SIP address: sip:user@host is wanted")
    if uri.password:
        text = "a SIP address holds no password: use the attributes username and password"
        raise Unroutable(13243, text)
    if (uri.params.get("secure") or "").lower() == "true":
        raise Unroutable(
            12400, "secure=true (SRTP) is valid TwiML, but this version of Ringback cannot do it yet"
        )
    params = {name: value for name, value in uri.params.items() if name.lower() not in TWILIO_PARAMETERS}
    if uri.scheme == "sips":
        params["transport"] = "tls"
    return uri.replace(scheme="sip", params=params), _headers_of(query)


def _plan_refer(address: str) -> Plan:
    """The target of a REFER of ours: any SIP address, with any headers (TwiML reference, "Refer")."""
    text = address.strip()
    if not re.match(r"sips?:", text, re.I):
        text = f"sip:{text}"
    if len(text) > MAX_URI + MAX_HEADERS:
        raise Unroutable(13243, f"the address of a <Refer> has at most {MAX_URI + MAX_HEADERS} characters")
    try:
        uri = Uri.parse(text)
    except SipSyntaxError as problem:
        raise Unroutable(13243, f"{address!r:.100} is not a SIP address: {problem}") from None
    if not uri.host or any(sign < " " for _, value in uri.headers for sign in value):
        raise Unroutable(13243, f"{address!r:.100} is not a SIP address: sip:user@host is wanted")
    return _planned(str(uri), "", "", "", [])


def _headers_of(query: str) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    for pair in query.split("&") if query else []:
        name, _, value = pair.partition("=")
        name, value = unquote(name), unquote(value)
        if not HEADER_NAME.match(name):
            raise Unroutable(13252, f"the header {name!r:.60} cannot be sent: x-... and User-to-User can")
        if any(sign < " " or sign == "\x7f" for sign in value):
            raise Unroutable(13253, f"the header {name!r:.60} holds a control character")
        headers.append((name, value))
    return tuple(headers)


def _plan_sip(wanted: Wanted, directory: Directory, registrations: Registrations, now: float) -> Plan:
    uri, added = parse_sip_address(wanted["address"])
    headers = [list(pair) for pair in added]
    if wanted.get("referred_by"):
        headers.append(["Referred-By", wanted["referred_by"]])
    caller = wanted["caller_id"] or wanted["caller"]
    user = _sip_caller(caller)
    domain = directory.domain(uri.host)
    shown = f"sip:{uri.user}@{uri.host}" if uri.user else f"sip:{uri.host}"
    if domain is not None:
        return _plan_registered(wanted, uri, domain, headers, registrations, now, user)
    target = _target(str(uri), headers=headers)
    target["username"], target["password"] = wanted["username"], wanted["password"]
    return _planned(shown, caller, user, directory.base_domain, [target])


def _sip_caller(caller: str) -> str:
    user = caller
    if caller.lower().startswith(("sip:", "sips:")):
        try:
            user = Uri.parse(caller).user or ""
        except SipSyntaxError:
            user = ""
    if not CALLER_ID.match(user):
        raise Unroutable(13247, f"the caller ID {caller!r:.80} holds more than letters, digits and + - _ .")
    return user


def _plan_registered(
    wanted: Wanted,
    uri: Uri,
    domain: Row,
    headers: list[list[str]],
    registrations: Registrations,
    now: float,
    from_user: str,
) -> Plan:
    name = str(domain["domain_name"])
    if domain["account_sid"] != wanted["account_sid"]:
        raise Unroutable(13255, f"the SIP domain {name} belongs to another account")
    if not uri.user:
        raise Unroutable(32223, f"a user is wanted before @{name}")
    aor = f"{uri.user}@{name}"
    bindings = registrations.targets(aor, now)
    if not bindings:
        raise Unroutable(32009, f"nobody is registered as {aor}: no phone is on, or it failed to register")
    targets = [_to_binding(binding, headers) for binding in bindings]
    caller = wanted["caller_id"] or wanted["caller"]
    return _planned(f"sip:{aor}", caller, from_user, name, targets)
