"""Mixers against a plain sum: each member hears all who speak to it but itself, sample by sample, on both twins."""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pump_scene import WAIT, Phone, Setup, is_pure, setup

from ringback.media import Port
from ringback.media.g711 import decode_ulaw, encode_ulaw

__all__ = ["is_pure", "setup"]

MEMBERS = 7
PACKETS = 8
"""Of each member, all alike: in some tick all of them are played together, whenever they came."""


class Part(NamedTuple):
    """How a member takes part; ``heard_by`` is another's index, the count of members for somebody who is not there."""

    muted: bool
    deaf: bool
    heard_by: int | None
    voice: bytes


def plain(parts: Sequence[Part], listener: int) -> bytes:
    """What is to be heard, by the words of the interface alone."""
    if parts[listener].deaf:
        return b"\xff" * 160
    heard = [
        decode_ulaw(part.voice)
        for index, part in enumerate(parts)
        if index != listener and not part.muted and part.heard_by in (None, listener)
    ]
    sums = [sum(samples) for samples in zip(*heard, strict=True)] or [0] * 160
    return encode_ulaw([max(-32768, min(32767, sample)) for sample in sums])


PARTS = st.lists(
    st.builds(
        Part,
        muted=st.booleans(),
        deaf=st.booleans(),
        heard_by=st.none() | st.integers(0, MEMBERS),
        voice=st.binary(min_size=160, max_size=160) | st.just(b"\xff" * 160),
    ),
    min_size=MEMBERS,
    max_size=MEMBERS,
)
LOUD = [Part(False, False, None, b"\x80" * 160)] * MEMBERS
COACHES = [
    Part(False, False, None if index == 0 else 0, bytes([0x90 + index]) * 160) for index in range(MEMBERS)
]


def test_each_member_hears_the_sum_of_the_right_others(setup: Setup) -> None:
    legs = [setup.leg() for _ in range(MEMBERS)]
    mixer = setup.pump.open_mixer()

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(PARTS)
    def judge(parts: list[Part]) -> None:
        converse(setup, mixer, legs, parts)

    converse(setup, mixer, legs, LOUD)
    converse(setup, mixer, legs, COACHES)
    judge()


def converse(setup: Setup, mixer: int, legs: list[tuple[Port, Phone]], parts: list[Part]) -> None:
    """Everybody speaks at once, until everybody heard what it should."""
    for (port, phone), part in zip(legs, parts, strict=True):
        listener = (
            0 if part.heard_by is None else -1 if part.heard_by == MEMBERS else legs[part.heard_by][0].id
        )
        setup.pump.mix(mixer, port.id, muted=part.muted, deaf=part.deaf, heard_by=listener)
        phone.ssrc += 1  # a new source: what was said before is over
    missing, until = set(range(MEMBERS)), time.monotonic() + WAIT
    while missing:  # again, where so slow a machine sent them that they did not meet
        assert time.monotonic() < until, (missing, parts)
        for _, phone in legs:
            drain(phone)
        for (port, phone), part in zip(legs, parts, strict=True):
            for _ in range(PACKETS):
                phone.say(port, part.voice)
        for index in sorted(missing):
            expected = plain(parts, index)
            if any(legs[index][1].hear().payload == expected for _ in range(PACKETS + 6)):
                missing.discard(index)


def drain(phone: Phone) -> None:
    """Pass over what was said before."""
    while select.select([phone.rtp], [], [], 0)[0]:
        phone.rtp.recv(2048)
