"""What ends in the middle of something lets go of all it had, and of nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from ringback.call import effects as fx
from ringback.call.setup import CallSetup, Page, StatusCallback
from ringback.shell.calls import KEPT_TIMER, Calls
from ringback.shell.timelines import Timelines
from ringback.shell.vault import Vault
from ringback.sip.agent import UserAgent
from ringback.sip.flow import Flow
from ringback.sip.message import Request

ACCOUNT = "AC" + "0" * 32
SID = "CA" + "1" * 32


class FakeFacts:
    is_late = False

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.rows: list[tuple[str, dict[str, Any]]] = []

    def put(self, table: str, row: dict[str, Any]) -> bool:
        self.rows.append((table, dict(row)))
        return True

    def change(self, table: str, key: str, row: dict[str, Any]) -> bool:
        return self.put(table, row)

    async def flush(self) -> bool:
        return True

    def when_kept(self, told: Callable[[], None]) -> None:
        self.waiting.append(told)


class FakeSound:
    def __init__(self) -> None:
        self.open_ports = 0
        self.fitted = 0
        self.played: list[str] = []

    def open(self, peer: str = "") -> Any:
        self.open_ports += 1
        return SimpleNamespace(id=1, host="0.0.0.0", port=4000)

    def play(self, call: Any, token: str, source: Any, loops: int) -> None:
        self.played.append(token)

    def attach(self, call: Any) -> None:
        """Nothing comes from these ports."""

    def fit(self, call: Any, branches: list[Any]) -> list[Any]:
        self.fitted += 1
        return branches

    def close(self, call: Any) -> Any:
        self.open_ports -= 1
        return SimpleNamespace(packets_in=0, lost=0, jitter=0.0, mos=None, packets_out=0, discarded=0)


def setup_of() -> CallSetup:
    page = Page("http://program.test/", "POST", "", "POST")
    return CallSetup(
        kind="inbound",
        sid=SID,
        account_sid=ACCOUNT,
        seed="00",
        started_at=1_000.0,
        direction="inbound",
        from_="sip:a@x.test",
        to="sip:b@x.test",
        country="US",
        parameters={},
        page=page,
        status_callback=StatusCallback("", "POST"),
    )


def calls_of(carry_out: Any, **placing: Any) -> tuple[Calls, FakeSound, FakeFacts]:
    sound, facts, stub = FakeSound(), FakeFacts(), SimpleNamespace()
    stub.close_all = stub.leave = stub.disarm = stub.arm = stub.notify_for = lambda *given: None
    stub.auth_token = str
    stub.ask_constant = lambda call, fetch: None
    agent = UserAgent(iter(f"token{number}" for number in range(1_000)).__next__, "test")
    unused: Any = SimpleNamespace(facts=facts, node="n1")
    calls = Calls(
        store=unused,
        agent=agent,
        registrar=unused,
        placing=SimpleNamespace(local=lambda hop: ("192.0.2.1", 5060), **placing),  # type: ignore[arg-type]
        pump=unused,
        library=unused,
        webhooks=stub,  # type: ignore[arg-type]
        vault=Vault(),
        timers=stub,  # type: ignore[arg-type]
        carry_out=carry_out,
        max_calls=1,
    )
    calls.sound, calls.conferences, calls.streams = sound, stub, stub  # type: ignore[assignment]
    return calls, sound, facts


def invite() -> Request:
    return Request(
        "INVITE",
        "sip:b@192.0.2.1",
        [
            ("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"),
            ("From", "<sip:a@x.test>;tag=1"),
            ("To", "<sip:b@x.test>"),
            ("Call-ID", "1"),
            ("CSeq", "1 INVITE"),
            ("Contact", "<sip:a@192.0.2.9>"),
        ],
    )


def test_a_call_that_fails_before_its_script_starts_keeps_no_port_and_no_place() -> None:
    def fail(effects: Any) -> None:
        raise ZeroDivisionError

    calls, sound, facts = calls_of(fail)
    flow = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.9", 5060), 0)
    calls.receive(setup_of(), invite(), flow)
    assert (len(calls), sound.open_ports) == (0, 0)
    assert calls.row(SID)["status"] == "failed"  # type: ignore[index]
    assert [row["body"] for table, row in facts.rows if table == "journals"]


async def test_a_way_that_is_found_after_the_call_has_ended_opens_nothing() -> None:
    found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def find(call: Any, place: Any) -> Any:
        return await found

    calls, sound, _ = calls_of(lambda effects: None, found=find)
    call = calls._open(setup_of())
    placing = asyncio.create_task(calls.ways._find_and_place(call, SimpleNamespace()))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    calls._finish(call)
    found.set_result(([], []))
    await placing
    assert (sound.open_ports, sound.fitted) == (0, 0)


async def test_a_call_does_not_wait_for_what_has_failed() -> None:
    calls, sound, _ = calls_of(lambda effects: None)

    async def fail(call: Any, fetch: Any) -> Any:
        raise ZeroDivisionError

    calls.webhooks.ask = fail  # type: ignore[method-assign]
    call = calls._open(setup_of())
    calls._start(call)
    await asyncio.wait_for(call.until_over(), 5)
    assert (len(calls), sound.open_ports) == (0, 0)
    assert calls.row(SID)["status"] == "failed"  # type: ignore[index]


PLAY = fx.Play("play-1", ["url", "http://program.test/x.wav"], 1)


@pytest.mark.parametrize("caller_waits", [True, False])
def test_what_comes_after_an_answer_waits_for_it_and_is_left_out_when_the_call_is_over(
    caller_waits: bool,
) -> None:
    calls, sound, facts = calls_of(lambda effects: None)
    call = calls._open(setup_of())
    calls._steps[fx.Answer](call, fx.Answer())
    calls._steps[fx.Play](call, PLAY)
    assert sound.played == []
    if not caller_waits:
        calls._finish(call)
    (told,) = facts.waiting
    told()
    assert sound.played == (["play-1"] if caller_waits else [])


def test_an_answer_waits_for_a_late_disk_once() -> None:
    calls, sound, facts = calls_of(lambda effects: None)
    call = calls._open(setup_of())
    calls._steps[fx.Answer](call, fx.Answer())
    calls._steps[fx.Play](call, PLAY)
    calls.fire(SID, KEPT_TIMER)
    assert (sound.played, facts.is_late) == (["play-1"], True)
    calls._steps[fx.Answer](call, fx.Answer())
    calls._steps[fx.Play](call, PLAY)
    assert (sound.played, len(facts.waiting)) == (["play-1", "play-1"], 1)


def test_the_record_of_a_call_that_crashed_has_its_end_and_duration_by_the_clock_that_nobody_steps() -> None:
    calls, _, _ = calls_of(lambda effects: None)
    call = calls._open(setup_of())
    call.started -= 90.0
    call.actor.call.answered_at = 30.0
    calls.crash(call, ZeroDivisionError())
    row = calls.row(SID)
    assert row is not None
    assert (row["status"], row["duration"]) == ("completed", "60")
    assert row["end_time"].timestamp() == 1_090


def test_a_leg_that_has_no_room_is_told_in_the_timeline_of_who_dialed_it() -> None:
    calls, _, facts = calls_of(lambda effects: None)
    parent = calls._open(setup_of())
    calls._spawn(replace(setup_of(), sid="CA" + "2" * 32, parent_sid=SID))
    assert "no room to dial sip:b@x.test: 1 legs are up" in parent.actor.journal.encode().decode()
    assert [row["error_code"] for table, row in facts.rows if table == "notifications"] == ["12400"]


@pytest.mark.parametrize("row", [None, {"body": None}])
async def test_a_call_that_was_cut_off_by_a_kill_has_no_journal(row: Any) -> None:
    async def fetch(*given: Any) -> Any:
        return row

    store: Any = SimpleNamespace(facts=FakeFacts(), fetch=fetch, node="n1")
    calls: Any = SimpleNamespace(get=lambda sid: None)
    assert await Timelines(store, calls).journal(ACCOUNT, SID) is None
