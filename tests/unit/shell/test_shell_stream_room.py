"""Who gets a stream when there are too many."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.shell.guard import Guard, GuardLimits
from ringback.shell.stream_room import LEAST_CUT, StreamRoom, source_of
from ringback.shell.transport_limits import TransportLimits


class Clock:
    time = 0.0

    def now(self) -> float:
        return self.time


class Stream:
    counted = True
    held = 0

    def __init__(self, number: int, host: str = "192.0.2.1") -> None:
        self.number = number
        self.source = (host, 30_000 + number)

    def abort(self) -> None:
        raise AssertionError("the room cuts nobody by itself")

    def __repr__(self) -> str:
        return str(self.number)


GUARD = GuardLimits(burst=1_000_000)


def room_of(guard: Guard | None = None, **limits: int) -> tuple[StreamRoom, Guard]:
    guard = Guard(GUARD) if guard is None else guard
    return StreamRoom(TransportLimits(**limits), guard, Clock()), guard


def enter(room: StreamRoom, *streams: Stream) -> list[Any]:
    cut: list[Any] = []
    for stream in streams:
        gone = room.enter(stream)
        cut += ["refused"] if gone is None else gone
    return cut


def test_a_source_that_has_all_its_streams_loses_the_silent_one_that_waited_longest() -> None:
    room, _ = room_of(streams_per_source=3)
    own = [Stream(n) for n in range(5)]
    others = [Stream(n, "192.0.2.2") for n in range(10, 13)]
    assert enter(room, *others, *own[:3]) == []
    room.hear(own[0])
    assert enter(room, own[3]) == [own[1]]
    assert enter(room, own[4]) == [own[2]]
    assert len(room) == 6


def test_of_strangers_that_were_heard_the_one_unheard_for_longest_goes() -> None:
    room, _ = room_of(streams_per_source=3)
    one, two, three = own = [Stream(n) for n in range(3)]
    enter(room, *own)
    for stream in (one, two, three, one):
        room.hear(stream)
    assert enter(room, Stream(4)) == [two]


def test_proven_streams_are_never_cut_and_leave_no_room() -> None:
    room, guard = room_of(streams_per_source=3)
    own = [Stream(n) for n in range(3)]
    enter(room, *own)
    for stream in own:
        guard.vouch(stream.source, 0.0)
    assert enter(room, Stream(4)) == ["refused"]
    room.leave(own[1])
    stranger, another = Stream(5), Stream(6)
    assert enter(room, stranger) == []
    assert enter(room, another) == [stranger]


def test_strangers_of_all_addresses_together_have_a_bound_and_proven_streams_are_outside_it() -> None:
    room, guard = room_of(streams=100, strangers=10)
    known = [Stream(n, f"198.51.100.{n}") for n in range(10)]
    assert enter(room, *known) == []
    for stream in known:
        guard.vouch(stream.source, 0.0)
    strangers = [Stream(100 + n, f"203.0.113.{n}") for n in range(500)]
    assert enter(room, *strangers) == strangers[:490]
    assert len(room) == 20
    assert all(room.is_proven(stream) for stream in known)
    assert not any(room.is_proven(stream) for stream in strangers[490:])


def test_who_has_just_come_has_time_to_speak_however_many_strangers_spoke_before() -> None:
    room, _ = room_of(strangers=10)
    spoke = [Stream(n, f"198.51.100.{n}") for n in range(10)]
    enter(room, *spoke)
    for stream in spoke:
        room.hear(stream)
    silent = [Stream(100 + n, f"203.0.113.{n}") for n in range(7)]
    assert enter(room, *silent[:6]) == [*spoke[:5], silent[0]]
    for stream in silent[1:6]:
        room.hear(stream)
    assert enter(room, silent[6]) == [spoke[5]]


def test_who_is_worked_for_gives_way_to_nobody_until_it_is_released() -> None:
    room, _ = room_of(streams_per_source=3)
    own = [Stream(n) for n in range(6)]
    enter(room, *own[:3])
    for stream in own[:3]:
        room.keep(stream)
    assert enter(room, own[3]) == ["refused"]
    assert room.release(own[1]) == []
    assert enter(room, own[4]) == [own[1]]
    room.leave(own[0])
    assert enter(room, own[5]) == []
    assert len(room) == 3


@pytest.mark.parametrize("sources", [2, 3, 5, 30])
@pytest.mark.parametrize("at_once", [True, False], ids=["asks when it comes", "asks later"])
def test_few_addresses_that_are_worked_for_leave_places_to_the_next(sources: int, at_once: bool) -> None:
    room, _ = room_of(streams=120)
    crowd = [Stream(n, f"203.0.113.{n % sources}") for n in range(300)]
    inside: dict[int, Stream] = {}
    for stream in crowd:
        if (gone := room.enter(stream)) is not None:
            inside[stream.number] = stream
            for one in gone:
                del inside[one.number]
            if at_once:
                room.keep(stream)
    for stream in inside.values():
        room.keep(stream)
    if at_once:
        assert {own.kept for own in room._by_source.values()} <= {
            90 // (sources + 1),
            90 // (sources + 1) + 1,
        }
    for n in range(3):
        newcomer = Stream(1_000 + n, f"198.51.100.{n}")
        assert "refused" not in enter(room, newcomer)
        before = room._all.kept
        room.keep(newcomer)
        assert room._all.kept == min(before + 1, 90), "nobody's request is dropped for another's"


def test_a_newcomer_has_a_place_however_many_addresses_are_worked_for() -> None:
    room, _ = room_of(streams=120)
    crowd = [Stream(n, f"203.0.113.{n}") for n in range(250)]
    inside: dict[int, Stream] = {}
    for stream in crowd:
        gone = room.enter(stream)
        assert gone is not None
        inside[stream.number] = stream
        for one in gone:
            del inside[one.number]
        room.keep(stream)
    assert room._all.kept == 90
    newcomer = Stream(1_000, "198.51.100.1")
    assert "refused" not in enter(room, newcomer)
    room.keep(newcomer)
    later = [Stream(2_000 + n, f"192.0.2.{n}") for n in range(29)]
    gone = enter(room, *later)
    assert "refused" not in gone
    assert newcomer not in gone, "it has the time in which the others of the last quarter are followed"


def test_who_is_released_makes_others_give_way_as_one_does_who_comes() -> None:
    room, _ = room_of(strangers=2)
    known = [Stream(n, f"198.51.100.{n}") for n in range(4)]
    for stream in known:
        enter(room, stream)
        room.keep(stream)
    assert [room.release(stream) for stream in known] == [[], [], [known[0]], [known[1]]]


def test_when_all_places_are_taken_only_strangers_go() -> None:
    room, guard = room_of(streams=4, strangers=4)
    known = [Stream(n, f"198.51.100.{n}") for n in range(4)]
    for stream in known:
        guard.vouch(stream.source, 0.0)
    stranger = Stream(50, "203.0.113.1")
    assert enter(room, *known[:3], stranger) == []
    assert enter(room, known[3]) == [stranger]
    assert enter(room, Stream(51, "203.0.113.2")) == ["refused"]
    for stream in known:
        room.leave(stream)
    assert len(room) == 0 and not room._by_source and not room._all.silent and not room._all.heard


def test_an_address_may_not_open_connections_without_end() -> None:
    room, _ = room_of(Guard(GuardLimits(rate=10, burst=20)), streams_per_source=5)
    assert enter(room, *(Stream(n) for n in range(100))).count("refused") == 80
    assert enter(room, Stream(200, "192.0.2.2")) == []


def test_what_strangers_make_us_hold_has_a_bound_and_the_small_ones_stay() -> None:
    room, guard = room_of(strangers_held=100_000)
    big, more, small, known = [Stream(n) for n in range(4)]
    enter(room, big, more, small, known)
    guard.vouch(known.source, 0.0)
    assert room.weigh(big, 60_000)
    assert room.weigh(known, 10_000_000)
    assert not room.weigh(more, 60_000)
    assert room.weigh(small, LEAST_CUT - 1)
    room.leave(more)
    assert room.weigh(big, 90_000)
    room.leave(big)
    room.leave(small)
    assert room._held == 0


def test_without_a_guard_all_are_trusted() -> None:
    room = StreamRoom(TransportLimits(streams=2), None, Clock())
    assert enter(room, Stream(1), Stream(2), Stream(3)) == ["refused"]
    assert room.is_proven(Stream(1)) and room.weigh(Stream(1), 10**9)


@pytest.mark.parametrize(
    "one,other,same",
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_what_counts_as_one_source(one: str, other: str, same: bool) -> None:
    assert (source_of(one) == source_of(other)) == same
