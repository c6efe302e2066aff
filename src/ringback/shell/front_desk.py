"""Requests outside any dialog: who is let in, who registers, and what the others are told.

Before authentication every answer is stateless: one datagram, no transaction, no call, no webhook.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from email.utils import formatdate
from time import monotonic

import structlog
from msgspec.structs import replace

from ringback.call.admission import (
    Admitted,
    Refused,
    admit,
    authenticate,
    registrar_of,
    twilio_error,
)
from ringback.call.errors import Overload
from ringback.call.setup import CallSetup
from ringback.media.errors import PortsExhausted
from ringback.shell.calls import Calls
from ringback.shell.guard import Guard, Lines, Source
from ringback.shell.steady import steady_time
from ringback.sip.agent import UserAgent
from ringback.sip.authenticator import Authenticator
from ringback.sip.binding import Change
from ringback.sip.effects import Effect
from ringback.sip.flow import Flow
from ringback.sip.message import Request
from ringback.sip.registrar import Registrar
from ringback.store import Store, new_sid

log = structlog.get_logger("ringback.sip")

REGISTRATIONS_TOLD = 50.0
REGISTRATIONS_TOLD_AT_ONCE = 1_000.0
"""Lines of the log about registrations, a second and at once: one phone may send 2,000 REGISTERs a second, 30 GB a day."""

RETRY_AFTER = ("Retry-After", "10")
OVERLOADED = Refused(503, "Service Unavailable", (RETRY_AFTER,), "no room for another call")
BUSY = Refused(503, "Service Unavailable", (RETRY_AFTER,), "the server is late with its work")
NOT_REPLACED = Refused(603, "Decline", note="Replaces names a call that is connected with nobody, or not his")
DRAINING = Refused(503, "Service Unavailable", (RETRY_AFTER,), "the server is stopping")


class FrontDesk:
    """Answers what belongs to no dialog."""

    def __init__(
        self,
        *,
        store: Store,
        agent: UserAgent,
        registrar: Registrar,
        authenticator: Authenticator,
        calls: Calls,
        carry_out: Callable[[list[Effect]], None],
        mask: Callable[[str], str],
        guard: Guard | None = None,
    ) -> None:
        self._store = store
        self._agent = agent
        self._registrar = registrar
        self._authenticator = authenticator
        self._calls = calls
        self._carry_out = carry_out
        self._mask = mask
        self._guard = Guard() if guard is None else guard
        self.draining = False
        self._dated = (0, "")
        self._log = log.bind()  # a logger that is made anew for each line costs more than the line
        self._registrations = Lines(REGISTRATIONS_TOLD, REGISTRATIONS_TOLD_AT_ONCE)
        self._tells_registrations: bool = self._log.is_enabled_for(logging.INFO)

    def on_request(self, request: Request, flow: Flow) -> None:
        """An unmatched request.

        Deviation: OPTIONS gets 200 from everybody for any address, and not what an INVITE would get (RFC 3261 section
        11.2), since carriers and phones ask so whether the server is there. Pinned by
        test_methods_outside_a_dialog.
        """
        match request.method:
            case "INVITE":
                self._on_invite(request, flow)
            case "REGISTER":
                self._on_register(request, flow)
            case "OPTIONS":
                self._refuse(request, flow, Refused(200, "OK", tuple(self._agent.capabilities)))
            case _:
                allow = next((value for name, value in self._agent.capabilities if name == "Allow"), "")
                self._refuse(request, flow, Refused(405, "Method Not Allowed", (("Allow", allow),)))

    def _refuse(self, request: Request, flow: Flow, refused: Refused) -> None:
        if refused.is_wrong_password:
            self._guard.failed(source_of(flow), monotonic())
        if refused.note and (left_out := self._guard.lines(monotonic())) >= 0:
            source = f"{flow.remote[0]}:{flow.remote[1]}/{flow.transport}"
            more = {"left_out": left_out} if left_out else {}
            self._log.info(
                "refused",
                method=request.method,
                status=refused.status,
                why=refused.note,
                source=source,
                **more,
            )
        self._carry_out(
            self._agent.reply_statelessly(request, flow, refused.status, refused.reason, refused.headers)
        )

    # -- calls ----------------------------------------------------------------------------------------------

    def _on_invite(self, request: Request, flow: Flow) -> None:
        if self.draining:
            return self._refuse(request, flow, DRAINING)
        if self._guard.is_overloaded:
            return self._put_off(request, flow)
        decision = admit(request, flow, self._store.configuration, self._authenticator, steady_time())
        if isinstance(decision, Refused):
            return self._refuse(request, flow, decision)
        self._guard.vouch(source_of(flow), monotonic())
        setup = self._setup(decision)
        if request.raw("Replaces"):
            place = self._calls.transfers.place_of(self._agent.replaced(request), setup.account_sid)
            if place is None or not decision.is_user:
                return self._refuse(request, flow, NOT_REPLACED)
            setup = replace(setup, replaces=place[0], partner=place[1])
        try:
            self._calls.receive(setup, request, flow, decision.phone_number_sid)
        except (Overload, PortsExhausted) as problem:
            log.warning("a call was refused", why=str(problem))
            return self._refuse(request, flow, OVERLOADED)

    def _put_off(self, request: Request, flow: Flow) -> None:
        self._guard.counters.put_off += 1
        self._refuse(request, flow, BUSY)

    def _setup(self, admitted: Admitted) -> CallSetup:
        account = self._store.configuration.account(admitted.account_sid) or {}
        page, callback = admitted.page, admitted.status_callback
        return CallSetup(
            kind="inbound",
            sid=new_sid("CA"),
            account_sid=admitted.account_sid,
            seed=secrets.token_hex(16),
            started_at=time.time(),
            direction="inbound",
            from_=admitted.from_,
            to=admitted.to,
            country=str(account.get("country") or "US"),
            parameters=admitted.parameters,
            page=replace(page, url=self._mask(page.url), fallback_url=self._mask(page.fallback_url)),
            status_callback=replace(callback, url=self._mask(callback.url)),
            is_withheld=admitted.is_withheld,
            asserted=admitted.asserted,
        )

    # -- registrations ----------------------------------------------------------------------------------------

    def _on_register(self, request: Request, flow: Flow) -> None:
        configuration, now = self._store.configuration, steady_time()
        guard, source = self._guard, source_of(flow)
        if guard.is_overloaded and not guard.is_vouched(source, monotonic()):
            return self._put_off(request, flow)
        domain = registrar_of(request, flow, configuration)
        if domain is None:
            text = f"no SIP domain {request.uri.host!r:.100} for {request.to.uri.host!r:.100}"
            return self._refuse(request, flow, Refused(404, "Not Found", note=text))
        if not domain["sip_registration"]:
            text = f"SIP registration is not enabled on {domain['domain_name']}"
            return self._refuse(request, flow, twilio_error(403, "Forbidden", 32210, text))
        user = authenticate(request, flow, domain, "registrations", configuration, self._authenticator, now)
        if isinstance(user, Refused):
            return self._refuse(request, flow, user)
        if request.to.uri.user != user:
            text = f"the credentials of {user} cannot register {request.to.uri.user!r:.60}"
            return self._refuse(request, flow, twilio_error(403, "Forbidden", 32202, text))
        guard.vouch(source, monotonic())
        aor = f"{user}@{domain['domain_name']}"
        registered = self._registrar.register(aor, request, flow, now, accept_path=True)
        headers = [*registered.headers, ("Date", self._date())]  # RFC 3261 section 10.3: phones want it
        self._carry_out(
            self._agent.answer_at_once(
                request, flow, registered.status, registered.reason, headers, monotonic()
            )
        )
        for change in registered.changes:
            self._store.registrations.record(
                change, account_sid=domain["account_sid"], domain_sid=domain["sid"]
            )
            if self._tells_registrations:
                self._tell(change)
        return None

    def _tell(self, change: Change) -> None:
        left_out = self._registrations.next(monotonic())
        if left_out < 0:
            return
        binding = change.binding
        via, contact = binding.received, binding.contact_text
        where = f"{via.host}:{via.port}/{via.transport}"
        more = {"left_out": left_out} if left_out else {}
        self._log.info(
            "registration", aor=binding.aor, change=change.kind, contact=contact, via=where, **more
        )

    def _date(self) -> str:
        """The time of day for a Date, written once a second."""
        second = int(time.time())
        if self._dated[0] != second:
            self._dated = (second, formatdate(second, usegmt=True))
        return self._dated[1]


def source_of(flow: Flow) -> Source:
    """Where a message came from, as the guard knows it."""
    return flow.remote
