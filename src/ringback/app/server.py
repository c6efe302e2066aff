"""A whole server: store, exchange, Functions, speech, the sandbox carrier and HTTP, put together.

Start goes from what others depend on to what depends on them; stop goes back, and HTTP stops last, because
status callbacks of the last calls may come to this very server.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect

from ringback import twins
from ringback.app.errors import Unusable
from ringback.app.http import HttpServer
from ringback.app.limits import SANDBOX_RTP, most_calls, most_http_connections, most_streams, raise_file_limit
from ringback.app.project import ProjectDirectory, Running
from ringback.app.reachable import reachable_address
from ringback.app.settings import HTTP, SIP, SIPS, Address, Settings
from ringback.call.numbers import normalize
from ringback.functions.pool import Credentials, FunctionPool
from ringback.functions.project import Project
from ringback.functions.starter import write_starter
from ringback.media.errors import MediaError
from ringback.media.library import Library
from ringback.media.pump import Pump
from ringback.media.pure import PurePump
from ringback.media.twins import create_pump, why_pure
from ringback.rest.errors import INVALID_TO, UNAVAILABLE, RestError, invalid
from ringback.sandbox.carrier import SandboxCarrier
from ringback.shell.api import api_routes, client_gone, nothing_here
from ringback.shell.audio import AudioFetcher
from ringback.shell.caller_id_verification import CallerIdVerification
from ringback.shell.control import UNSUPPORTED, LiveControl
from ringback.shell.exchange import CannotListen, Exchange, ExchangeSettings
from ringback.shell.housekeeping import Kept
from ringback.shell.local_http import LocalAnswer, LocalRequest
from ringback.shell.project_http import ProjectHandler
from ringback.shell.project_routes import create_project_routes
from ringback.shell.steady import Continuity
from ringback.shell.tasks import Tasks
from ringback.shell.timelines import timeline_routes
from ringback.shell.tls import CertificateError, CertificateFiles, ensure_certificate, server_context
from ringback.shell.transport_limits import TransportLimits
from ringback.shell.vitals import vital_routes
from ringback.shell.webhooks import WebhookClient
from ringback.shell.welcome import WELCOME
from ringback.store import SchemaTooNew, Store, StoreError, derived_sid
from ringback.store.journal_log import JournalLog
from ringback.store.seed import Starter, sandbox_port, seed

log = structlog.get_logger("ringback.server")

USERS = ("alice", "bob")
VERIFY_PATH = "/ringback/v1/verify-caller-id"
SAY_EVERY = 10.0
"""Seconds between lines about the calls that the stop waits for."""
ANSWERED_WITHIN = 60.0
"""Seconds that a call from the sandbox may ring before `ringback call` gives its report."""


class Server:
    """One server. ``start`` raises Unusable, with what to do, when it cannot run as it was told."""

    store: Store
    exchange: Exchange
    sandbox: SandboxCarrier
    control: LiveControl
    functions: FunctionPool
    library: Library
    account_sid: str
    auth_token: str
    running: Running
    _project: Project

    def __init__(self, directory: ProjectDirectory, settings: Settings) -> None:
        self.directory = directory
        self.settings = settings
        self.http = HttpServer(Address.parse(settings.http, HTTP))
        self._stack = AsyncExitStack()
        self._tasks = Tasks("server")
        self._handler: ProjectHandler | None = None

    def __repr__(self) -> str:
        return f"<Server of {self.directory.path}>"

    @property
    def domain(self) -> str:
        """The default SIP domain."""
        row = self.store.configuration.default_domain()
        return str(row["domain_name"]) if row else ""

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything, or nothing."""
        if twins.not_compiled:
            log.warning("SIP runs uncompiled, at twice the CPU", reason=twins.not_compiled)
        try:
            await self._start_store()
            webhooks = await self._start_sound()
            await self._start_exchange(webhooks)
            await self._start_sandbox()
            await self._start_programs()
        except BaseException:
            await self.stop()
            raise

    async def drain(self) -> bool:
        """Take no new calls, and wait for the running ones; False when the time for that was up before."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.settings.drain
        while (left := until - loop.time()) > 0:
            if await self.exchange.drain(min(left, SAY_EVERY)):
                return True
            log.info(
                "waiting for calls to end; a second signal ends them",
                calls=len(self.exchange.calls),
                seconds_left=max(0, round(until - loop.time())),
            )
        log.warning("the time to drain is up; calls are ended", calls=len(self.exchange.calls))
        return False

    async def stop(self) -> None:
        """End what still runs; HTTP last."""
        await self._stack.aclose()

    # -- parts, in order -------------------------------------------------------------------------------------------

    async def _start_store(self) -> None:
        self._stack.callback(os.close, self.directory.take())
        url = self.settings.database or self.directory.database_url
        folder = Path(url.removeprefix("sqlite:///")).parent
        if url.startswith("sqlite:///") and not folder.is_dir():
            raise Unusable(f"the database {_public(url)} cannot be made: there is no folder {folder}")
        try:
            self.store = await Store.open(
                url, base_domain=self.settings.base_domain, node=self.directory.node()
            )
        except SchemaTooNew as problem:
            raise Unusable(
                f"the database {_public(url)} is of a newer Ringback: {problem}. Update this one"
            ) from None
        except StoreError as problem:
            raise Unusable(f"the database {_public(url)} cannot be opened: {problem}") from None
        self._stack.push_async_callback(self.store.close)

    def _token(self, account_sid: str) -> str:
        account = self.store.configuration.account(account_sid)
        return str.__str__(account["auth_token"]) if account else ""

    async def _start_sound(self) -> WebhookClient:
        self._stack.push_async_callback(self.http.stop)
        cache, base_domain = self.directory.data / "cache", self.settings.base_domain
        webhooks = WebhookClient(base_domain=base_domain, local=self._local, documents=self._constant)
        await webhooks.start()
        self._stack.push_async_callback(webhooks.close)
        fetcher = AudioFetcher(base_domain=base_domain, local=self._local, auth_token=self._token)
        self._stack.push_async_callback(fetcher.close)
        speaker = _speaker(cache / "speech")
        self.library = Library(speaker=speaker, fetch=fetcher, cache_folder=cache / "audio")
        self._stack.push_async_callback(self.library.close)
        if speaker is not None:
            self._stack.push_async_callback(speaker.close)
            self._tasks.start(speaker.warm(), "loading the voice")
            self._stack.push_async_callback(self._tasks.close)
        return webhooks

    async def _start_exchange(self, webhooks: WebhookClient) -> None:
        settings = self.settings
        low, high = settings.rtp_ports
        pump = self._open_pump((low, high - SANDBOX_RTP))
        sip, sips = Address.parse(settings.sip, SIP), Address.parse(settings.sips, SIPS)
        descriptors = raise_file_limit()
        self.exchange = Exchange(
            ExchangeSettings(
                sip=sip,
                sips=sips,
                public_address="" if settings.public_address == "auto" else settings.public_address,
                max_calls=most_calls(settings.max_calls, settings.rtp_ports, descriptors),
                transports=TransportLimits(streams=most_streams(descriptors)),
                tls_context=await asyncio.to_thread(self._tls),
                vanished_after=settings.vanished_after,
                kept=Kept(settings.keep_records, settings.keep_timelines),
                clock=Continuity(self.directory.data / "clock.json"),
                journal_log=JournalLog(self.directory.data / "running"),
            ),
            store=self.store,
            pump=pump,
            library=self.library,
            webhooks=webhooks,
        )
        self._stack.push_async_callback(self.exchange.close)
        try:
            await self.exchange.start()
        except CannotListen as problem:
            option = "--sips" if problem.over_tls else "--sip"
            raise Unusable(
                f"SIP{' over TLS' if problem.over_tls else ''} cannot listen at {Address(*problem.address)}: "
                f"{problem.strerror}. Stop the program that has the port, or give another one with {option}"
            ) from None

    def _open_pump(self, ports: tuple[int, int]) -> Pump:
        try:
            pump = create_pump(ports)
        except MediaError as problem:
            raise Unusable(f"no packet pump for RTP ports {ports[0]}-{ports[1]}: {problem}") from None
        self._stack.callback(pump.close)
        if isinstance(pump, PurePump):
            log.warning("sound passes through Python, at fifteen times the CPU", reason=why_pure())
        return pump

    def _tls(self) -> Any:
        settings = self.settings
        public = "" if settings.public_address == "auto" else settings.public_address
        try:
            if settings.certificate or settings.key:
                if not (settings.certificate and settings.key):
                    raise CertificateError("--certificate and --key belong together: give both")
                return server_context(CertificateFiles(Path(settings.certificate), Path(settings.key)))
            files = ensure_certificate(
                self.directory.data / "tls",
                public_address=public or "127.0.0.1",
                base_domain=settings.base_domain,
            )
            return server_context(files)
        except (CertificateError, OSError) as problem:
            raise Unusable(f"the TLS certificate cannot be used: {problem}") from None

    async def _start_sandbox(self) -> None:
        """The far end; at the first start its port becomes the starter's carrier."""
        port = self.exchange.sip_address[1]
        self.sandbox = SandboxCarrier(
            self._open_pump((self.settings.rtp_ports[1] - SANDBOX_RTP + 1, self.settings.rtp_ports[1])),
            self.library,
            exchange=("127.0.0.1", port),
            owns=lambda number: self.store.configuration.number(number) is not None,
        )
        self._stack.push_async_callback(self.sandbox.close)
        wanted = sandbox_port(self.store.configuration)
        try:
            self.sandbox.bind(wanted)
        except OSError as problem:
            raise Unusable(
                f"the sandbox carrier cannot listen at 127.0.0.1:{wanted}: {problem.strerror}. "
                "Stop the program that has the port"
            ) from None
        await self._first_start(self.sandbox.endpoint.address[1])

    async def _first_start(self, sandbox_port: int) -> None:
        settings, directory = self.settings, self.directory
        if not self.store.configuration.accounts():
            phones = directory.make_phones(USERS, settings.phone_password.get_secret_value())
            seeded = await seed(
                self.store,
                Starter(
                    users=tuple(phones.items()),
                    sandbox_port=sandbox_port,
                    account_sid=settings.account_sid or None,
                    auth_token=settings.auth_token.get_secret_value() or None,
                ),
            )
            if seeded is not None and not (directory.path / "functions").exists():
                numbers = {user: str(row["phone_number"]) for user, row in seeded.numbers.items()}
                await asyncio.to_thread(write_starter, directory.path, seeded.domain["domain_name"], numbers)
        account = self.store.configuration.accounts()[0]
        self.account_sid, self.auth_token = str(account["sid"]), str.__str__(account["auth_token"])

    async def _start_programs(self) -> None:
        """Functions, bins, the API and HTTP."""
        project = self._project = Project(self.directory.path)
        project.watch()
        self._stack.callback(project.close)
        self.functions = FunctionPool(
            project,
            domain=self.settings.base_domain,
            base_url="",
            credentials=lambda: Credentials(self.account_sid, self.auth_token),
        )
        self._stack.push_async_callback(self.functions.stop)
        self._handler = ProjectHandler(
            project, self.functions, tokens=self._tokens, stored_bin=self._stored_bin
        )
        verify_url = f"http://{self.settings.base_domain}{VERIFY_PATH}"
        notify = self.exchange.webhooks.notify_for
        self.control = LiveControl(self.exchange, CallerIdVerification(self.store, verify_url, notify))
        routes = [
            *api_routes(self.store, self.control, unsupported=UNSUPPORTED),
            *timeline_routes(self.store, self.exchange.calls, self.call_from_sandbox),
            *vital_routes(self.exchange),
            *create_project_routes(self._handler),
            WELCOME,
        ]
        unserved: dict[Any, Any] = {404: nothing_here, 405: nothing_here, ClientDisconnect: client_gone}
        app = Starlette(routes=routes, exception_handlers=unserved)
        await self.http.start(app, most_http_connections(raise_file_limit()))
        self.functions.base_url = self.http.url
        await self.functions.start()
        self.running = self._running()
        self.directory.announce(self.running)
        self._stack.callback(self.directory.retire)
        # The first to stop: the last status callbacks may be for Functions of this server.
        self._stack.push_async_callback(self.exchange.end_calls)

    def _running(self) -> Running:
        """How this server is reached, by commands on this machine and by phones."""
        reachable, sip_port = reachable_address(self.settings), self.exchange.sip_address[1]
        sips = self.exchange.sips_address
        numbers = {
            str(row["voice_url"]).rpartition("/")[2]: str(row["phone_number"])
            for row in self.store.configuration.numbers(self.account_sid)
        }
        return Running(
            pid=os.getpid(),
            api=self.http.url,
            account_sid=self.account_sid,
            auth_token=self.auth_token,
            sip=f"127.0.0.1:{sip_port}",
            domain=self.domain,
            phones_sip=str(Address(reachable, sip_port)),
            phones_sips=str(Address(reachable, sips[1])) if sips else "",
            numbers={user: number for user, number in numbers.items() if user in self.directory.phones()},
        )

    # -- answers for the parts ----------------------------------------------------------------------------------------

    def _tokens(self, account_sid: str | None) -> list[str]:
        """The tokens that may have signed a request: its account's, or the first one's if it names none.

        Not every account's: a megabyte that anybody sends would be signed a thousand times.
        """
        return [token] if (token := self._token(account_sid or self.account_sid)) else []

    def _stored_bin(self, sid: str) -> str | None:
        """The TwiML at /twiml/EH...: a bin of the store, or a file of bins/ by the SID that its name gives."""
        row = self.store.configuration.bin(sid)
        if row is not None:
            return str(row["twiml"])
        for name, file in self._project.bins.items():
            if bin_sid(self.account_sid, name) == sid:
                return Path(file.path).read_text(encoding="utf-8")
        return None

    async def _local(self, request: LocalRequest) -> LocalAnswer:
        """Requests of our own to our own base domain."""
        if self._handler is None:
            return LocalAnswer(503, "text/plain", b"the server is starting")
        return await self.control.verification.answer(request) or await self._handler.handle(request)

    def _constant(self, method: str, url: str) -> LocalAnswer | None:
        """Documents of our own that are the same for every request."""
        return self._handler.constant(method, url) if self._handler is not None else None

    async def call_from_sandbox(self, account_sid: str, number: str) -> dict[str, Any]:
        """Have the sandbox carrier call a number of the account; what became of it."""
        normal = normalize(number)
        row = None if normal is None else self.store.configuration.number(normal)
        if normal is None or row is None or row["account_sid"] != account_sid:
            raise invalid(
                f"{number!r:.60} is no number of the account: give one like +16505550101", INVALID_TO
            )
        began_at = time.monotonic()
        try:
            call = self.sandbox.call(normal)
        except MediaError as problem:
            raise RestError(
                503, UNAVAILABLE, f"The sandbox has no room for another call: {problem}"
            ) from problem
        outcomes: set[asyncio.Future[Any]] = {call.answered, call.ended}
        await asyncio.wait(outcomes, timeout=ANSWERED_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        took = round(time.monotonic() - began_at, 1)
        if call.answered.done():
            sid = call.answered.result().headers.get("X-Twilio-CallSid", "")
            return {"status": "answered", "sid": sid, "after": took, "detail": ""}
        if call.ended.done():
            ended = call.ended.result()
            sid = ended.headers.get("X-Twilio-CallSid", "")
            return {"status": "ended", "sid": sid, "after": took, "detail": f"{ended.status} {ended.reason}"}
        call.hang_up()
        return {"status": "not answered", "sid": "", "after": took, "detail": f"it rang for {took} s"}


def _speaker(cache: Path) -> Any:
    """What speaks; None where the extra is not installed."""
    if find_spec("hibari") is None:
        log.warning("no speech: <Say> fails until you install it", install="pip install 'ringback[speech]'")
        return None
    from ringback.speech import Speaker

    return Speaker(cache)


def bin_sid(account_sid: str, name: str) -> str:
    """The SID of a file in bins/: always the same, so that /twiml/EH... can be given to numbers and domains."""
    return derived_sid("EH", account_sid, name)


def _public(url: str) -> str:
    """A database URL without its password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
