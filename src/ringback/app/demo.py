"""The demo call: a virtual phone registers, dials through the starter Function, and hears itself.

::

    phone alice --INVITE--> exchange --webhook--> functions/outbound.js --TwiML--> sandbox carrier (echo)
          ^------------------------ RTP, a tone there and back ------------------------------^

The phone plays 1000 Hz; what comes back through the echo is verified by its content, so sound passed both
ways. The greeting number then proves sound towards the phone alone.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console

from ringback.app.client import ServerClient
from ringback.app.errors import Unusable
from ringback.app.ladder import print_ladder
from ringback.app.project import ProjectDirectory
from ringback.media import tones
from ringback.media.twins import create_pump
from ringback.sandbox.endpoint import CallEnded, Endpoint, EndpointCall
from ringback.sip.authorization import Login
from ringback.sip.flow import Hop
from ringback.sip.uri import Uri

USER = "alice"
ECHO = "+15005550001"
TONE = 1000
LISTENED = 4.0
"""Seconds at most in which the tone must come back for one second on end."""
ENOUGH = 0.5
"""Share of the power that must be the tone's: a G.711 path gives 0.99, silence and noise nothing like it."""
RTP_PORTS = (32000, 47999)
WITHIN = 30.0


async def run_demo(directory: Path, console: Console) -> bool:
    """Place the demo call on the running server; whether sound was verified both ways."""
    async with ServerClient(directory) as server:
        passwords = ProjectDirectory(directory).phones()
        if USER not in passwords:
            raise Unusable(f"the starter's phone {USER} is gone from {directory}: the demo needs it")
        pump = create_pump(RTP_PORTS)
        try:
            phone = Endpoint(pump, name="demo-phone")
            phone.bind("127.0.0.1", 0)
            try:
                sid, verdict = await _call(phone, server, passwords[USER], console)
            finally:
                await phone.close()
        finally:
            pump.close()
        if sid:
            print_ladder(console, await server.timeline(sid, whole=True))
        console.print(
            f"[bold {'green' if not verdict else 'red'}]{verdict or 'Sound was verified both ways.'}[/]"
        )
        return not verdict


async def _call(phone: Endpoint, server: ServerClient, password: str, console: Console) -> tuple[str, str]:
    """Register and call the echo: the call's SID, and what is wrong ("" for nothing)."""
    running = server.running
    host, _, port = running.sip.rpartition(":")
    hop = Hop("UDP", host, int(port))
    aor = Uri(user=USER, host=running.domain)
    login = Login(USER, password)
    console.print(f"[dim]A virtual phone registers as {aor} ...[/dim]")
    try:
        registered = await phone.register(aor, hop, login)
    except ConnectionError as problem:
        return "", f"The SIP server at {running.sip} does not answer: {problem}"
    if registered.status != 200:
        return "", f"The phone could not register: {registered.status} {registered.reason}"
    console.print(f"[dim]... dials {ECHO}, plays {TONE} Hz and listens for its echo ...[/dim]")
    call = phone.call(Uri(user=ECHO, host=running.domain), hop, caller=aor, login=login)
    sid = ""
    try:
        async with asyncio.timeout(WITHIN):
            answered = await call.unless_ended(call.answered)
            sid = answered.headers.get("X-Twilio-CallSid", "")
            call.listen()
            await call.play(tones.sine(TONE, 1.0), loops=0)
            verdict = await _listen(call)
            call.hang_up()
            await call.ended
    except CallEnded as problem:
        sid = sid or problem.ended.headers.get("X-Twilio-CallSid", "")
        verdict = f"The call ended: {problem}"
    except TimeoutError:
        verdict = f"Nothing more happened for {WITHIN:.0f} s"
    await phone.register(aor, hop, login, expires=0)
    return sid, verdict


async def _listen(call: EndpointCall) -> str:
    """Listen until the tone comes back for a second on end: what is wrong, "" for nothing."""
    share, told = 0.0, 0
    for _ in range(int(LISTENED * 4)):
        share = tones.tone_present(await call.hear(0.25), TONE)
        told = told + 1 if share >= ENOUGH else 0
        if told == 4:
            return ""
    return f"The echo did not bring the tone back (share of its power {share:.2f}): no sound both ways"
