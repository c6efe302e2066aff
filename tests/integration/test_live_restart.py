"""Servers that stop, die and start again: phones stay registered, calls end in order, records are closed."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from live import LiveServer, start_server
from live_scene import MAIN_NUMBER, WITHIN, Scene, answered, hears, over, scene_of, twiml
from security.sip_wire import SDP, credentials, wire_to

from ringback.media import tones
from ringback.sandbox.endpoint import EndpointCall

ECHO = f'<Dial callerId="{MAIN_NUMBER}">+15005550001</Dial>'

Start = Callable[[LiveServer | None], Awaitable[Scene]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a server, or the next one of the same directory at the same ports; the scene around it."""
    servers: list[LiveServer] = []
    async with AsyncExitStack() as stack:

        async def begin(before: LiveServer | None) -> Scene:
            settings = {}
            if before is not None:
                settings = {"sip": f"127.0.0.1:{before.sip[1]}", "sips": f"127.0.0.1:{before.sips[1]}"}
            server = await asyncio.to_thread(start_server, tmp_path / "project", **settings)
            if before is not None:
                server.sip, server.sips = before.sip, before.sips
            servers.append(server)
            return await stack.enter_async_context(scene_of(server, set(), replays=False))

        yield begin
    for server in servers:
        if server.process.poll() is None:
            server.kill()


async def stopped(server: LiveServer) -> int:
    """The exit status, once the process has ended."""
    status = await asyncio.to_thread(server.process.wait, 30)
    await asyncio.to_thread(server.reader.join, 10)
    return status


async def draining(scene: Scene) -> None:
    """Tell a server to stop, until it says that it does; HTTP goes on answering meanwhile."""
    scene.server.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        while "stopping" not in scene.server.output:
            assert (await scene.get(f"/2010-04-01/Accounts/{scene.server.account_sid}/Calls.json"))[0] == 200


async def flushed(scene: Scene) -> None:
    """A journal is asked for, which waits for the writer: all before is on disk."""
    await scene.get(f"/ringback/v1/calls/CA{'0' * 32}/journal")


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_a_registered_phone_can_be_called_at_once_after_a_restart(start: Start, how: str) -> None:
    first = await start(None)
    alice = first.phone("alice")
    assert (await alice.register()).status == 200
    await flushed(first)
    if how == "SIGKILL":
        await asyncio.to_thread(first.server.kill)
    else:
        assert await asyncio.to_thread(first.server.stop) == 0
    second = await start(first.server)
    await second.do(
        second.client.calls.create,
        to=f"sip:alice@{second.server.domain}",
        from_=MAIN_NUMBER,
        twiml=twiml('<Play digits="5"/>'),
        status_callback=second.program.on("/status"),
    )
    leg = await alice.pick_up()
    async with asyncio.timeout(WITHIN):
        assert await leg.digits.get() == "5"
    await over(leg)
    assert (await second.program.hit("/status"))["CallStatus"] == "completed"
    # It answers the challenges of the new server, and leaves it.
    alice.server = second.server
    assert (await alice.register(expires=0)).status == 200


async def test_sigterm_lets_the_running_call_end_and_takes_no_new_one(start: Start) -> None:
    scene = await start(None)
    alice = scene.phone("alice")
    await scene.home(
        voice_url=scene.program.on("/voice", twiml(ECHO)),
        voice_status_callback_url=scene.program.on("/status"),
    )
    call = alice.dial("echo")
    sid = await answered(call)
    await call.play(tones.sine(1000, 0.2), loops=0)
    assert await hears(call, 1000)
    await draining(scene)
    async with wire_to(scene.server, "UDP") as wire:
        reply = await wire.ask("INVITE", f"sip:1@{scene.server.domain}", body=SDP)
        assert reply.status == 503
        assert int(reply.header("Retry-After")) > 0
        # Registrations are still taken: the next server knows the phone.
        uri, aor = f"sip:{scene.server.domain}", f"sip:bob@{scene.server.domain}"
        challenge = await wire.ask("REGISTER", uri, from_=aor, to=aor)
        line = credentials(challenge, "REGISTER", uri, "bob", scene.server.password)
        assert (await wire.ask("REGISTER", uri, from_=aor, to=aor, headers=(line,), cseq=2)).status == 200
    path = f"/2010-04-01/Accounts/{scene.server.account_sid}/Calls.json"
    status, body = await scene.post(path, To="+15005550001", From=MAIN_NUMBER, Twiml=twiml())
    assert (status, json.loads(body)["status"]) == (503, 503)
    call.heard.clear()
    assert await hears(call, 1000), "the running call goes on"
    assert (await scene.do(scene.client.calls(sid).fetch)).status == "in-progress"
    assert scene.server.process.poll() is None
    call.hang_up()
    await over(call)
    told = await scene.program.hit("/status")
    assert (told["CallSid"], told["CallStatus"]) == (sid, "completed")
    assert await stopped(scene.server) == 0
    assert "Traceback" not in scene.server.output


async def test_a_second_sigterm_ends_the_calls_at_once(start: Start) -> None:
    scene = await start(None)
    alice, pbx = scene.phone("alice"), scene.phone("pbx")
    await scene.home(
        voice_url=scene.program.on("/voice", twiml(f"<Dial><Sip>{pbx.address}</Sip></Dial>")),
        voice_status_callback_url=scene.program.on("/status"),
    )
    call = alice.dial("pbx")
    leg = await pbx.pick_up()
    sid = await answered(call)
    await draining(scene)
    scene.server.process.send_signal(signal.SIGTERM)
    assert (await over(call)).cause == "bye"
    assert (await over(leg)).cause == "bye"
    assert (await scene.program.hit("/status"))["CallStatus"] == "completed"
    assert await stopped(scene.server) == 0
    assert "Traceback" not in scene.server.output
    after = await start(scene.server)
    record = await after.do(after.client.calls(sid).fetch)
    assert (record.status, record.end_time is not None) == ("completed", True)
    assert await after.replay(sid) > 0


async def test_calls_of_a_killed_server_are_closed_at_the_next_start(start: Start) -> None:
    scene = await start(None)
    alice, pbx = scene.phone("alice"), scene.phone("pbx")
    await scene.home(voice_url=scene.program.on("/voice", twiml(f"<Dial><Sip>{pbx.address}</Sip></Dial>")))
    call = alice.dial("pbx")
    leg = await pbx.pick_up()
    sid = await answered(call)
    ringing = await scene.do(
        scene.client.calls.create, to=pbx.address, from_=MAIN_NUMBER, twiml=twiml('<Pause length="9"/>')
    )
    await pbx.rung()
    await flushed(scene)
    _, before = await scene.get(f"/ringback/v1/calls/{sid}/timeline")
    await asyncio.sleep(0.1)  # what came until then is promised to be kept
    await asyncio.to_thread(scene.server.kill)
    after = await start(scene.server)
    # Whoever still sits in the dead call is let go.
    assert (await over(call)).cause == "bye"
    assert (await over(leg)).cause == "bye"
    rows = {row.sid: row for row in await after.do(after.client.calls.list)}
    assert {row.status for row in rows.values()} == {"completed", "failed"}
    assert (rows[sid].status, rows[ringing.sid].status) == ("completed", "failed")
    assert all(row.end_time is not None for row in rows.values())
    assert (rows[sid].duration is None, rows[ringing.sid].duration) == (False, None)
    notes = await after.do(after.client.calls(sid).notifications.list)
    assert [(note.log, note.error_code) for note in notes] == [("0", "12400")]
    assert "the server stopped" in notes[0].message_text
    status, body = await after.get(f"/ringback/v1/calls/{sid}/timeline")
    lines, kept = (json.loads(each)["lines"] for each in (before, body))
    assert (status, kept[: len(lines)]) == (200, lines)
    assert any("connected with" in line["text"] for line in lines)
    assert "the server stopped" in kept[-1]["text"]
    assert await after.replay(sid) > 0
    status, body = await after.get(f"/ringback/v1/calls/{ringing.sid}/timeline")
    assert (status, "the server stopped" in str(body)) == (200, True)
    assert await after.do(after.client.calls.list, status="in-progress") == []


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_conferences_outlive_the_server_and_one_that_was_up_has_ended(start: Start, how: str) -> None:
    first = await start(None)
    phone = first.phone("phone")

    async def called_in(name: str) -> tuple[str, EndpointCall]:
        create = first.client.conferences(name).participants.create
        where = first.program.on("/events")
        told = {"conference_status_callback": where, "conference_status_callback_event": "join end"}
        person = await first.do(create, from_=MAIN_NUMBER, to=phone.address, **told)
        leg = await phone.pick_up()
        assert (await first.program.hit("/events"))["StatusCallbackEvent"] == "participant-join"
        return person.conference_sid, leg

    before, leg = await called_in("before")
    leg.hang_up()
    await over(leg)
    assert (await first.program.hit("/events"))["ConferenceSid"] == before
    up, leg = await called_in("up")
    assert len(await first.do(first.client.conferences.list)) == 2
    if how == "SIGKILL":
        await asyncio.to_thread(first.server.kill)
    else:
        first.server.process.send_signal(signal.SIGHUP)
        await stopped(first.server)
    second = await start(first.server)
    await over(leg)
    found = {room.sid: room for room in await second.do(second.client.conferences.list, page_size=1)}
    assert set(found) == {before, up}
    assert {str(room.status) for room in found.values()} == {"completed"}
    assert {str(room.reason_conference_ended) for room in found.values()} == {"last-participant-left"}
    assert found[before].call_sid_ending_conference
    assert (found[up].call_sid_ending_conference is None) == (how == "SIGKILL")
    assert await second.do(second.client.conferences(up).participants.list) == []
    assert [room.sid for room in await second.do(second.client.conferences.list, friendly_name="up")] == [up]
