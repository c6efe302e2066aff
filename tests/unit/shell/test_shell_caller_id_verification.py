"""Verifications under way."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.shell import caller_id_verification as module
from ringback.shell.caller_id_verification import CallerIdVerification


def test_a_call_whose_end_was_never_told_is_forgotten_some_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 2)
    unused: Any = None
    verification = CallerIdVerification(unused, "http://ringback.localhost/verify", unused)
    for sid in ("CA1", "CA2", "CA3"):
        verification.begun(sid, "AC1", unused)
    assert [sid in verification for sid in ("CA1", "CA2", "CA3")] == [False, True, True]
