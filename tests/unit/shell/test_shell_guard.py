"""The guard and the inbox: who is read, in which order, and at what bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.shell import inbox as inboxes
from ringback.shell.guard import Guard, GuardLimits
from ringback.shell.inbox import Inbox, is_of_dialog

PHONE = ("192.0.2.7", 5060)
LIMITS = GuardLimits(rate=10, burst=20, vouched_rate=100, vouched_burst=200)


def admitted(guard: Guard, source: tuple[str, int], count: int, now: float) -> int:
    return sum(bool(guard.admit(source, now)) for _ in range(count))


def test_a_stranger_gets_the_burst_and_then_the_rate() -> None:
    guard = Guard(LIMITS)
    assert admitted(guard, PHONE, 100, 0.0) == 20
    assert admitted(guard, PHONE, 100, 1.0) == 10
    assert admitted(guard, PHONE, 100, 1000.0) == 20
    assert guard.counters.over_rate == 80 + 90 + 80


def test_all_ports_of_an_address_share_one_bucket_and_addresses_do_not() -> None:
    guard = Guard(LIMITS)
    assert sum(guard.admit(("192.0.2.7", port), 0.0) for port in range(1, 1000)) == 20
    assert guard.admit(("192.0.2.8", 5060), 0.0)


def test_an_ipv6_network_is_one_address() -> None:
    guard = Guard(LIMITS)
    assert sum(guard.admit((f"2001:db8::{n:x}", 5060), 0.0) for n in range(1, 1000)) == 20
    assert guard.admit(("2001:db8:0:1::1", 5060), 0.0)


def test_a_vouched_phone_is_not_starved_by_its_neighbours() -> None:
    guard = Guard(LIMITS)
    guard.vouch(PHONE, 0.0)
    assert sum(guard.admit((PHONE[0], port), 0.0) > 0 for port in range(6000, 7000)) == 20
    assert admitted(guard, PHONE, 300, 0.0) == 200
    assert guard.counters.vouched_over_rate == 100


def test_a_voucher_lapses() -> None:
    guard = Guard(LIMITS)
    guard.vouch(PHONE, 0.0)
    assert guard.is_vouched(PHONE, LIMITS.vouched_for - 1)
    assert not guard.is_vouched(PHONE, LIMITS.vouched_for)
    assert admitted(guard, PHONE, 100, LIMITS.vouched_for) == 20


def test_wrong_passwords_make_an_address_quiet_for_longer_and_longer() -> None:
    guard = Guard()
    for _ in range(guard.limits.failures):
        guard.failed(PHONE, 0.0)
    assert guard.admit(PHONE, 0.0)
    quiet = []
    for n in range(8):
        now = 100.0 * n
        guard.failed(PHONE, now)
        assert not guard.admit(("192.0.2.7", 9), now)
        quiet.append(next(s for s in (1, 2, 4, 8, 16, 32, 64) if guard.admit(PHONE, now + s)))
    assert quiet == [1, 2, 4, 8, 16, 32, 32, 32]
    guard.failed(PHONE, 2000.0)
    assert guard.admit(PHONE, 2000.0), "ten minutes without one are forgiven"


def test_a_wrong_password_takes_the_voucher_away() -> None:
    guard = Guard(LIMITS)
    guard.vouch(PHONE, 0.0)
    guard.failed(PHONE, 0.0)
    assert not guard.is_vouched(PHONE, 0.0)


def test_tables_are_bounded() -> None:
    guard = Guard(GuardLimits(sources=100, vouched=50))
    for n in range(1000):
        guard.admit((f"10.0.{n // 250}.{n % 250}", 5060), 0.0)
        guard.vouch(("192.0.2.1", n + 1), 0.0)
    assert len(guard) == 150


def test_streams_are_held_up_and_not_thinned_out() -> None:
    guard = Guard(LIMITS)
    assert guard.charge(PHONE, 20, 0.0) == 0.0
    assert guard.charge(PHONE, 15, 0.0) == 1.5
    assert guard.charge(PHONE, 0, 1.5) == 0.0
    assert guard.charge(PHONE, 1_000_000, 1.5) == 2.0, "a debt is bounded"
    assert guard.admit(PHONE, 1.5), "datagrams of the same address have their own bucket"


def test_streams_of_who_guesses_passwords_are_not_read_while_their_address_is_quiet() -> None:
    guard = Guard()
    for _ in range(guard.limits.failures + 1):
        guard.failed(PHONE, 0.0)
    assert guard.charge(("192.0.2.7", 6000), 1, 0.25) == guard.limits.quiet - 0.25
    assert guard.charge(("192.0.2.8", 6000), 1, 0.25) == 0.0


def test_strangers_may_cost_what_the_paper_says() -> None:
    paper = Path(__file__).parents[3] / "docs" / "robustness.md"
    told = " ".join(paper.read_text().split())
    limits = GuardLimits()
    assert f"{limits.rate:.0f} messages a second, {limits.burst:.0f} at once |" in told
    assert f"{limits.vouched_rate:,.0f} a second, {limits.vouched_burst:,.0f} at once |" in told
    assert f"at most {limits.answer_excess} bytes longer than its request" in told
    assert f"| {limits.failures} in a row are free" in told
    assert f"passes {limits.lag} s" in told and f"below {limits.lag_over} s" in told


def test_answers_to_strangers_are_hardly_longer_than_their_requests() -> None:
    guard = Guard()
    assert guard.may_answer(300, 500)
    assert not guard.may_answer(300, 501)


def test_lateness_that_lasts_is_overload_until_it_is_really_over() -> None:
    guard = Guard()
    for _ in range(100):
        guard.late(0.2)
    assert not guard.is_overloaded
    for _ in range(10):
        guard.late(0.4)
    assert guard.is_overloaded
    guard.late(0.0)
    assert guard.is_overloaded
    for _ in range(10):
        guard.late(0.0)
    assert not guard.is_overloaded


def test_one_long_pause_is_no_overload() -> None:
    guard = Guard()
    guard.late(30.0)
    assert not guard.is_overloaded


def test_lines_about_strangers_are_few_and_say_how_many_are_missing() -> None:
    guard = Guard(GuardLimits(log_rate=1, log_burst=2))
    assert [guard.lines(0.0) for _ in range(5)] == [0, 0, -1, -1, -1]
    assert guard.lines(1.0) == 3


INVITE = b"INVITE sip:x@y SIP/2.0\r\nTo: <sip:x@y>\r\nFrom: <sip:a@y>;tag=1\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "is_inside"),
    [
        (INVITE, False),
        (INVITE.replace(b"x@y>\r\n", b"x@y>;tag=2\r\n", 1), True),
        (b"INVITE sip:x@y SIP/2.0\r\nt:sip:x@y ; tag = 2\r\n\r\n", True),
        (b"SIP/2.0 200 OK\r\n\r\n", True),
        (b"BYE sip:x@y SIP/2.0\r\n\r\n", True),
        (b"REGISTER sip:y SIP/2.0\r\nTo: <sip:x@y>\r\nFrom: <sip:x@y>;tag=1\r\n\r\n", False),
        (b"REGISTER sip:y SIP/2.0\r\nTo: <sip:x@y>;tag=1\r\nFrom: <sip:x@y>;tag=1\r\n\r\n", False),
        (b"OPTIONS sip:y SIP/2.0\r\nX-To: <sip:x@y>;tag=1\r\n\r\n", False),
        (b"", False),
    ],
)
def test_what_belongs_to_a_dialog_is_seen_unread(data: bytes, is_inside: bool) -> None:
    assert is_of_dialog(data) is is_inside


def test_dialogs_go_before_new_calls_and_both_before_strangers() -> None:
    guard = Guard()
    inbox = Inbox(guard)
    guard.vouch(PHONE, 0.0)
    stranger = ("198.51.100.1", 5060)
    for data, source in ((INVITE, stranger), (b"BYE ", stranger), (INVITE, PHONE), (b"BYE ", PHONE)):
        assert inbox.put((data, source, 0.0))
    order = [inbox.take() for _ in range(4)]
    assert order == [
        (b"BYE ", PHONE, 0.0),
        (INVITE, PHONE, 0.0),
        (INVITE, stranger, 0.0),
        (b"BYE ", stranger, 0.0),
    ]
    assert inbox.take() is None


def test_the_inbox_tells_how_long_new_work_of_the_vouched_waits() -> None:
    guard = Guard()
    inbox = Inbox(guard)
    guard.vouch(PHONE, 0.0)
    inbox.put((INVITE, ("198.51.100.1", 5060), 1.0))
    inbox.put((b"BYE ", PHONE, 1.0))
    assert inbox.waited(9.0) == 0.0
    inbox.put((INVITE, PHONE, 2.0))
    inbox.put((INVITE, PHONE, 3.0))
    assert inbox.waited(9.0) == 7.0
    inbox.take()
    inbox.take()
    assert inbox.waited(9.0) == 6.0


def test_what_waits_is_bounded_in_number_and_bytes() -> None:
    guard = Guard()
    inbox = Inbox(guard)
    for n in range(inboxes.MAX_STRANGERS + 100):
        inbox.put((INVITE, (f"10.0.{n // 250}.{n % 250}", 5060), 0.0))
    assert len(inbox) == inboxes.MAX_STRANGERS
    assert guard.counters.backlog == 100
    guard.vouch(PHONE, 0.0)
    large = b"x" * 65_000
    taken = sum(inbox.put((large, PHONE, 0.0)) for _ in range(1000))
    assert taken == inboxes.MAX_BYTES // len(large)
    while inbox.take() is not None:
        pass
    assert inbox.put((large, PHONE, 0.0))
