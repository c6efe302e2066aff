"""The registrar: who can be reached where, RFC 3261 section 10 with Twilio's bounds.

A binding is one contact of one address of record (AOR). It is born by a REGISTER, refreshed by the next, and ends
when it expires, is removed, or when the stream it came over closes:

    (none) --REGISTER--> bound --REGISTER--> bound
    bound --expires 0, "*", expire(now), connection_lost()--> (none)

Twilio (voice/api/sip-registration): ten active contacts an AOR, 600 to 3600 seconds, 423 below, capped above.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from sys import intern
from typing import Final

from ringback.sip.binding import Binding, Change
from ringback.sip.errors import PeerError, SipSyntaxError
from ringback.sip.flow import Flow, Hop
from ringback.sip.headers import NameAddr, parse_name_addr, parse_name_addrs
from ringback.sip.limits import MAX_BINDINGS, MAX_INSTANCE, MAX_PATHS, MAX_USER_AGENT
from ringback.sip.message import Request
from ringback.sip.uri import Uri

MAX_CONTACTS: Final = 10  # Twilio: the eleventh active contact is rejected
MIN_EXPIRES: Final = 600  # Twilio: 423 below
MAX_EXPIRES: Final = 3600  # Twilio: capped above; also RFC 3261's own default (section 10.2.1.1)
RETRY_AFTER: Final = 60
FLOW_TIMER: Final = (
    120  # RFC 5626 section 4.4: seconds within which a stream is kept alive; NATs forget after 300
)

Header = tuple[str, str]
_NONE: Final[list[Binding]] = []
_NO_PATH: Final[tuple[str, ...]] = ()


class Registered:
    """The answer to a REGISTER: `request.reply(status, reason, headers=headers)`."""

    __slots__ = ("changes", "headers", "reason", "status")

    def __init__(
        self, status: int, headers: list[Header], changes: list[Change], reason: str | None = None
    ) -> None:
        self.status = status
        self.headers = headers
        self.changes = changes
        self.reason = reason


class _Refusal(PeerError):
    """An answer that says with a header field what would do."""

    def __init__(self, status: int, name: str, value: int) -> None:
        super().__init__(status, "")
        self.headers: list[Header] = [(name, str(value))]


class Registrar:
    """All bindings of an exchange, in memory. AORs are given by the caller, who knows domains and users.

    It holds ``most_bindings``. Times are seconds of the wall clock, since bindings outlive a restart.
    """

    def __init__(self, most_bindings: int = MAX_BINDINGS) -> None:
        self._most = most_bindings
        self._bindings: dict[str, list[Binding]] = {}
        """By AOR, in the order of `bindings`."""
        self._count = 0
        self._streams: dict[int, dict[str, None]] = {}  # connection -> AORs that may have bindings over it
        # Each AOR waits in one bucket of a second, that of its first expiry (or an earlier one).
        self._due: dict[int, dict[str, None]] = {}
        self._due_of: dict[str, int] = {}

    @property
    def count(self) -> int:
        """The number of bindings, those included that expired since the last `expire`."""
        return self._count

    def bindings(self, aor: str, now: float) -> list[Binding]:
        """The live bindings of an AOR: highest q first, of equals the one that lives longest (the freshest)."""
        return [binding for binding in self._bindings.get(aor, _NONE) if binding.expires_at > now]

    def targets(self, aor: str, now: float) -> list[Binding]:
        """What a call to the AOR is forked to: its bindings, but of each device one flow only.

        The freshest flow of a device (RFC 5626 section 7: never two of one instance at a time); the others are its
        ``spare`` ones, to be tried when that one fails. What is no SIP URI is kept and listed, and not called.
        """
        chosen: dict[str, Binding] = {}
        for index, binding in enumerate(self.bindings(aor, now)):
            if not binding.contact.is_sip:
                continue
            key = binding.instance if binding.reg_id else f"#{index}"
            first = chosen.setdefault(key, binding)
            if first is not binding:
                chosen[key] = first.replace(spare=(*first.spare, binding))
        return list(chosen.values())

    def register(
        self, aor: str, request: Request, flow: Flow, now: float, *, accept_path: bool = False
    ) -> Registered:
        """Carry out an authenticated REGISTER, RFC 3261 section 10.3 steps 6 to 8; all of it or nothing.

        Status 200, 400 (malformed, or out of order), 403 (too many contacts), 423 (with Min-Expires), 439 (RFC 5626)
        or 503. Path is used only with `accept_path`: it becomes the Route of later requests. Where these go is
        decided by the flow alone (`received`), so a phone cannot aim us at others by what it writes there.
        """
        try:
            return self._register(aor, request, flow, now, accept_path)
        except PeerError as error:
            headers = error.headers if isinstance(error, _Refusal) else []
            return Registered(error.status, headers, [], error.reason or None)

    def _register(self, aor: str, request: Request, flow: Flow, now: float, accept_path: bool) -> Registered:
        before = self.bindings(aor, now)
        if request.is_wildcard:
            return self._remove_all(aor, request, before)
        path = tuple(request.all("Path")) if accept_path and request.has("Path") else _NO_PATH
        if len(path) > MAX_PATHS:
            raise PeerError(400, "Too Many Path Values")
        outbound = outbound_of(request)
        if outbound is Outbound.UNSUPPORTED:
            raise PeerError(439, "")
        after, changes = _applied(aor, request, flow.hop(), now, before, path)
        if len(after) > MAX_CONTACTS and len(after) > len(before):
            raise PeerError(403, "Too Many Contacts")
        if len(after) > len(before) and self._count >= self._most:
            raise _Refusal(503, "Retry-After", RETRY_AFTER)
        if changes:
            expired = [binding for binding in self._bindings.get(aor, _NONE) if binding.expires_at <= now]
            if expired:
                changes[:0] = [Change("removed", binding) for binding in expired]
            self._store(aor, after)
        headers = [("Contact", binding.render(now)) for binding in after]
        if path:
            headers += [("Path", value) for value in path]
        if outbound is Outbound.USED and any(binding.reg_id for binding in after):
            headers += [("Supported", "path, outbound"), ("Require", "outbound")]
            if flow.connection and len(request.vias) == 1:
                headers.append(("Flow-Timer", str(FLOW_TIMER)))
        return Registered(200, headers, changes)

    def _remove_all(self, aor: str, request: Request, before: list[Binding]) -> Registered:
        """Carry out "Contact: *" (RFC 3261 section 10.2.2)."""
        if request.get("Expires") is None or request.expires != 0:
            raise PeerError(400, "Wildcard Contact Without Expires 0")
        for binding in before:
            _check_order(binding, request)
        return Registered(200, [], [Change("removed", binding) for binding in self.remove(aor)])

    def expire(self, now: float) -> list[Binding]:
        """Forget the bindings whose time is over; call it about once a second. They are returned."""
        gone: list[Binding] = []
        for second in sorted(second for second in self._due if second <= now):
            for aor in self._due.pop(second):
                del self._due_of[aor]
                held = self._bindings[aor]
                gone += [binding for binding in held if binding.expires_at <= now]
                self._store(aor, [binding for binding in held if binding.expires_at > now])
        return gone

    def connection_lost(self, connection: int) -> list[Binding]:
        """A stream has closed: forget the bindings that came over it, and return them.

        Nobody can be reached over a closed stream, and behind NAT no new one can be opened to the contact (RFC 5626
        section 5.3); the phone opens the next and registers again.
        """
        gone: list[Binding] = []
        for aor in self._streams.pop(connection, ()):
            held = self._bindings.get(aor, [])
            lost = [binding for binding in held if binding.received.connection == connection]
            if lost:
                gone += lost
                self._store(aor, [binding for binding in held if binding.received.connection != connection])
        return gone

    def remove(self, aor: str) -> list[Binding]:
        """Forget all bindings of an AOR, whose user or domain is gone; they are returned."""
        gone = list(self._bindings.get(aor, ()))
        self._store(aor, [])
        return gone

    def restore(self, bindings: Iterable[Binding]) -> list[Binding]:
        """Take in the bindings of an earlier run. Those over its streams are dead: they are returned, not kept.

        So are those that an AOR already has, or has too many of.
        """
        dropped: list[Binding] = []
        for binding in bindings:
            held = self._bindings.get(binding.aor, [])
            known = _find(held, binding.contact, binding.instance, binding.reg_id)
            if binding.received.connection or known is not None or len(held) >= MAX_CONTACTS:
                dropped.append(binding)
            else:
                after = list(held)
                _insert(after, binding)
                self._store(binding.aor, after)
        return dropped

    def _store(self, aor: str, after: list[Binding]) -> None:
        """Put `after` in the place of all bindings of the AOR, and keep the indexes right."""
        held = self._bindings.get(aor, _NONE)
        self._count += len(after) - len(held)
        first_expiry: float | None = None
        kept: list[int] = []
        for binding in after:
            connection = binding.received.connection
            if connection:
                kept.append(connection)
                self._streams.setdefault(connection, {})[aor] = None
            if first_expiry is None or binding.expires_at < first_expiry:
                first_expiry = binding.expires_at
        for binding in held:
            connection = binding.received.connection
            if connection and connection not in kept:
                self._leave_stream(connection, aor)
        if after:
            self._bindings[aor] = after
        else:
            self._bindings.pop(aor, None)
        self._schedule(aor, first_expiry)

    def _leave_stream(self, connection: int, aor: str) -> None:
        aors = self._streams.get(connection)
        if aors is not None:
            aors.pop(aor, None)
            if not aors:
                del self._streams[connection]

    def _schedule(self, aor: str, first_expiry: float | None) -> None:
        due = None if first_expiry is None else int(first_expiry) + 1
        was = self._due_of.get(aor)
        if was == due:
            return
        if was is not None:
            bucket = self._due[was]
            del bucket[aor]
            if not bucket:
                del self._due[was]
            del self._due_of[aor]
        if due is not None:
            self._due.setdefault(due, {})[aor] = None
            self._due_of[aor] = due


class Outbound(Enum):
    """What becomes of a REGISTER that asks for outbound (RFC 5626 section 6)."""

    NONE = "none"
    USED = "used"
    UNSUPPORTED = "unsupported"
    """The first hop does not keep the flow: 439."""


def outbound_of(request: Request) -> Outbound:
    """Whether the flow that a REGISTER came over is kept for it: it came directly, or its first edge says ``ob``.

    Raises PeerError for several contacts, of which only one can be at that flow.
    """
    named = [contact for contact in request.contacts if "reg-id" in contact.params]
    if not named or not any("+sip.instance" in contact.params for contact in named):
        return Outbound.NONE
    if "outbound" not in request.tokens("Supported") | request.tokens("Require"):
        return Outbound.NONE
    if sum([_lifetime(contact, request) > 0 for contact in request.contacts]) > 1:
        raise PeerError(400, "One Contact Of A Flow Only")
    if len(request.vias) < 2:
        return Outbound.USED
    paths = parse_name_addrs(request.raw("Path"))
    return Outbound.USED if paths and "ob" in paths[-1].uri.params else Outbound.UNSUPPORTED


def _applied(
    aor: str, request: Request, hop: Hop, now: float, before: list[Binding], path: tuple[str, ...]
) -> tuple[list[Binding], list[Change]]:
    """The bindings that the contacts of a REGISTER leave of those before, and what that changes. Raises PeerError."""
    after = list(before)
    changes: list[Change] = []
    call_id, cseq = request.call_id, request.cseq.number
    user_agent = intern((request.get("User-Agent") or "")[:MAX_USER_AGENT])
    for contact in request.contacts:
        lifetime = _lifetime(contact, request)
        if 0 < lifetime < MIN_EXPIRES:
            raise _Refusal(423, "Min-Expires", MIN_EXPIRES)
        instance, reg_id = _instance(contact)
        known = _find(after, contact.uri, instance, reg_id)
        if known is not None:
            if known in before:
                _check_order(known, request)
            after.remove(known)
        if not lifetime:
            if known is not None:
                changes.append(Change("removed", known))
            continue
        if contact.uri.scheme == "sips" and not _is_secure(hop, path):
            raise PeerError(400, "SIPS Contact Without TLS")
        binding = Binding(
            aor,
            contact.uri,
            hop,
            now + lifetime,
            call_id,
            cseq,
            user_agent,
            path,
            instance,
            reg_id,
            contact.q,
        )
        if known is not None and not _is_same_row(known, binding):
            changes.append(Change("removed", known))  # the same device at a new address
            known = None
        changes.append(Change("refreshed" if known is not None else "added", binding, known))
        _insert(after, binding)
    return after, changes


def _is_secure(hop: Hop, path: tuple[str, ...]) -> bool:
    """Whether a SIPS contact is reached by TLS all the way, RFC 5630 section 5.2."""
    return hop.transport == "TLS" and all(parse_name_addr(edge).uri.transport == "TLS" for edge in path)


def _insert(bindings: list[Binding], new: Binding) -> None:
    """Put a binding where it belongs: behind those of a higher q, and of equals behind those that live as long or longer."""
    at = 0
    for other in bindings:
        if other.q < new.q or (other.q == new.q and other.expires_at < new.expires_at):
            break
        at += 1
    bindings.insert(at, new)


def _check_order(binding: Binding, request: Request) -> None:
    """RFC 3261 section 10.3 step 7: within a Call-ID, only a higher CSeq may change a binding. Raises PeerError."""
    if binding.call_id == request.call_id and request.cseq.number <= binding.cseq:
        raise PeerError(400, "CSeq Out Of Order")


def _is_same_row(one: Binding, other: Binding) -> bool:
    """Whether the store keeps both under one key."""
    return (
        one.contact_text == other.contact_text
        and one.instance == other.instance
        and one.reg_id == other.reg_id
    )


def _lifetime(contact: NameAddr, request: Request) -> int:
    """Seconds that a contact asks for: its own parameter, else Expires, else the default; capped."""
    wanted = contact.expires
    if wanted is None:
        wanted = request.expires
    return MAX_EXPIRES if wanted is None else min(wanted, MAX_EXPIRES)


def _instance(contact: NameAddr) -> tuple[str, str]:
    """RFC 5626's +sip.instance and reg-id; a reg-id without an instance means nothing (section 6)."""
    if not contact.params:
        return "", ""
    instance = contact.param("+sip.instance") or ""
    reg_id = contact.params.get("reg-id") or ""
    if len(instance) > MAX_INSTANCE or (reg_id and not (reg_id.isascii() and reg_id.isdigit())):
        raise SipSyntaxError("Malformed Instance")
    return (instance, reg_id[:10]) if instance else ("", "")


def _find(held: list[Binding], contact: Uri, instance: str, reg_id: str) -> Binding | None:
    """The binding that a contact refreshes or removes.

    The same URI (RFC 3261 section 10.3), or the same device and flow (RFC 5626 section 6).
    Deviation: a device that names its instance but no reg-id has one binding, too, so that a phone that changes
    networks does not use up its AOR's ten; pinned by test_a_device_that_moves_replaces_its_binding.
    """
    for binding in held:
        if instance and binding.instance == instance and binding.reg_id == reg_id:
            return binding
    for binding in held:
        is_same = binding.contact_text == contact.text or binding.contact.matches(contact)
        if is_same and not (instance and binding.instance and reg_id):
            return binding
    return None
