"""A call of two legs between two phones, measured from outside, and what its records must then say."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from live_scene import ENDED, WITHIN, Phone, Scene, answered, over, twiml

from ringback.media import tones
from ringback.sandbox.endpoint import EndpointCall

TONE = tones.sine(1000, 0.2)


@dataclass
class Measured:
    """A call as its caller saw it. Times of day are seconds since the epoch, of a clock that nobody steps."""

    sid: str
    began: float = field(default_factory=time.time)
    began_at: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    seconds: float = 0.0

    def end(self) -> None:
        """It ends now."""
        self.ended, self.seconds = time.time(), time.monotonic() - self.began_at


class Talk(Measured):
    """A call that is up, with a tone from each side."""

    def __init__(self, sid: str, ends: tuple[tuple[Phone, EndpointCall], tuple[Phone, EndpointCall]]) -> None:
        super().__init__(sid)
        self.ends = ends
        self.lost = 0
        """Packets that never came, both ways, by the end."""

    async def flows(self, seconds: float = 0.5) -> None:
        """So much more sound is heard at both ends."""
        for _, call in self.ends:
            call.heard.clear()  # a phone keeps a minute
        async with asyncio.timeout(WITHIN):
            await asyncio.gather(*(call.hear(seconds) for _, call in self.ends))

    async def hang_up(self) -> None:
        """The caller hangs up; both ends end, by it alone, and hardly a packet was lost."""
        calls = [call for _, call in self.ends]
        assert not any(call.ended.done() for call in calls)
        self.lost = sum(phone.endpoint.pump.stats(call.port.id).lost for phone, call in self.ends)
        assert self.lost <= 0.01 * 50 * (time.monotonic() - self.began_at) + 2
        calls[0].hang_up()
        self.end()
        await asyncio.gather(*(over(call) for call in calls))


async def talk(scene: Scene, caller: Phone, callee: Phone) -> Talk:
    """Have one phone call another, which is registered; sound goes both ways when this returns."""
    to_callee = f'<Dial answerOnBridge="true"><Sip>sip:{callee.name}@{scene.server.domain}</Sip></Dial>'
    await scene.home(voice_url=scene.program.on("/talk", twiml(to_callee)))
    outgoing = caller.dial(callee.name)
    incoming = await callee.pick_up()
    found = Talk(await answered(outgoing), ((caller, outgoing), (callee, incoming)))
    for call in (outgoing, incoming):
        await call.play(TONE, loops=0)
    await found.flows()
    return found


async def records(scene: Scene, count: int) -> list[Any]:
    """The records of the server's calls, once there are ``count`` and all have ended."""
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
            found = (row.start_time.timestamp(), row.end_time.timestamp(), float(row.duration))
            wanted = (call.began + stepped, call.ended + stepped, call.seconds)
            # Both clocks are shown in whole seconds.
            assert all(abs(a - int(b)) <= 1 for a, b in zip(found, wanted, strict=True)), (found, wanted)
            assert row.status == "completed"
