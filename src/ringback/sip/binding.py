"""Where one phone can be reached (RFC 3261 section 10), and what becomes of that."""

from __future__ import annotations

from typing import Any, Literal

from ringback.sip.flow import Hop
from ringback.sip.headers import quoted
from ringback.sip.uri import Uri


class Binding:
    """One contact of an address of record. Immutable but for `stored_for`; slotted, because an exchange holds many.

    `received` is the way to it: the address or the stream that the REGISTER came from, whatever the contact says
    (NAT). `expires_at` is in seconds of the wall clock. `instance` and `reg_id` are RFC 5626's, "" when not given;
    `path` is RFC 3327's, only from edges that are trusted. `spare` are the bindings of other flows to the same device,
    in what ``Registrar.targets`` gives. `stored_for` is the store's note of the SIP domain under which it has the binding.
    """

    __slots__ = (
        "_contact",
        "aor",
        "call_id",
        "cseq",
        "expires_at",
        "instance",
        "path",
        "q",
        "received",
        "reg_id",
        "spare",
        "stored_for",
        "user_agent",
    )

    def __init__(
        self,
        aor: str,
        contact: Uri,
        received: Hop,
        expires_at: float,
        call_id: str,
        cseq: int,
        user_agent: str = "",
        path: tuple[str, ...] = (),
        instance: str = "",
        reg_id: str = "",
        q: float = 1.0,
        spare: tuple[Binding, ...] = (),
    ) -> None:
        self.aor = aor
        self._contact = contact.text
        self.received = received
        self.expires_at = expires_at
        self.call_id = call_id
        self.cseq = cseq
        self.user_agent = user_agent
        self.path = path
        self.instance = instance
        self.reg_id = reg_id
        self.q = q
        self.spare = spare
        self.stored_for = ""

    def renews(self, before: Binding) -> bool:
        """Whether nothing but the time, and the place in a series of REGISTERs, is other than before."""
        return (
            self._contact == before._contact
            and self.received == before.received
            and self.user_agent == before.user_agent
            and self.aor == before.aor
            and self.path == before.path
            and self.instance == before.instance
            and self.reg_id == before.reg_id
            and self.q == before.q
        )

    def replace(self, **changes: Any) -> Binding:
        """The same with some fields changed."""
        names = "aor contact received expires_at call_id cseq user_agent path instance reg_id q spare".split()
        return Binding(**{**{name: getattr(self, name) for name in names}, **changes})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Binding) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash((self.aor, self._contact, self.call_id, self.cseq))

    def __repr__(self) -> str:
        return f"<Binding {self._parts()}>"

    def _parts(self) -> list[Any]:
        way = [*self.received.parts(), self.path, [other._parts() for other in self.spare]]
        device = [self.user_agent, self.instance, self.reg_id, self.q]
        return [self.aor, self._contact, self.expires_at, self.call_id, self.cseq, *device, *way]

    @property
    def contact(self) -> Uri:
        """The contact. Only its text is kept."""
        return Uri.parse(self._contact)

    @property
    def contact_text(self) -> str:
        """The contact as it came."""
        return self._contact

    @property
    def target(self) -> Uri:
        """The Request-URI to reach it with."""
        return self.contact.for_request

    def render(self, now: float) -> str:
        """Its Contact value in a 200, with the seconds that are left."""
        left = int(self.expires_at - now + 0.5)
        value = f"<{self._contact}>;expires={left if left > 1 else 1}"
        if self.q != 1.0:
            value += f";q={self.q:.3g}"
        if self.instance:
            value += f";+sip.instance={quoted(self.instance)}"
        if self.reg_id:
            value += f";reg-id={self.reg_id}"
        return value


class Change:
    """What a REGISTER changed, for the store and for watchers; a removed binding is given as it was, a refreshed one
    with what it was ``before``."""

    __slots__ = ("before", "binding", "kind")

    def __init__(
        self, kind: Literal["added", "refreshed", "removed"], binding: Binding, before: Binding | None = None
    ) -> None:
        self.kind = kind
        self.binding = binding
        self.before = before
