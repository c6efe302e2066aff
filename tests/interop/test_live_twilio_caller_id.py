"""A caller ID is verified: the server calls the number, and its owner types the code on the phone."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from live import free_port, live_server, start_server
from live_scene import MAIN_NUMBER, WITHIN, Phone, Scene, over, twiml
from twilio.base.exceptions import TwilioRestException

from ringback.media import tones

WANTED = "+14155550999"


@pytest.fixture(scope="module")
def carrier_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, carrier_port: int):
    """A server whose carrier has another way out, tried first: to a phone of this process."""
    directory = tmp_path_factory.mktemp("caller-id") / "project"
    start_server(directory).stop()
    add_target(directory, carrier_port)
    with live_server(directory) as running:
        yield running


def add_target(directory: Path, port: int) -> None:
    with sqlite3.connect(directory / "data/ringback.db") as database:
        database.row_factory = sqlite3.Row
        row = dict(database.execute("select * from connection_policy_targets").fetchone())
        row |= {"sid": "NE" + "9" * 32, "target": f"sip:127.0.0.1:{port}", "priority": 1}
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)
        database.execute(
            f"insert into connection_policy_targets ({names}) values ({marks})", tuple(row.values())
        )
    database.close()


@pytest.fixture
async def owner(scene: Scene, carrier_port: int) -> Phone:
    return scene.phone("owner", port=carrier_port)


async def start(scene: Scene) -> Any:
    return await scene.do(
        scene.client.validation_requests.create,
        phone_number=WANTED,
        friendly_name="Desk",
        status_callback=scene.program.on("/verified"),
    )


async def test_the_code_that_the_api_showed_verifies_the_number(scene: Scene, owner: Phone) -> None:
    with pytest.raises(TwilioRestException) as refused:
        await scene.do(scene.client.calls.create, to="+15005550004", from_=WANTED, twiml=twiml())
    assert refused.value.code == 21210
    request = await start(scene)
    assert (request.phone_number, len(request.validation_code)) == (WANTED, 6)
    leg = await owner.pick_up()
    assert leg.request is not None
    assert leg.request.uri.user == WANTED
    assert leg.request.from_.uri.user == MAIN_NUMBER
    assert tones.level(await leg.hear(1.0)) > -45
    await leg.send_digits(request.validation_code)
    told = await scene.program.hit("/verified")
    assert (told["VerificationStatus"], told["Called"]) == ("success", WANTED)
    known = await scene.do(scene.client.outgoing_caller_ids.list, phone_number=WANTED)
    assert [(row.sid, row.friendly_name) for row in known] == [(told["OutgoingCallerIdSid"], "Desk")]
    assert told["CallSid"] == request.call_sid
    await over(leg)
    call = await scene.do(scene.client.calls.create, to="+15005550004", from_=WANTED, twiml=twiml())
    assert call._from == WANTED
    await scene.do(scene.client.outgoing_caller_ids(known[0].sid).delete)
    leg = await owner.rung()
    leg.refuse(486)


async def test_a_wrong_code_verifies_nothing(scene: Scene, owner: Phone) -> None:
    request = await start(scene)
    leg = await owner.pick_up()
    await leg.hear(0.5)
    await leg.send_digits(f"{(int(request.validation_code) + 1) % 1_000_000:06d}")
    told = await scene.program.hit("/verified")
    assert told["VerificationStatus"] == "failed"
    assert told.get("OutgoingCallerIdSid") is None
    assert await scene.do(scene.client.outgoing_caller_ids.list, phone_number=WANTED) == []
    await over(leg)


async def test_nobody_but_the_server_itself_can_answer_for_the_phone(scene: Scene, owner: Phone) -> None:
    """The place where the code is checked is no public URL."""
    request = await start(scene)
    leg = await owner.pick_up()
    async with asyncio.timeout(WITHIN):
        status, _ = await scene.post(
            "/ringback/v1/verify-caller-id", CallSid=request.call_sid, Digits=request.validation_code
        )
    assert status == 404
    leg.hang_up()
    await over(leg)
    assert (await scene.program.hit("/verified"))["VerificationStatus"] == "failed"
    assert await scene.do(scene.client.outgoing_caller_ids.list, phone_number=WANTED) == []


async def test_a_call_that_nobody_takes_verifies_nothing(scene: Scene, owner: Phone) -> None:
    request = await start(scene)
    leg = await owner.rung()
    leg.refuse(486)
    told = await scene.program.hit("/verified")
    assert (told["CallSid"], told["VerificationStatus"]) == (request.call_sid, "failed")
    assert await scene.do(scene.client.outgoing_caller_ids.list, phone_number=WANTED) == []


async def test_the_account_cannot_answer_for_the_phone(scene: Scene, owner: Phone) -> None:
    """It knows the code and its call: a redirect could press the keys into an echo."""
    request = await start(scene)
    leg = await owner.pick_up()
    await leg.hear(0.2)
    with pytest.raises(TwilioRestException) as refused:
        await scene.do(scene.client.calls(request.call_sid).update, twiml=twiml("<Hangup/>"))
    assert refused.value.code == 21220
    leg.hang_up()
    assert (await scene.program.hit("/verified"))["VerificationStatus"] == "failed"
    await over(leg)
