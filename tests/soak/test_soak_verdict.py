"""The verdict of a soak: what is good passes, and each fault is found."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from soak.verdict import judge
from soak.vitals import MB, Sample

STEADY = Sample(
    at=0.0,
    memory=int(200 * MB),
    children=0,
    descriptors=40,
    threads=11,
    tasks=12,
    lateness=0.001,
    calls=0,
    transactions=0,
    garbage=0,
)


def faults(growth: float = 0.0, failed: int = 0, missing: str = "", log: str = "", **end: Any) -> list[str]:
    """What is found bad of an hour that grew by so many bytes, with 10,000 operations."""
    samples = [STEADY._replace(at=10.0 * n, memory=int(STEADY.memory + growth * n / 360)) for n in range(361)]
    counted = {"placed": Counter(bin=10_000), "failed": Counter(bin=failed)}
    load: Any = SimpleNamespace(**counted, refused=Counter(), expected=Counter(inbound=10_000))
    return [
        one.what
        for one in judge(STEADY, samples, STEADY._replace(**end), load, missing, log)
        if not one.is_good
    ]


def test_an_hour_in_which_nothing_grows_is_good() -> None:
    assert faults() == []
    assert faults(growth=3 * MB, failed=10, garbage=50_000, descriptors=48, transactions=2) == []


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        ({"growth": 5 * MB}, "memory"),
        ({"descriptors": 49}, "descriptors"),
        ({"threads": 20}, "threads"),
        ({"tasks": 17}, "tasks"),
        ({"transactions": 3}, "transactions"),
        ({"garbage": 50_001}, "garbage"),
        ({"failed": 11}, "operations"),
        ({"missing": "1 absent"}, "records"),
        ({"log": "Traceback (most recent call last)"}, "log"),
        ({"log": "facts_refused"}, "log"),
    ],
)
def test_each_fault_is_found(seen: dict[str, Any], what: str) -> None:
    assert faults(**seen) == [what]
