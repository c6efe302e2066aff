"""A clock that nobody steps."""

from __future__ import annotations

import time

import pytest

from ringback.shell.steady import steady_time


def test_a_stepped_clock_moves_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    before = steady_time()
    assert abs(before - time.time()) < 60
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= steady_time() - before < 60
