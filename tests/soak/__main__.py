"""Mixed load for an hour: `make soak`, or `python -m soak [--minutes N] [--load SHARE]` in tests/.

Calls of every kind, at a rate that keeps the server at a share of one core; memory, descriptors, threads, tasks and
lateness of the event loop are watched. Exit status 0 when memory is flat after the first third, all that was opened
is closed at the end, every call has one record, and as good as every operation did what it should. Ctrl-C shows what was
seen until then, without a verdict.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from adversity.burden import cpu
from live import LiveServer, live_server
from live_scene import ENDED, Scene, scene_of
from rich.console import Console
from soak.load import Load, furnish
from soak.verdict import Outcome, course, judge
from soak.vitals import MB, Sample, sample

from ringback.app.memory import settle

LOOK_EVERY = 10.0
TRIAL, TRIALS, SLOW = 30.0, 4, 0.5
"""Seconds of a trial that tells what a round of calls costs; how many there are, because a busy and warm server's rounds cost
less; and the first one's rounds a second, which opens all that is opened once."""
STEP, BACK = 3.0, 0.7
"""How much faster the next trial may be, and how much slower it is when calls were put off, which costs next to nothing."""
QUIET = 40.0
"""Seconds after the last call until SIP's transactions (64*T1 = 32 s) and idle connections are gone."""


class Record(NamedTuple):
    """What is kept of a call's record: of 160,000 an hour, all would take more memory than the server."""

    sid: str
    direction: str
    is_closed: bool


class Soak:
    """One run."""

    def __init__(self, server: LiveServer, scene: Scene, console: Console) -> None:
        self.server = server
        self.scene = scene
        self.console = console
        self.load = Load(scene)
        self.samples: list[Sample] = []
        self._calls: set[asyncio.Task[None]] = set()

    async def look(self) -> Sample:
        """A sample."""
        status, body = await self.scene.get("/ringback/v1/vitals")
        assert status == 200, body
        return sample(self.server.process.pid, json.loads(body))

    async def press(self, rounds_a_second: float, seconds: float, watch: bool) -> None:
        """Place every kind in turn, evenly."""
        gap = 1 / (rounds_a_second * len(self.load.kinds))
        began_at = looked_at = time.monotonic()
        for number, kind in enumerate(cycle(self.load.kinds)):
            now = time.monotonic()
            if now >= began_at + seconds:
                break
            if watch and now >= looked_at + LOOK_EVERY:
                looked_at = now
                self.samples.append(await self.look())
                self.show(now - began_at, seconds)
                self.scene.program.forget()
            await asyncio.sleep(max(0.0, began_at + number * gap - time.monotonic()))
            task = asyncio.create_task(self.load.place(kind))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        await asyncio.gather(*self._calls)

    def show(self, passed: float, seconds: float) -> None:
        """A line a minute."""
        if len(self.samples) % 6 == 1:
            last = self.samples[-1]
            self.console.print(
                f"{passed / 60:5.1f} of {seconds / 60:g} min: {self.load.placed.total():7,} placed, "
                f"{self.load.refused.total()} put off, {self.load.failed.total()} failed; {last.calls} legs up; "
                f"{last.memory / MB:.1f} MB (+ children {last.children / MB:.0f}), {last.descriptors} descriptors, "
                f"{last.threads} threads, {last.tasks} tasks, {last.lateness * 1000:.1f} ms late"
            )

    async def quiet(self) -> Sample:
        """Until all is over, and what lingers is gone."""
        try:
            async with asyncio.timeout(60):
                while (await self.look()).calls:
                    await asyncio.sleep(0.5)
        except TimeoutError:
            self.console.print("These calls do not end:")
            for status in ("queued", "ringing", "in-progress"):
                for call in await self.scene.do(self.scene.client.calls.list, status=status, limit=2):
                    self.console.print(call.sid, call.to, await self.scene.timeline(call.sid))
            raise
        await asyncio.sleep(QUIET)
        return await self.look()

    async def run(self, minutes: float, share: float) -> bool:
        """The verdict."""
        await self.load.open()
        rate = SLOW
        for number in range(1, TRIALS + 1):
            self.console.print(
                f"Trial {number} of {TRIALS}, {TRIAL:.0f} s at {rate:.2f} rounds a second, to learn what a round costs"
            )
            used, refused = cpu(self.server.process.pid), self.load.refused.total()
            await self.press(rate, TRIAL, watch=False)
            cost = (cpu(self.server.process.pid) - used) / (rate * TRIAL)
            is_too_much = self.load.refused.total() > refused
            rate = BACK * rate if is_too_much else min(share / cost, STEP * rate)
        self.console.print(f"Waiting about {QUIET:.0f} s until all of that is gone")
        start = await self.quiet()
        self.console.print(
            f"A round of {len(self.load.kinds)} takes {cost * 1000:.0f} ms of CPU: {rate:.2f} rounds a second take "
            f"{share:.0%} of a core."
        )
        own = time.process_time()
        used, began_at = cpu(self.server.process.pid), time.monotonic()
        try:
            await self.press(rate, minutes * 60, watch=True)
        except asyncio.CancelledError:
            self.console.print(course([start, *self.samples]), "Stopped before its end: no verdict.")
            raise
        passed = time.monotonic() - began_at
        took = (cpu(self.server.process.pid) - used) / passed
        self.console.print(
            f"{took:.0%} of a core; the load and its phones took {(time.process_time() - own) / passed:.0%}."
        )
        self.console.print(f"Waiting about {QUIET:.0f} s until all of that is gone")
        end = await self.quiet()
        missing = await self.missing()
        found = judge(start, self.samples, end, self.load, missing, self.server.output)
        self.tell(course([start, *self.samples, end]), found)
        return all(one.is_good for one in found)

    def tell(self, table: object, found: list[Outcome]) -> None:
        """Print the verdict and what it rests on."""
        self.console.print(table)
        for one in found:
            self.console.print(f"{'good' if one.is_good else '[bold red]BAD[/] '} {one.what}: {one.why}")
        late = sorted(one.lateness for one in self.samples)
        self.console.print(
            f"late {late[len(late) // 2] * 1000:.1f} ms in the middle, "
            f"{late[int(0.99 * len(late))] * 1000:.1f} ms p99, {late[-1] * 1000:.1f} ms at most"
        )
        self.console.print("By kind:", dict(self.load.placed))
        for reason, times in self.load.why.most_common():
            self.console.print(f"{times} x {reason}", markup=False)

    async def missing(self) -> str:
        """What is wrong with the records; nothing where each leg has one that is closed."""
        records: list[Record] = []
        page = f"/2010-04-01/Accounts/{self.server.account_sid}/Calls.json?PageSize=1000"
        while page:
            _, body = await self.scene.get(page)
            found = json.loads(body)
            records += [
                Record(row["sid"], row["direction"], row["status"] in ENDED and row["end_time"] is not None)
                for row in found["calls"]
            ]
            page = found["next_page_uri"] or ""
        sids = {record.sid for record in records}
        by_direction = Counter(record.direction for record in records)
        faults = []
        if twice := len(records) - len(sids):
            faults.append(f"{twice} twice")
        if open_ := sum(not record.is_closed for record in records):
            faults.append(f"{open_} not closed")
        if absent := self.load.started - sids:
            faults.append(f"{len(absent)} absent")
        short = self.load.expected - by_direction
        left_out = max(short.values(), default=0)  # whom the server put off has no record
        if not self.load.failed and (
            by_direction - self.load.expected or left_out > self.load.refused.total()
        ):
            faults.append(f"{dict(by_direction)} instead of {dict(self.load.expected)}")
        return ", ".join(faults)


async def main() -> bool:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--load", type=float, default=0.5, metavar="SHARE", help="of one core; default 0.5")
    given = parser.parse_args()
    if given.minutes < 1:
        parser.error("--minutes: at least 1, since less has no slope")
    console = Console(width=140)
    settle()  # the phones of this process are not to stand still either
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        furnish(project)
        with live_server(project, log_level="warning") as server:
            async with scene_of(server, set(), replays=False) as scene:
                return await Soak(server, scene, console).run(given.minutes, given.load)


if __name__ == "__main__":
    try:
        sys.exit(not asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
