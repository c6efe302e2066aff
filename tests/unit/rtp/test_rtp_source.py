"""Learning and locking the peer's address."""

from __future__ import annotations

import pytest

from ringback.rtp.limits import MAX_CANDIDATES
from ringback.rtp.source import SourceLock, Verdict, nat_is_evident

ANNOUNCED = ("192.168.1.7", 4000)
PUBLIC = ("198.41.0.4", 4000)
SIGNALLING = "198.51.100.1"
NAT = ("198.51.100.7", 61000)
THIEF = ("203.0.113.66", 5555)


def lock(signalling_host: str | None = SIGNALLING) -> SourceLock:
    made = SourceLock()
    made.configure(ANNOUNCED, signalling_host, {0, 101})
    return made


def five(subject: SourceLock, source: tuple[str, int], ssrc: int = 9, start: int = 65534) -> list[Verdict]:
    return [subject.offer(source, 0, ssrc, (start + n) & 0xFFFF) for n in range(5)]


def test_before_any_offer_nobody_is_believed() -> None:
    subject = SourceLock()
    assert five(subject, ANNOUNCED) == [Verdict.STRANGER] * 5
    assert subject.target is None


def test_the_announced_address_locks_at_once() -> None:
    subject = lock()
    assert subject.offer(ANNOUNCED, 0, 1, 1) is Verdict.LOCKED
    assert subject.offer(ANNOUNCED, 0, 1, 2) is Verdict.ACCEPT
    assert five(subject, THIEF) == [Verdict.STRANGER] * 5
    assert subject.source == ANNOUNCED


@pytest.mark.parametrize(
    ("announced", "signalling", "evident"),
    [
        ("192.168.1.7", "198.51.100.7", True),
        ("10.0.0.1", "10.0.0.2", True),  # of two private networks one may be behind the other
        ("100.64.3.4", "198.51.100.7", True),  # RFC 6598
        ("fd00::7", "2001:500:2::c", True),
        ("192.168.1.7", "192.168.1.7", False),
        ("192.168.1.7", None, False),
        ("198.41.0.4", "198.51.100.7", False),  # a carrier's media server
        ("2001:500:2::c", "2001:500:2::d", False),
    ],
)
def test_nat_is_evident_where_a_private_address_is_announced_from_elsewhere(
    announced: str, signalling: str | None, evident: bool
) -> None:
    assert nat_is_evident(announced, signalling) is evident


def test_where_no_nat_is_evident_other_hosts_never_lock() -> None:
    subject = SourceLock()
    subject.configure(PUBLIC, SIGNALLING, {0})
    assert five(subject, NAT) == five(subject, NAT, start=4) == [Verdict.STRANGER] * 5
    assert subject.offer(PUBLIC, 0, 1, 1) is Verdict.LOCKED


def test_another_port_of_the_announced_host_needs_five_packets() -> None:
    subject = lock(None)
    assert five(subject, (ANNOUNCED[0], 9)) == [Verdict.STRANGER] * 4 + [Verdict.LOCKED]


def test_another_port_of_the_one_host_of_both_needs_five_packets() -> None:
    subject = lock(ANNOUNCED[0])
    assert five(subject, (ANNOUNCED[0], 9)) == [Verdict.STRANGER] * 4 + [Verdict.LOCKED]
    assert subject.offer(ANNOUNCED, 0, 1, 1) is Verdict.LOCKED


def test_the_signalling_host_locks_at_once_with_any_port() -> None:
    assert lock(NAT[0]).offer(NAT, 0, 1, 1) is Verdict.LOCKED


def test_another_source_needs_five_packets_in_order() -> None:
    subject = lock()
    assert five(subject, NAT) == [Verdict.STRANGER] * 4 + [Verdict.LOCKED]
    assert subject.target == NAT


def test_other_payload_types_never_lock() -> None:
    subject = lock()
    assert {subject.offer(ANNOUNCED, 8, 1, n) for n in range(9)} == {Verdict.STRANGER}
    assert {subject.offer(NAT, 8, 1, n) for n in range(9)} == {Verdict.STRANGER}


def test_a_gap_a_repeat_or_another_ssrc_begins_the_count_anew() -> None:
    for spoiler in ((9, 5), (9, 2), (8, 3)):
        subject = lock()
        for n in range(3):
            subject.offer(NAT, 0, 9, n)
        subject.offer(NAT, 0, *spoiler)
        assert subject.offer(NAT, 0, 9, 4) is Verdict.STRANGER
        assert subject.source is None


def test_another_payload_type_begins_the_count_anew() -> None:
    subject = lock()
    for n in range(4):
        subject.offer(NAT, 0, 9, n)
    subject.offer(NAT, 8, 9, 4)
    assert subject.offer(NAT, 0, 9, 4) is Verdict.STRANGER


def test_single_packets_of_many_do_not_push_out_who_sent_two() -> None:
    subject = lock()
    for n in range(2):
        subject.offer(NAT, 0, 9, n)
    for n in range(1000):
        subject.offer(("203.0.113.1", 1000 + n), 0, 9, 9)
    assert [subject.offer(NAT, 0, 9, n) for n in (2, 3, 4)][-1] is Verdict.LOCKED


def test_two_guessed_sources_do_not_disturb_each_other() -> None:
    subject = lock()
    verdicts = [subject.offer(source, 0, 9, n) for n in range(5) for source in (NAT, THIEF)]
    assert verdicts[-2:] == [Verdict.LOCKED, Verdict.STRANGER]


def test_many_strangers_do_not_push_the_true_source_out() -> None:
    subject = lock()
    for n in range(5):
        for stranger in range(MAX_CANDIDATES - 1):
            subject.offer(("203.0.113.1", 1000 + stranger), 0, n, 9)
        verdict = subject.offer(NAT, 0, 9, n)
    assert verdict is Verdict.LOCKED


def test_the_candidates_are_bounded() -> None:
    subject = lock()
    for n in range(1000):
        subject.offer(("203.0.113.1", 1000 + n), 0, 9, 9)
    assert five(subject, NAT)[-1] is Verdict.LOCKED


def test_a_guess_gives_way_to_a_voucher_and_not_back() -> None:
    subject = lock(NAT[0])
    five(subject, THIEF)
    assert subject.source == THIEF
    assert subject.offer(NAT, 0, 1, 1) is Verdict.LOCKED
    assert subject.offer(THIEF, 0, 9, 3) is Verdict.STRANGER
    assert subject.offer(ANNOUNCED, 0, 1, 1) is Verdict.STRANGER


def test_a_new_offer_of_another_address_forgets_the_source() -> None:
    subject = lock(NAT[0])
    subject.offer(NAT, 0, 1, 1)
    moved = ("192.0.2.50", 4002)
    subject.configure(moved, None, {0})
    assert (subject.source, subject.target) == (None, moved)
    assert subject.offer(NAT, 0, 1, 2) is Verdict.STRANGER
    assert subject.offer(moved, 0, 1, 1) is Verdict.LOCKED


def test_an_offer_of_the_same_address_keeps_the_target_and_lets_it_lock_again() -> None:
    subject = lock(NAT[0])
    subject.offer(NAT, 0, 1, 1)
    subject.configure(ANNOUNCED, None, {0})
    subject.configure(ANNOUNCED, None, {0})
    assert (subject.source, subject.target) == (None, NAT)
    assert subject.offer(NAT, 0, 1, 2) is Verdict.LOCKED


def test_a_guess_must_prove_itself_again_after_an_offer() -> None:
    subject = lock()
    five(subject, THIEF)
    subject.configure(ANNOUNCED, SIGNALLING, {0})
    assert subject.target == THIEF
    assert subject.offer(THIEF, 0, 9, 3) is Verdict.STRANGER
    assert subject.offer(ANNOUNCED, 0, 1, 1) is Verdict.LOCKED


def test_a_lock_is_final_until_a_new_offer() -> None:
    subject = lock(NAT[0])
    subject.offer(NAT, 0, 1, 1)
    for source in (ANNOUNCED, (NAT[0], 61001), (ANNOUNCED[0], 9), THIEF):
        assert five(subject, source) == [Verdict.STRANGER] * 5
    subject.configure(ANNOUNCED, NAT[0], {0})
    assert subject.offer((NAT[0], 61001), 0, 1, 3) is Verdict.LOCKED
