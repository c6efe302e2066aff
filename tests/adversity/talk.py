"""A call of two legs between two phones, measured from outside, and what its records must then say."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from live_scene import ENDED, WITHIN, Phone, Scene, answered, over, twiml

from ringback.media import tones
from ringback.sandbox.endpoint import EndpointCall

TONE = tones.sine(1000, 0.2)


class Moment(NamedTuple):
    """The same moment by the time of day, of a clock that nobody steps, and by the monotonic clock."""

    of_day: float
    steady: float


def now() -> Moment:
    """This moment."""
    return Moment(time.time(), time.monotonic())


class Measured:
    """A call as its caller saw it: when it was dialed and heard the answer, hung up and saw the end.

    What the server writes down lies between, however long either machine takes for a message.
    """

    def __init__(self, call: EndpointCall) -> None:
        self.call = call
        self.sid = ""
        self.dialed = self.began = self.hung_up = self.ended = now()

    async def answered(self) -> Measured:
        """The answer came. Raises CallEnded."""
        self.sid = await answered(self.call)
        self.began = now()
        return self

    async def over(self) -> None:
        """It ends by itself."""
        await over(self.call)
        self.hung_up = self.ended = now()

    async def hang_up(self) -> None:
        """The caller hangs up."""
        self.hung_up = now()
        self.call.hang_up()
        await over(self.call)
        self.ended = now()


class Talk(Measured):
    """A call that is up, with a tone from each side."""

    def __init__(self, caller: Phone, callee: Phone) -> None:
        super().__init__(caller.dial(callee.name))
        self.caller, self.callee = caller, callee
        self.far: EndpointCall
        self.lost = 0
        """Packets that never came, both ways, by the end."""

    @property
    def ends(self) -> tuple[tuple[Phone, EndpointCall], ...]:
        """Both phones and their ends."""
        return (self.caller, self.call), (self.callee, self.far)

    async def flows(self, seconds: float = 0.5) -> None:
        """So much more sound is heard at both ends."""
        for _, call in self.ends:
            call.heard.clear()  # a phone keeps a minute
        async with asyncio.timeout(WITHIN):
            await asyncio.gather(*(call.hear(seconds) for _, call in self.ends))

    async def hang_up(self) -> None:
        """The caller hangs up; both ends end, by it alone, and hardly a packet was lost."""
        assert not any(call.ended.done() for _, call in self.ends)
        self.lost = sum(phone.endpoint.pump.stats(call.port.id).lost for phone, call in self.ends)
        assert self.lost <= 0.01 * 50 * (time.monotonic() - self.began.steady) + 2
        await super().hang_up()
        await over(self.far)


async def talk(scene: Scene, caller: Phone, callee: Phone) -> Talk:
    """Have one phone call another, which is registered; sound goes both ways when this returns."""
    to_callee = f'<Dial answerOnBridge="true"><Sip>sip:{callee.name}@{scene.server.domain}</Sip></Dial>'
    await scene.home(voice_url=scene.program.on("/talk", twiml(to_callee)))
    found = Talk(caller, callee)
    found.far = await callee.pick_up()
    await found.answered()
    for call in (found.call, found.far):
        await call.play(TONE, loops=0)
    await found.flows()
    return found


async def records(scene: Scene, count: int) -> list[Any]:
    """The records of the server's calls, once there are ``count`` at least and all have ended."""
    rows: list[Any] = []
    try:
        async with asyncio.timeout(WITHIN):
            while len(rows) < count or any(row.status not in ENDED for row in rows):
                rows = await scene.do(scene.client.calls.list)
    except TimeoutError:
        raise AssertionError(
            f"{len(rows)} of {count} records: {Counter(row.status for row in rows)}"
        ) from None
    return rows


def judge(rows: Sequence[Any], measured: Sequence[Measured], *, stepped: float = 0.0) -> None:
    """One record for every leg, each right to a second; ``stepped`` is what the server's clock was ahead by."""
    assert max(Counter(row.sid for row in rows).values()) == 1
    for call in measured:
        own = [row for row in rows if row.sid == call.sid]
        children = [row for row in rows if row.parent_call_sid == call.sid]
        assert len(own) == 1, call.sid
        assert len(children) == isinstance(call, Talk), call.sid
        for row in (*own, *children):
            began, ended = row.start_time.timestamp() - stepped, row.end_time.timestamp() - stepped
            assert int(call.dialed.of_day) - 1 <= began <= int(call.began.of_day) + 1, (began, call.began)
            assert int(call.hung_up.of_day) - 1 <= ended <= int(call.ended.of_day) + 1, (ended, call.ended)
            shortest = call.hung_up.steady - call.began.steady
            longest = call.ended.steady - call.dialed.steady
            assert shortest - 1 <= float(row.duration) <= longest + 1, (row.duration, shortest, longest)
            assert row.status == "completed"
