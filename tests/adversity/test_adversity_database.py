"""A database server that dies and comes back, under a server with calls."""

from __future__ import annotations

import asyncio
from pathlib import Path

from adversity.stage import logged, pair, stage
from adversity.talk import Measured, judge, records
from live_scene import twiml
from postgresql import private_postgresql


async def test_calls_go_on_while_postgresql_is_gone(tmp_path: Path) -> None:
    with private_postgresql() as database:
        url = await database.new_database("ringback")
        async with stage(tmp_path / "project", database=url) as scene:
            going = await pair(scene)
            alice = scene.phone("alice")
            await scene.home(voice_url=scene.program.on("/gone", twiml('<Gather timeout="60"/>')))
            before = await Measured(alice.dial("x")).answered()
            await asyncio.to_thread(database.die)
            during = [await Measured(alice.dial("x")).answered() for _ in range(3)]
            await before.hang_up()
            await during[0].hang_up()
            status, body = await scene.post(
                f"/2010-04-01/Accounts/{scene.server.account_sid}/Applications.json", FriendlyName="x"
            )
            assert status == 503, body
            status, body = await scene.get(f"/2010-04-01/Accounts/{scene.server.account_sid}/Calls.json")
            assert status == 503, body
            await logged(scene.server, "facts_not_saved")
            await going.flows()
            await asyncio.to_thread(database.start)
            await logged(scene.server, "facts_saved_again")
            for call in during[1:]:
                await call.hang_up()
            after = await Measured(alice.dial("x")).answered()
            await after.hang_up()
            await going.hang_up()
            rows = await records(scene, 7)
            judge(rows, [going, before, *during, after])
            assert len(rows) == 7
            await scene.home(friendly_name="is heard of again")
