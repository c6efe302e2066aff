"""What a call starts from: the first entry of its journal."""

from __future__ import annotations

from typing import Any

import msgspec


class Page(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a document comes from: a URL with its fallback, or TwiML given in place.

    ``document`` is a parsed Element as plain data (see ringback.call.events.Fetched); with one, ``url``
    is empty and relative links are errors (TwiML semantics, "Interpreter").
    """

    url: str = ""
    method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"
    document: list[Any] | None = None


class StatusCallback(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who hears of a call's progress, and of which events: initiated ringing answered completed."""

    url: str = ""
    method: str = "POST"
    events: tuple[str, ...] = ("completed",)


class CallSetup(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that a call's script is given at its start.

    ``started_at`` is seconds since the epoch; ``seed`` is hex, and all SIDs that the script makes come
    from it. ``parameters`` are the extra standard parameters of each webhook (SipDomain and the like).
    """

    kind: str
    """inbound (somebody called us), api (a program did) or child (a Dial did)."""
    sid: str
    account_sid: str
    seed: str
    started_at: float
    direction: str
    """Twilio's word: inbound, outbound-api or outbound-dial."""
    from_: str
    to: str
    parent_sid: str = ""
    country: str = "US"
    parameters: dict[str, str] = msgspec.field(default_factory=dict)
    page: Page = Page()
    status_callback: StatusCallback = StatusCallback()
    targets: tuple[dict[str, Any], ...] = ()
    from_user: str = ""
    from_domain: str = ""
    display_name: str = ""
    timeout: float = 60.0
    """Seconds that an outgoing leg may ring."""
    time_limit: float = 14400.0
    """Seconds that the call may last after its answer (REST TimeLimit, Dial timeLimit)."""
    send_digits: str = ""
    is_withheld: bool = False
    """Whom the caller reaches must not see who calls (RFC 3323)."""
    asserted: str = ""
    """The caller's number as a carrier gave it, for other carriers (RFC 3325); "" if none did."""
    replaces: str = ""
    """The call whose place this one takes (RFC 3891)."""
    conference: str = ""
    """The SID of the conference that this call is placed for (REST: POST Participants)."""
    partner: str = ""
    """The call that it is connected with then."""

    def plain(self) -> dict[str, Any]:
        """This setup as plain data, for an effect or a journal."""
        values: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)  # a Secret is a kind of str
        return values

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> CallSetup:
        """The setup that ``plain`` gave. Raises ValueError."""
        return msgspec.convert(plain, CallSetup)
