"""Child processes that behave badly: modules of the test's own, run as real processes."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ringback.media.child import Child
from ringback.media.clips import ClipRejected, ClipUnavailable

Make = Callable[..., Child]

ECHO = "def answer(header, payload):\n    return {'you': header['say']}, payload[::-1]\n"


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A child that runs `source`, with `serve` and `pipe` at hand."""
    known = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), known])))

    def build(source: str, end: str = "pipe.serve(dict, answer)\n", **options: float) -> Child:
        start = "import os, sys, time\nfrom ringback.media import pipe\nfrom ringback.media.clips import ClipError\n"
        (tmp_path / "naughty_child.py").write_text(start + source + end)
        return Child("naughty_child", start_within=options.pop("start_within", 20.0))

    return build


async def test_requests_are_answered_in_order(make: Make) -> None:
    child = make(ECHO)
    try:
        answers = await asyncio.gather(*(child.ask({"say": n}, bytes([n, 0]), within=30) for n in range(20)))
        assert answers == [({"you": n}, bytes([0, n])) for n in range(20)]
        assert child.starts == 1
    finally:
        await child.close()


async def test_a_payload_of_many_megabytes_goes_both_ways(make: Make) -> None:
    child = make(ECHO)
    data = bytes(range(256)) * 4 * 8192  # 8 MB
    try:
        header, back = await child.ask({"say": "big"}, data, within=30)
        assert (header, back) == ({"you": "big"}, data[::-1])
    finally:
        await child.close()


async def test_what_a_library_prints_does_not_break_the_frames(make: Make) -> None:
    child = make(
        "def answer(header, payload):\n    print('noise', flush=True); os.system('echo more')\n    return {}, b'ok'\n"
    )
    try:
        assert await child.ask({}, within=30) == ({}, b"ok")
    finally:
        await child.close()


async def test_a_child_that_grew_too_large_is_replaced_after_its_answer(make: Make) -> None:
    child = make("pipe.RETIRE_ABOVE = 0\n" + ECHO)
    try:
        for n in range(3):
            assert (await child.ask({"say": n}, within=30))[0]["you"] == n
        assert child.starts == 3
    finally:
        await child.close()


async def test_an_error_of_the_child_keeps_its_code(make: Make) -> None:
    child = make("def answer(header, payload):\n    raise ClipError(header['code'], 'because')\n")
    try:
        for code, kind in ((13420, ClipRejected), (11200, ClipUnavailable)):
            with pytest.raises(kind, match="because") as caught:
                await child.ask({"code": code}, within=30)
            assert caught.value.code == code
        assert child.starts == 1
    finally:
        await child.close()


@pytest.mark.parametrize(
    "answer",
    [
        "os._exit(3)",
        "os.kill(os.getpid(), 11)",
        "os.write(wire, b'HTTP/1.1 200 OK' * 9); time.sleep(60)",
        "os.write(wire, (2).to_bytes(4) + bytes(4) + b'??'); time.sleep(60)",
        "os.write(wire, (2).to_bytes(4) + (9).to_bytes(4) + b'{}half'); os._exit(0)",
        "os.write(wire, (2).to_bytes(4) + bytes(4) + b'[]'); time.sleep(60)",
        "os.write(wire, (2).to_bytes(4) + b'\\xff' * 4 + b'{}'); time.sleep(60)",
        "time.sleep(60)",
    ],
)
async def test_a_child_gone_mad_costs_one_request(make: Make, tmp_path: Path, answer: str) -> None:
    once = tmp_path / "went-mad"
    child = make(
        "wire = os.dup(1)\n"
        "def answer(header, payload):\n"
        f"    if not os.path.exists({str(once)!r}):\n"
        f"        open({str(once)!r}, 'w').close(); {answer}\n"
        "    return {}, b'sane'\n"
    )
    try:
        first, second = await asyncio.gather(
            child.ask({}, within=2.0), child.ask({}, within=20), return_exceptions=True
        )
        assert isinstance(first, ClipUnavailable)
        assert second == ({}, b"sane")
        assert child.starts == 2
    finally:
        await child.close()


async def test_a_child_that_never_says_hello_is_given_up(make: Make) -> None:
    child = make("", end="time.sleep(60)\n", start_within=1.0)
    try:
        with pytest.raises(ClipUnavailable, match="does not start"):
            await child.ask({}, within=30)
        assert child.pid is None
    finally:
        await child.close()


async def test_closing_ends_a_child_at_work_and_those_who_wait(make: Make) -> None:
    child = make("def answer(header, payload):\n    time.sleep(60)\n")
    await child.start()
    pid = child.pid
    asking = [asyncio.ensure_future(child.ask({}, within=30)) for _ in range(3)]
    await asyncio.sleep(0)
    await child.close()
    await asyncio.wait(asking)
    assert all(task.cancelled() for task in asking)
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(ClipUnavailable, match="is closed"):
        await child.ask({}, within=1)


async def test_a_child_ends_when_its_server_is_gone(make: Make) -> None:
    child = make(ECHO)
    await child.start()
    process = child._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()  # what the kernel does for a server that was killed
    assert await asyncio.wait_for(process.wait(), 10) == 0
    await child.close()
