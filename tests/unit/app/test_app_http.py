"""What is ours of the HTTP server."""

from __future__ import annotations

import pytest

from ringback.app import http


def test_answers_carry_the_date_of_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 784111777.25
    monkeypatch.setattr(http.time, "time", lambda: now)
    state = http._State()
    assert state.default_headers == [(b"date", b"Sun, 06 Nov 1994 08:49:37 GMT")]
    now += 0.7
    assert state.default_headers == [(b"date", b"Sun, 06 Nov 1994 08:49:37 GMT")]
    now += 0.1
    assert state.default_headers == [(b"date", b"Sun, 06 Nov 1994 08:49:38 GMT")]
