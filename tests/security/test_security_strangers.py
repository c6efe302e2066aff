"""Who has no right to call or to register leaves no trace: no call, no webhook, no journal."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from itertools import count

import pytest
from live import LiveServer
from live_scene import MAIN_NUMBER, Scene, answered, over, scene_of, twiml
from security.sip_wire import SDP, Reply, Wire, credentials, wire_to

from ringback.shell.front_desk import REGISTRATIONS_TOLD, REGISTRATIONS_TOLD_AT_ONCE

TRANSPORTS = ("UDP", "TCP", "TLS")


@pytest.fixture
async def scene(server: LiveServer, replayed: set[str]) -> AsyncIterator[Scene]:
    async with scene_of(server, replayed) as scene:
        await scene.home(voice_url=scene.program.on("/voice", twiml("<Reject/>")))
        yield scene


class Traces:
    """What calls leave behind: counted before and after."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    async def count(self) -> dict[str, int]:
        # A journal that is asked for is flushed to the database first.
        await self.scene.get(f"/ringback/v1/calls/CA{'0' * 32}/journal")
        database = sqlite3.connect(f"file:{self.scene.server.directory}/data/ringback.db?mode=ro", uri=True)
        try:
            found = {
                table: database.execute(f"select count(*) from {table}").fetchone()[0]
                for table in ("calls", "journals", "notifications", "registrations")
            }
        finally:
            database.close()
        listed = await self.scene.do(self.scene.client.calls.list)
        return {**found, "listed": len(listed), "webhooks": len(self.scene.program.hits)}


@pytest.fixture
async def no_trace(scene: Scene) -> AsyncIterator[None]:
    traces = Traces(scene)
    before = await traces.count()
    yield
    async with wire_to(scene.server, "UDP") as wire:
        assert await wire.is_alive()
    assert await traces.count() == before


_sources = count(1)


@pytest.fixture(params=TRANSPORTS)
async def wire(request: pytest.FixtureRequest, server: LiveServer) -> AsyncIterator[Wire]:
    # An address that gives wrong passwords is not heard for a while: each such test comes from another one.
    gives_wrong_passwords = "wrong" in request.node.name or "digest" in request.node.name
    source = f"127.1.0.{next(_sources)}" if gives_wrong_passwords else "127.0.0.1"
    async with wire_to(server, request.param, source) as wire:
        yield wire


def host_of(scene: Scene, which: str) -> str:
    return {
        "domain": scene.server.domain,
        "address": f"127.0.0.1:{scene.server.sip[1]}",
        "unknown": "pbx.example.org",
        "carrier": "sandbox.sip.ringback.localhost",
    }[which]


@pytest.mark.usefixtures("no_trace")
@pytest.mark.parametrize(
    ("which", "from_", "status"),
    [
        ("domain", "sip:mallory@example.net", 407),
        ("address", "sip:mallory@example.net", 407),
        ("unknown", "sip:mallory@example.net", 404),
        ("domain", "sip:alice@home.sip.ringback.localhost", 407),
        ("address", "sip:alice@home.sip.ringback.localhost", 407),
        ("address", "sip:+15005550009@127.0.0.1", 407),
        ("carrier", "sip:+15005550009@127.0.0.1", 403),
    ],
)
async def test_an_invite_without_credentials(
    scene: Scene, wire: Wire, which: str, from_: str, status: int
) -> None:
    uri = f"sip:+16505550101@{host_of(scene, which)}"
    reply = await wire.ask("INVITE", uri, from_=from_, body=SDP)
    assert reply.status == status
    assert "X-Twilio-CallSid" not in reply.text


async def challenged(wire: Wire, method: str, uri: str, **more: object) -> Reply:
    reply = await wire.ask(method, uri, **more)
    assert reply.status == 407
    assert reply.field("realm") == "sip.twilio.com"
    return reply


@pytest.mark.usefixtures("no_trace")
@pytest.mark.parametrize(
    "attack", ["password", "unknown user", "other user", "method", "uri", "nonce", "realm", "empty"]
)
async def test_an_invite_with_a_digest_that_is_wrong(scene: Scene, wire: Wire, attack: str) -> None:
    uri, password = f"sip:+15005550001@{scene.server.domain}", scene.server.password
    challenge = await challenged(wire, "INVITE", uri, body=SDP)
    line = {
        "password": credentials(challenge, "INVITE", uri, "alice", "wrong"),
        "unknown user": credentials(challenge, "INVITE", uri, "mallory", password),
        "other user": credentials(challenge, "INVITE", uri, "alice", password).replace('"alice"', '"bob"'),
        "method": credentials(challenge, "REGISTER", uri, "alice", password),
        "uri": credentials(challenge, "INVITE", "sip:other@example.net", "alice", password),
        "nonce": credentials(challenge, "INVITE", uri, "alice", password, nonce="0" * 32),
        "realm": credentials(challenge, "INVITE", uri, "alice", password, realm="other"),
        "empty": "Proxy-Authorization: Digest",
    }[attack]
    reply = await wire.ask("INVITE", uri, body=SDP, headers=(line,))
    assert reply.status in (400, 403, 407)
    assert reply.status != 407 or attack in ("nonce", "realm", "empty")


async def test_a_digest_serves_once(scene: Scene, wire: Wire) -> None:
    """The same answer to the same challenge in another INVITE starts no second call (RFC 7616 section 5.7)."""
    uri, password = f"sip:+15005550001@{scene.server.domain}", scene.server.password
    challenge = await challenged(wire, "INVITE", uri, body=SDP)
    line = credentials(challenge, "INVITE", uri, "alice", password)
    reply = await wire.ask("INVITE", uri, body=SDP, headers=(line,), cseq=2)
    assert reply.status == 603
    await scene.ended((await scene.program.hit("/voice"))["CallSid"])
    traces = Traces(scene)
    before = await traces.count()
    reply = await wire.ask("INVITE", uri, body=SDP, headers=(line,), cseq=2)
    assert reply.status == 407
    assert "stale=true" in reply.header("Proxy-Authenticate").lower()
    assert await wire.is_alive()
    assert await traces.count() == before


@pytest.mark.usefixtures("no_trace")
async def test_nobody_registers_the_address_of_another(scene: Scene, wire: Wire) -> None:
    uri = f"sip:{scene.server.domain}"
    bob = f"sip:bob@{scene.server.domain}"
    challenge = await challenged(wire, "REGISTER", uri, from_=bob, to=bob)
    line = credentials(challenge, "REGISTER", uri, "alice", scene.server.password)
    reply = await wire.ask("REGISTER", uri, from_=bob, to=bob, headers=(line, "Expires: 600"), cseq=2)
    assert reply.status == 403
    # The From header of a REGISTER is nothing to rely on: To names what is registered.
    challenge = await challenged(wire, "REGISTER", uri, from_=bob, to=bob)
    line = credentials(challenge, "REGISTER", uri, "alice", scene.server.password)
    alice = f"sip:alice@{scene.server.domain}"
    reply = await wire.ask("REGISTER", uri, from_=alice, to=bob, headers=(line, "Expires: 600"), cseq=2)
    assert reply.status == 403


async def test_a_phone_that_registers_without_end_does_not_fill_the_log(scene: Scene) -> None:
    server = scene.server
    uri, alice = f"sip:{server.domain}", f"sip:alice@{server.domain}"
    began_at, before = time.monotonic(), server.output.count("] registration ")
    async with wire_to(server, "UDP") as wire:
        challenge = await challenged(wire, "REGISTER", uri, from_=alice, to=alice)
        for nc in range(1, int(REGISTRATIONS_TOLD_AT_ONCE) + 300):
            line = credentials(challenge, "REGISTER", uri, "alice", server.password, nc=nc)
            reply = await wire.ask("REGISTER", uri, from_=alice, to=alice, headers=(line, "Expires: 600"))
            assert reply.status == 200
    told = server.output.count("] registration ") - before
    passed = time.monotonic() - began_at
    assert 0 < told <= REGISTRATIONS_TOLD_AT_ONCE + REGISTRATIONS_TOLD * passed + 1


async def test_an_escaped_line_end_in_a_user_stays_one(scene: Scene, wire: Wire) -> None:
    uri, to = f"sip:{scene.server.domain}", f"sip:%0d%0aX-Evil:%201%1b%5b2J@{scene.server.domain}"
    challenge = await challenged(wire, "REGISTER", uri, to=to)
    line = credentials(challenge, "REGISTER", uri, "alice", scene.server.password)
    reply = await wire.ask("REGISTER", uri, to=to, headers=(line, "Expires: 600"), cseq=2)
    assert reply.status == 403
    assert not reply.header("X-Evil")
    assert "\x1b" not in reply.text + scene.server.output


@pytest.mark.usefixtures("no_trace")
async def test_a_register_without_or_with_wrong_credentials(scene: Scene, wire: Wire) -> None:
    uri, bob = f"sip:{scene.server.domain}", f"sip:bob@{scene.server.domain}"
    challenge = await challenged(wire, "REGISTER", uri, from_=bob, to=bob)
    line = credentials(challenge, "REGISTER", uri, "bob", "wrong")
    reply = await wire.ask("REGISTER", uri, from_=bob, to=bob, headers=(line, "Expires: 600"), cseq=2)
    assert reply.status == 403
    reply = await wire.ask("REGISTER", "sip:pbx.example.org", from_=bob, to=bob)
    assert reply.status == 404


async def test_a_registration_of_another_is_not_taken_away(scene: Scene, wire: Wire) -> None:
    bob = await scene.registered("bob")
    uri, aor = f"sip:{scene.server.domain}", f"sip:bob@{scene.server.domain}"
    challenge = await challenged(wire, "REGISTER", uri, from_=aor, to=aor)
    line = credentials(challenge, "REGISTER", uri, "alice", scene.server.password)
    text, call_id = wire.request("REGISTER", uri, from_=aor, to=aor, headers=(line, "Expires: 0"), cseq=2)
    start, _, end = text.partition("Contact: ")
    wire.send(f"{start}Contact: *{end[end.index(chr(13)) :]}")
    assert (await wire.reply(call_id)).status == 403
    await scene.do(scene.client.calls.create, to=aor, from_=MAIN_NUMBER, twiml=twiml())
    await over(await bob.pick_up())


@pytest.mark.usefixtures("no_trace")
async def test_another_port_of_loopback_is_not_the_carrier(scene: Scene, wire: Wire) -> None:
    """The sandbox carrier is known by its address and port; whoever else says to be it is a stranger."""
    for number in ("+16505550101", "+16505550100"):
        for host in ("127.0.0.1", "sandbox.sip.ringback.localhost", scene.server.domain):
            reply = await wire.ask(
                "INVITE",
                f"sip:{number}@{host}",
                from_="sip:+15005550009@127.0.0.1",
                body=SDP,
                headers=("P-Asserted-Identity: <sip:+15005550009@127.0.0.1>",),
            )
            assert reply.status in (403, 407)


@pytest.mark.usefixtures("no_trace")
async def test_the_carrier_takes_calls_from_the_exchange_alone(scene: Scene) -> None:
    database = sqlite3.connect(f"file:{scene.server.directory}/data/ringback.db?mode=ro", uri=True)
    target = database.execute("select target from connection_policy_targets").fetchone()[0]
    database.close()
    port = int(target.rpartition(":")[2])
    for transport in ("UDP", "TCP"):
        async with Wire(transport, ("127.0.0.1", port)) as wire:
            for number in ("+15005550001", "+16505550101"):
                reply = await wire.ask("INVITE", f"sip:{number}@127.0.0.1:{port}", body=SDP)
                assert reply.status == 403


@pytest.mark.usefixtures("no_trace")
async def test_requests_within_dialogs_that_are_not(scene: Scene, wire: Wire) -> None:
    """A BYE, CANCEL or INVITE with a To tag, of nobody's call."""
    uri = f"sip:alice@{scene.server.domain}"
    assert (await wire.ask("BYE", uri)).status in (405, 481)
    assert (await wire.ask("CANCEL", uri)).status in (405, 481)
    text, call_id = wire.request("INVITE", uri, body=SDP)
    wire.send(text.replace(f"To: <{uri}>", f"To: <{uri}>;tag=nothing"))
    assert (await wire.reply(call_id)).status in (407, 481)
    for method in ("SUBSCRIBE", "MESSAGE", "PUBLISH", "REFER", "UPDATE", "INFO", "NOTIFY", "PRACK", "WHAT"):
        assert (await wire.ask(method, uri)).status in (405, 481, 489, 501)


async def test_a_stranger_cannot_end_a_call_that_runs(scene: Scene, wire: Wire) -> None:
    alice = await scene.registered("alice")
    await scene.home(voice_url=scene.program.on("/long", twiml('<Gather timeout="30"/>')))
    call = alice.dial("long")
    sid = await answered(call)
    session = call.leg.session
    assert session is not None
    uri = f"sip:127.0.0.1:{scene.server.sip[1]}"
    for method in ("BYE", "CANCEL", "INVITE", "INFO"):
        text, call_id = wire.request(method, uri, call_id=session.call_id, body=SDP, cseq=99)
        wire.send(text)
        assert (await wire.reply(call_id)).status >= 400
    assert (await scene.do(scene.client.calls(sid).fetch)).status == "in-progress"
    call.hang_up()
    await over(call)


async def test_strangers_media_is_not_heard(scene: Scene) -> None:
    """Packets from another address than the one that was announced do not reach the call."""
    alice, bob = await scene.registered("alice"), await scene.registered("bob")
    dial = f"<Dial><Sip>sip:bob@{scene.server.domain}</Sip></Dial>"
    await scene.home(voice_url=scene.program.on("/dial", twiml(dial)))
    call = alice.dial("bob")
    leg = await bob.pick_up()
    await answered(call)
    await call.play(b"\x55" * 160, loops=0)  # the call's own source is locked by its own packets
    await leg.hear(0.5)
    negotiated = call.leg.negotiated
    assert negotiated is not None
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0), remote_addr=negotiated.remote
    )
    before = len(leg.heard)
    for number in range(50):
        header = b"\x80\x00" + number.to_bytes(2, "big") + (number * 160).to_bytes(4, "big") + b"evil"
        transport.sendto(header + b"\x11" * 160)
    await leg.hear(1.0)
    transport.close()
    assert b"\x11" * 80 not in bytes(leg.heard[before:])
    call.hang_up()
    await over(leg)
