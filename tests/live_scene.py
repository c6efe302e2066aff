"""What stands around a live server in tests: a program that answers webhooks, and virtual phones.

Every request to the program is judged by Twilio's own validator; every call of a scene is replayed at its end.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import aiohttp
import av
from aiohttp import web
from live import LiveServer
from multidict import CIMultiDictProxy, MultiDict, MultiDictProxy
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from ringback.call.journal import decode
from ringback.call.replay import replay
from ringback.media import g711, tones
from ringback.media.pump import Pump
from ringback.media.twins import create_pump
from ringback.sandbox.endpoint import Endpoint, EndpointCall
from ringback.sip.authorization import Login
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response
from ringback.sip.uri import Uri
from ringback.twiml.scripts import script_of

WITHIN = 25.0
"""Seconds that anything may take on a machine which does other things too."""

FIRST_RTP = 20_000 + os.getpid() * 400 % 9_600
"""RTP ports of this process's phones, away from those of the servers."""

MAIN_NUMBER = "+16505550100"
ENDED = ("completed", "busy", "failed", "no-answer", "canceled")
PLACES = frozenset(
    f"{who}{what}"
    for who in ("From", "To", "Caller", "Called")
    for what in ("City", "State", "Zip", "Country")
)
STANDARD = PLACES | set("CallSid AccountSid From To Caller Called CallStatus ApiVersion Direction".split())
"""What a webhook of a call between two numbers has."""

Params = MultiDictProxy[str]


@dataclass(frozen=True)
class Hit:
    """A webhook as it came to the program. ``params`` are the form's, or the query's of a GET."""

    method: str
    path: str
    url: str
    params: Params
    headers: CIMultiDictProxy[str]
    cookies: dict[str, str]
    is_signed: bool

    def __getitem__(self, name: str) -> str:
        return str(self.params[name])

    def get(self, name: str) -> str | None:
        """A parameter; None if it did not come."""
        return self.params.get(name)


Answer = str | web.StreamResponse | Callable[[Hit], Awaitable[web.StreamResponse] | web.StreamResponse | str]


def encoded(mulaw: bytes, form: str) -> bytes:
    """A file of another format, made by FFmpeg."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as out:
        stream = out.add_stream("libmp3lame" if form == "mp3" else "pcm_s16le", rate=8000)
        stream.layout = "mono"
        samples = g711.decode_ulaw(mulaw)
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples))
        frame.sample_rate = 8000
        frame.planes[0].update(samples.tobytes())
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=8000)
        for ready in resampler.resample(frame):
            out.mux(stream.encode(ready))
        out.mux(stream.encode(None))
    return file.getvalue()


def twiml(*verbs: str) -> str:
    """A document of these verbs."""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{"".join(verbs)}</Response>'


class Program:
    """A user's program: an HTTP server on loopback. ``tokens`` sign for their accounts."""

    def __init__(self, tokens: dict[str, str]) -> None:
        self.tokens = tokens
        self.hits: list[Hit] = []
        self.unsigned: list[Hit] = []
        self.url = ""
        self._answers: dict[str, deque[Answer]] = {}
        self._waiting: dict[str, asyncio.Queue[Hit]] = defaultdict(asyncio.Queue)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    def on(self, path: str, *answers: Answer) -> str:
        """Answer requests for a path, one after the other, the last for ever; the path's URL."""
        self._answers[path] = deque(answers or (web.Response(status=204),))
        return self.url + path

    async def hit(self, path: str, within: float = WITHIN) -> Hit:
        """The next request for a path."""
        async with asyncio.timeout(within):
            return await self._waiting[path].get()

    def forget(self) -> None:
        """Let go of the requests so far, but of those that were not signed: they are many in an hour."""
        self.hits.clear()
        self._waiting.clear()

    def waiting(self, path: str) -> int:
        """Requests for a path that nobody has taken yet."""
        return self._waiting[path].qsize()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        form: Params = MultiDictProxy(MultiDict())
        if request.content_type == "application/x-www-form-urlencoded" and body:
            form = MultiDictProxy(
                MultiDict((name, str(value)) for name, value in (await request.post()).items())
            )
        params = form if request.method == "POST" else request.query
        url = f"http://{request.host}{request.raw_path}"
        signature = request.headers.get("X-Twilio-Signature", "")
        token = self.tokens.get(params.get("AccountSid", ""), next(iter(self.tokens.values())))
        signed = RequestValidator(token).validate(url, form if request.method == "POST" else {}, signature)
        hit = Hit(
            request.method, request.path, url, params, request.headers, dict(request.cookies), bool(signed)
        )
        self.hits.append(hit)
        if not signed:
            self.unsigned.append(hit)
        self._waiting[request.path].put_nowait(hit)
        answers = self._answers.get(request.path)
        if answers is None:
            return web.Response(status=404)
        answer = answers.popleft() if len(answers) > 1 else answers[0]
        if callable(answer) and not isinstance(answer, web.StreamResponse):
            given = answer(hit)
            answer = (
                await given
                if isinstance(given, Awaitable) and not isinstance(given, web.StreamResponse)
                else given
            )  # type: ignore[assignment]
        if isinstance(answer, str):
            return web.Response(text=answer, content_type="text/xml")
        if isinstance(answer, web.Response):
            # aiohttp sends a response once: a copy for each request.
            return web.Response(
                status=answer.status, body=answer.body, headers=CIMultiDictProxy(answer.headers.copy())
            )
        assert isinstance(answer, web.StreamResponse)
        return answer


class Phone:
    """A virtual phone of the test process."""

    def __init__(
        self, server: LiveServer, pump: Pump, name: str, port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self.server = server
        self.name = name
        self._rung: asyncio.Queue[EndpointCall] = asyncio.Queue()
        self.challenge: Callable[[Request, Flow], bool] | None = None
        """Answers an INVITE by itself and returns True, or lets it ring."""
        self.endpoint = Endpoint(pump, name=name, on_invite=self._on_invite)
        self.endpoint.bind(host, port)

    def _on_invite(self, request: Request, flow: Flow) -> None:
        if self.challenge is None or not self.challenge(request, flow):
            self._rung.put_nowait(self.endpoint.take(request, flow))

    @property
    def hop(self) -> Hop:
        """The way to the server."""
        host, port = self.server.sip
        return Hop("UDP", "::1" if ":" in self.endpoint.address[0] else host, port)

    @property
    def address(self) -> str:
        """This phone as a SIP address that needs no registration."""
        host, port = self.endpoint.address
        return f"sip:{self.name}@{f'[{host}]' if ':' in host else host}:{port}"

    def aor(self, domain: str = "") -> Uri:
        """The phone's address of record."""
        return Uri(user=self.name, host=domain or self.server.domain)

    def login(self) -> Login:
        """The starter's password."""
        return Login(self.name, self.server.password)

    async def register(self, domain: str = "", *, expires: int = 600) -> Response:
        """Register with the server."""
        async with asyncio.timeout(WITHIN):
            return await self.endpoint.register(self.aor(domain), self.hop, self.login(), expires=expires)

    async def rung(self, within: float = WITHIN) -> EndpointCall:
        """The next call that comes in."""
        async with asyncio.timeout(within):
            return await self._rung.get()

    @property
    def silent(self) -> bool:
        """Whether no call waits to be answered."""
        return self._rung.empty()

    async def pick_up(self, within: float = WITHIN) -> EndpointCall:
        """Ring and answer the next call that comes in, and keep what is heard."""
        call = await self.rung(within)
        call.ring()
        call.answer()
        call.listen()
        return call

    def dial(self, user: str, *, domain: str = "", headers: tuple[tuple[str, str], ...] = ()) -> EndpointCall:
        """Call somebody through the server."""
        host = domain or self.server.domain
        return self.endpoint.call(
            Uri(user=user, host=host), self.hop, caller=self.aor(host), login=self.login(), headers=headers
        )


async def answered(call: EndpointCall) -> str:
    """Wait for the answer to a call that a phone placed: its CallSid. Raises CallEnded."""
    async with asyncio.timeout(WITHIN):
        event = await call.unless_ended(call.answered)
    if not call.ended.done():  # hung up in the same breath
        call.listen()
    return str(event.headers.get("X-Twilio-CallSid", ""))


async def over(call: EndpointCall, within: float = WITHIN) -> Any:
    """Wait for a call's end."""
    async with asyncio.timeout(within):
        return await asyncio.shield(call.ended)


async def hears(call: EndpointCall, frequency: int, *, within: float = 6.0) -> bool:
    """Whether a tone comes within so many seconds of sound."""
    for _ in range(int(within * 4)):
        if tones.tone_present(await call.hear(0.25), frequency) > 0.7:
            return True
    return False


class Scene:
    """A server with its surroundings for the length of a test."""

    def __init__(self, server: LiveServer, stack: AsyncExitStack, replayed: set[str]) -> None:
        self.server = server
        self.program = Program({server.account_sid: server.auth_token})
        self.client = client_of(server)
        self.session: aiohttp.ClientSession
        self.replayed = replayed
        self._stack = stack
        self._numbers = count(FIRST_RTP, 40)

    def phone(self, name: str, *, port: int = 0, calls: int = 20, host: str = "127.0.0.1") -> Phone:
        """A phone with ports of its own, for so many calls at once."""
        low = next(self._numbers)
        for _ in range((calls - 1) // 20):
            next(self._numbers)
        pump = create_pump((low, low + 2 * calls - 1))
        self._stack.callback(pump.close)
        phone = Phone(self.server, pump, name, port, host)
        self._stack.push_async_callback(phone.endpoint.close)
        return phone

    async def registered(self, name: str, *, through: tuple[str, int] | None = None) -> Phone:
        """A phone of the default domain that is on; ``through`` is its outbound proxy."""
        phone = self.phone(name)
        if through is not None:
            phone.server = replace(self.server, sip=through)
        response = await phone.register()
        assert response.status == 200, response.status

        async def off() -> None:
            await phone.register(expires=0)

        self._stack.push_async_callback(off)
        return phone

    async def do(self, work: Callable[..., Any], *words: Any, **named: Any) -> Any:
        """A request of the official client, which blocks its thread."""
        return await asyncio.to_thread(work, *words, **named)

    @property
    def authorization(self) -> str:
        """The account's credentials."""
        return basic(self.server.account_sid, self.server.auth_token)

    async def get(self, path: str, **more: Any) -> tuple[int, bytes]:
        """A GET with the account's credentials."""
        headers = {"Authorization": self.authorization, **more.pop("headers", {})}
        async with self.session.get(self.server.api + path, headers=headers, **more) as response:
            return response.status, await response.read()

    async def post(self, path: str, **form: str) -> tuple[int, bytes]:
        """A POST with the account's credentials."""
        headers = {"Authorization": self.authorization}
        async with self.session.post(self.server.api + path, headers=headers, data=form) as response:
            return response.status, await response.read()

    async def from_sandbox(self, number: str) -> dict[str, Any]:
        """Have the sandbox carrier call a number of the account."""
        status, body = await self.post("/ringback/v1/sandbox/calls", To=number)
        assert status == 201, body
        found: dict[str, Any] = json.loads(body)
        return found

    async def number(self, **fields: Any) -> Any:
        """A new number of the account."""
        taken = await self.do(self.client.incoming_phone_numbers.list)
        used = {row.phone_number for row in taken}
        free = next(n for n in (f"+1415555{i:04d}" for i in range(100, 200)) if n not in used)
        return await self.do(self.client.incoming_phone_numbers.create, phone_number=free, **fields)

    async def home(self, **fields: Any) -> None:
        """Change the default SIP domain."""
        domains = await self.do(self.client.sip.domains.list)
        found = next(row for row in domains if row.domain_name == self.server.domain)
        await self.do(self.client.sip.domains(found.sid).update, **fields)

    async def ended(self, sid: str) -> Any:
        """The record of a call whose end was seen elsewhere already, once it is closed."""
        async with asyncio.timeout(WITHIN):
            while True:
                call = await self.do(self.client.calls(sid).fetch)
                if call.status in ENDED:
                    return call

    async def timeline(self, sid: str) -> str:
        """The lines of a call's timeline, as text."""
        status, body = await self.get(f"/ringback/v1/calls/{sid}/timeline")
        assert status == 200, body
        return body.decode()

    async def replay(self, sid: str) -> int:
        """Replay a call's journal here; the number of its events."""
        status, body = await self.get(f"/ringback/v1/calls/{sid}/journal")
        assert status == 200, (sid, body)
        found = replay(decode(body), script_of)
        assert found.difference is None, (sid, found.difference)
        return found.events

    async def replay_all(self) -> None:
        """Replay every call of the server that was not yet."""
        for call in await self.do(self.client.calls.list):
            if call.sid not in self.replayed:
                await self.replay(call.sid)
                if call.status in ENDED:
                    self.replayed.add(call.sid)


def client_of(server: LiveServer) -> Client:
    """The official client of a server's account."""
    client = Client(server.account_sid, server.auth_token)
    client.api.base_url = server.api
    return client


def basic(user: str, password: str) -> str:
    """A Basic Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@asynccontextmanager
async def scene_of(server: LiveServer, replayed: set[str], *, replays: bool = True) -> AsyncIterator[Scene]:
    """A scene; at its end every webhook must have been signed, and every call must replay."""
    async with AsyncExitStack() as stack:
        scene = Scene(server, stack, replayed)
        scene.session = await stack.enter_async_context(aiohttp.ClientSession())
        await scene.program.start()
        stack.push_async_callback(scene.program.close)
        yield scene
        if replays:
            await scene.replay_all()
        assert scene.program.unsigned == []
    session = scene.client.http_client.session
    if session is not None:
        session.close()
