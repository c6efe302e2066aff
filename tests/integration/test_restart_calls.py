"""A server that is killed during calls: its next run hangs up and closes their records."""

from __future__ import annotations

import asyncio
from pathlib import Path

from live import LiveServer, start_server
from twilio.rest import Client

from ringback.media import tones
from ringback.media.twins import create_pump
from ringback.sandbox.endpoint import Endpoint, EndpointCall
from ringback.sip.authorization import Login
from ringback.sip.flow import Hop
from ringback.sip.uri import Uri

WITHIN = 20


def call_echo(phone: Endpoint, server: LiveServer) -> EndpointCall:
    return phone.call(
        Uri(user="+15005550001", host=server.domain),
        Hop("UDP", *server.sip),
        caller=Uri(user="alice", host=server.domain),
        login=Login("alice", server.password),
    )


async def test_calls_of_a_killed_server_are_hung_up_and_closed_by_the_next(tmp_path: Path) -> None:
    project = tmp_path / "project"
    server = await asyncio.to_thread(start_server, project)
    pump = create_pump((36000, 36099))
    phone = Endpoint(pump)
    phone.bind()
    try:
        async with asyncio.timeout(WITHIN):
            call = call_echo(phone, server)
            answered = await call.unless_ended(call.answered)
            call.listen()
            await call.play(tones.sine(1000, 1.0), loops=0)
            await call.hear(0.5)  # the far end is up, and longer than the writer of records gathers
        sid = answered.headers["X-Twilio-CallSid"]
        server.kill()
        again = await asyncio.to_thread(
            start_server, project, sip=f"127.0.0.1:{server.sip[1]}", sips=f"127.0.0.1:{server.sips[1]}"
        )
        try:
            async with asyncio.timeout(WITHIN):
                ended = await call.ended
            assert ended.cause == "bye"

            def records() -> list[tuple[str, str]]:
                client = Client(again.account_sid, again.auth_token)
                client.api.base_url = again.api
                return [(record.sid, record.status) for record in client.calls.list()]

            found = await asyncio.to_thread(records)
            assert (sid, "completed") in found
            assert {status for _, status in found} == {"completed"}
        finally:
            assert await asyncio.to_thread(again.stop) == 0
    finally:
        await phone.close()
        pump.close()
        if server.process.poll() is None:
            server.kill()
