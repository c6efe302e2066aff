"""The calls of a soak: each kind once in a round, on phones and a program of this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

from live_scene import WITHIN, Phone, Scene, answered, over, twiml

from ringback.media import tones
from ringback.sandbox.endpoint import CallEnded, EndpointCall
from ringback.sip.flow import Flow
from ringback.sip.message import Request

TONE = tones.sine(1000, 0.2)
TALK = 2.0
"""Seconds of sound in a call."""
CALLS_OF_A_PHONE = 1_000
REASONS = 100
"""Different ones of failures that are kept."""

BIN = '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Gather timeout="1"/><Hangup/></Response>\n'
FUNCTION = """exports.handler = (context, event, callback) => {
  const twiml = new Twilio.twiml.VoiceResponse();
  twiml.say('Call from ' + (event.From || 'nobody').slice(4, 9));
  callback(null, twiml);
};
"""


def furnish(project: Path) -> None:
    """What the calls find in the project directory."""
    (project / "bins").mkdir(parents=True, exist_ok=True)
    (project / "functions").mkdir(exist_ok=True)
    (project / "bins" / "soak.xml").write_text(BIN)
    (project / "functions" / "soak.js").write_text(FUNCTION)


class Load:
    """Places calls of every kind and counts what became of them."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.caller = scene.phone("alice", calls=CALLS_OF_A_PHONE)
        self.callee = scene.phone("bob", calls=CALLS_OF_A_PHONE)
        self.callee.challenge = self._take
        self.placed: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.expected: Counter[str] = Counter()
        """Records by direction."""
        self.started: set[str] = set()
        """SIDs of the calls whose SID is known."""
        self.why: Counter[str] = Counter()
        self._rooms = count(1)
        self._up: dict[asyncio.Task[None] | None, list[EndpointCall]] = {}
        self.kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "register": self.register,
            "bin": self.bin,
            "webhook": self.webhook,
            "function": self.function,
            "rest": self.rest,
            "prompt": self.prompt,
            "cancelled": self.cancelled,
            "busy": self.busy,
            "failed": self.unreachable,
            "conference": self.conference,
            "digits": self.digits,
        }

    async def open(self) -> None:
        """Register the callee, and have the program answer by what was dialed."""
        assert (await self.callee.register()).status == 200
        domain, program = self.scene.server.domain, self.scene.program
        base = "http://ringback.localhost"
        answers = {
            "bin": f"<Redirect>{base}/bins/soak</Redirect>",
            "function": f"<Redirect>{base}/functions/soak</Redirect>",
            "webhook": f"<Dial><Sip>sip:bob@{domain}</Sip></Dial>",
            "prompt": "<Say>A prompt that is always the same.</Say><Play digits='12'/>",
            "cancelled": '<Dial answerOnBridge="true" callerId="+16505550101"><Number>+15005550003</Number></Dial>',
            "busy": '<Dial callerId="+16505550101"><Number>+15005550004</Number></Dial>',
            "failed": '<Dial callerId="+16505550101"><Number>+15005550005</Number></Dial>',
            "digits": f'<Gather numDigits="2" timeout="10" action="{program.url}/digits"/>',
        }

        def answer(hit: object) -> str:
            kind = hit["To"].partition(":")[2].partition("@")[0]  # type: ignore[index]
            if kind.startswith("room"):
                return twiml(f"<Dial><Conference beep='false'>{kind}</Conference></Dial>")
            return twiml(answers[kind])

        program.on("/digits", lambda hit: twiml("<Hangup/>"))
        await self.scene.home(voice_url=program.on("/voice", answer))

    def _take(self, request: Request, flow: Flow) -> bool:
        call = self.callee.endpoint.take(request, flow)
        call.ring()
        call.answer()
        self.callee.endpoint.tasks.start(call.play(TONE, loops=0), "tone")
        return True

    async def place(self, kind: str) -> None:
        """One of a kind; what goes wrong is counted."""
        self.placed[kind] += 1
        self._up[asyncio.current_task()] = calls = []
        try:
            async with asyncio.timeout(2 * WITHIN):
                await self.kinds[kind]()
        except Exception as problem:  # noqa: BLE001 - the one guard around an operation: it is counted
            if isinstance(problem, CallEnded) and problem.ended.status == 503:
                self.refused[kind] += 1
                return
            self.failed[kind] += 1
            if len(self.why) < REASONS:
                self.why[f"{kind}: {problem!r}"] += 1
        finally:
            del self._up[asyncio.current_task()]
            for call in calls:
                if not call.ended.done():
                    call.hang_up()

    # -- kinds ------------------------------------------------------------------------------------------------------

    def _dial(self, user: str, dialed: int = 0) -> EndpointCall:
        call = self.caller.dial(user)
        self.expected["inbound"] += 1
        self.expected["outbound-dial"] += dialed
        self._up[asyncio.current_task()].append(call)
        return call

    async def _answered(self, call: EndpointCall, phone: Phone) -> None:
        try:
            self.started.add(await answered(call))
        except CallEnded as problem:
            if problem.ended.status == 503:
                self.expected["inbound"] -= 1
            raise
        with contextlib.suppress(CallEnded):  # a short call may be over before a late phone speaks
            await call.play(TONE, loops=0)

    async def register(self) -> None:
        """A phone renews its registration."""
        assert (await self.callee.register()).status == 200

    async def bin(self) -> None:
        """A document of the server's own, until it hangs up."""
        call = self._dial("bin")
        await self._answered(call, self.caller)
        await over(call)

    async def webhook(self) -> None:
        """A program's document dials a phone; both talk."""
        call = self._dial("webhook", 1)
        await self._answered(call, self.caller)
        await call.hear(TALK)
        call.hang_up()
        await over(call)

    async def function(self) -> None:
        """A Function speaks."""
        call = self._dial("function")
        await self._answered(call, self.caller)
        await over(call)

    async def prompt(self) -> None:
        """A prompt from the cache, and digits sent."""
        call = self._dial("prompt")
        await self._answered(call, self.caller)
        async with asyncio.timeout(WITHIN):
            for digit in "12":
                heard = await call.unless_ended(call.digits.get())
                assert heard == digit, f"{heard} instead of {digit}"
        await over(call)

    async def digits(self) -> None:
        """Digits pressed reach the program."""
        call = self._dial("digits")
        await self._answered(call, self.caller)
        with contextlib.suppress(CallEnded):  # it may end before the last digit's end was sent
            await call.send_digits("42")
        await over(call)

    async def cancelled(self) -> None:
        """The caller gives up while the far end rings."""
        call = self._dial("cancelled", 1)
        async with asyncio.timeout(WITHIN):
            await call.unless_ended(call.ringing)
        call.hang_up()
        await over(call)

    async def busy(self) -> None:
        """The far end is busy."""
        await over(self._dial("busy", 1))

    async def unreachable(self) -> None:
        """The far end rejects the call."""
        await over(self._dial("failed", 1))

    async def rest(self) -> None:
        """A program has the server call a phone."""
        status, body = await self.scene.post(
            f"/2010-04-01/Accounts/{self.scene.server.account_sid}/Calls.json",
            To=self.callee.address,
            From="+16505550101",
            Twiml=twiml('<Pause length="1"/><Hangup/>'),
        )
        assert status == 201, body
        self.expected["outbound-api"] += 1

    async def conference(self) -> None:
        """Three in a room."""
        room = f"room{next(self._rooms)}"
        calls = [self._dial(room) for _ in range(3)]
        with contextlib.suppress(CallEnded):
            for call in calls:
                await self._answered(call, self.caller)
            await calls[0].hear(TALK)
        for call in calls:
            if not call.ended.done():
                call.hang_up()
        await asyncio.gather(*(over(call) for call in calls))
