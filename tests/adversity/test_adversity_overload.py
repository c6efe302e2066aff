"""Several times as much as a server can do, of each kind: calls that are up notice nothing, and soon all is as before."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from adversity import burden
from adversity.stage import pair, stage
from adversity.talk import Talk, judge, records
from live_scene import Scene, twiml
from security.sip_wire import wire_to

SECONDS = float(os.environ.get("RINGBACK_ADVERSITY_OVERLOAD_SECONDS", "4"))
RATE = 20_000
"""Datagrams of strangers a second: several times what a server of one core reads."""
ADDRESSES = 800
"""Each sends less than an address may, so that all of it is to be read."""
NORMAL_WITHIN = 5.0
MEMORY = 100e6


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with stage(tmp_path / "project", log_level="error") as scene:
        yield scene


async def normal_again(scene: Scene) -> float:
    """Seconds until a stranger's OPTIONS is answered and a call comes about."""
    began_at = time.monotonic()
    await scene.home(voice_url=scene.program.on("/after", twiml("<Reject/>")))
    async with wire_to(scene.server, "UDP", "127.8.3.3") as wire:
        assert await wire.is_alive()
    while scene.program.waiting("/after") == 0:
        await asyncio.shield(scene.phone("alice").dial("x").ended)
        assert time.monotonic() - began_at < 2 * NORMAL_WITHIN
    return time.monotonic() - began_at


async def unharmed(scene: Scene, going: Talk, memory: int) -> str:
    """The call that was up all the time is, memory has its bound, and it is soon as before; in words."""
    after = await normal_again(scene)
    grown = burden.resident(scene.server.process.pid) - memory
    await going.flows()
    await going.hang_up()
    seconds = going.ended.steady - going.began.steady
    assert after < NORMAL_WITHIN
    assert grown < MEMORY
    return f"{going.lost} packets lost in {seconds:.0f} s, memory {grown / 1e6:+.0f} MB, normal after {after:.1f} s"


@pytest.mark.parametrize("kind", burden.KINDS)
async def test_a_flood_of_strangers(scene: Scene, kind: str) -> None:
    going = await pair(scene)
    memory, used = burden.resident(scene.server.process.pid), burden.cpu(scene.server.process.pid)
    flooder = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(burden.__file__)), *map(str, scene.server.sip), scene.server.domain),
        *(str(SECONDS), str(RATE), str(ADDRESSES), kind),
        stdout=asyncio.subprocess.PIPE,
    )
    assert flooder.stdout is not None
    sent, answers, took = map(float, (await flooder.stdout.read()).split())
    await flooder.wait()
    used = burden.cpu(scene.server.process.pid) - used
    found = await unharmed(scene, going, memory)
    print(
        f"{kind}: {sent / took:,.0f}/s offered, {answers / took:,.0f}/s answered in {used:.1f} s of CPU; {found}"
    )
    assert sent > 3_000 * SECONDS
    assert kind == "garbage" or answers > 0
    judge(await records(scene, 3), [going])


# -- a carrier gone mad -------------------------------------------------------------------------------------------------

CARRIER = "127.7.7.7"
CALLS_A_SECOND = int(os.environ.get("RINGBACK_ADVERSITY_OVERLOAD_RATE", "1200"))
"""Calls of a carrier that may call: some five times what one core takes (about 200 a second)."""

SCENARIO = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="a call that is short, or refused">
<send retrans="500"><![CDATA[
INVITE sip:x@{domain} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:carrier@[local_ip]>;tag=[pid]SIPpTag[call_number]
To: <sip:x@{domain}>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:carrier@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 4000 RTP/AVP 0

]]></send>
<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="503" optional="true" next="1"><action><ereg regexp="[0-9]+" search_in="hdr" header="Retry-After:"
  check_it="true" assign_to="1"/></action></recv>
<recv response="200" rrs="true"/>
<send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
[routes]
From: <sip:carrier@[local_ip]>;tag=[pid]SIPpTag[call_number]
To: <sip:x@{domain}>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv request="BYE" next="2"/>
<label id="1"/>
<send next="3"><![CDATA[
ACK sip:x@{domain} SIP/2.0
[last_Via:]
From: <sip:carrier@[local_ip]>;tag=[pid]SIPpTag[call_number]
To: <sip:x@{domain}>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<label id="2"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
<label id="3"/>
<Reference variables="1"/>
</scenario>
"""


@pytest.mark.skipif(shutil.which("sipp") is None, reason="needs SIPp")
async def test_a_carrier_that_calls_too_much_gets_503(scene: Scene, tmp_path: Path) -> None:
    going = await pair(scene)
    client, domain = scene.client, f"carrier.{scene.server.domain.partition('.')[2]}"
    acl = await scene.do(client.sip.ip_access_control_lists.create, friendly_name="carrier")
    addresses = client.sip.ip_access_control_lists(acl.sid).ip_addresses
    await scene.do(addresses.create, friendly_name="carrier", ip_address=CARRIER)
    made = await scene.do(
        client.sip.domains.create,
        domain_name=domain,
        voice_url=scene.program.on("/carrier", twiml('<Gather timeout="1"/>')),
    )
    mappings = client.sip.domains(made.sid).auth.calls.ip_access_control_list_mappings
    await scene.do(mappings.create, ip_access_control_list_sid=acl.sid)
    (tmp_path / "scenario.xml").write_text(SCENARIO.format(domain=domain))
    memory = burden.resident(scene.server.process.pid)
    late = 0.0
    sipp = await asyncio.create_subprocess_exec(
        *("sipp", f"{scene.server.sip[0]}:{scene.server.sip[1]}", "-sf", str(tmp_path / "scenario.xml")),
        *("-i", CARRIER, "-r", str(CALLS_A_SECOND), "-m", str(int(CALLS_A_SECOND * SECONDS)), "-l", "100000"),
        *("-nostdin", "-timeout", "60s", "-recv_timeout", "20000", "-trace_counts", "-fd", "1"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert sipp.stdout is not None
    reading = asyncio.create_task(sipp.stdout.read())
    while not reading.done():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                status, body = await scene.get("/ringback/v1/vitals")
                assert status == 200
                late = max(late, float(re.findall(rb'"lateness":([0-9.]+)', body)[0]))
        await asyncio.wait({reading}, timeout=0.2)
    counts = sorted(tmp_path.glob("*_counts.csv"))[0].read_text().strip().splitlines()
    last = dict(zip(counts[0].split(";"), counts[-1].split(";"), strict=False))
    print(last, Counter(row.status for row in await scene.do(scene.client.calls.list)))
    answers = {name: int(value) for name, value in last.items() if re.search(r"_(200|503)_Recv$", name)}
    found = await unharmed(scene, going, memory)
    print(
        f"INVITE of a carrier: {CALLS_A_SECOND}/s offered for {SECONDS:g} s; {answers}; {late:.2f} s late; {found}"
    )
    assert any("503" in name and value > 0 for name, value in answers.items())
    assert sum(answers.values()) >= 0.9 * CALLS_A_SECOND * SECONDS  # SIPp asks again for 20 s, on any machine
