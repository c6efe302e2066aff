"""The verdict of a timeline: what explains the call best."""

from __future__ import annotations

from ringback.call.timeline import Line, verdict


def line(lane: str, text: str, level: str = "info", code: int = 0) -> Line:
    return Line(0.0, "CA1", lane, text, level, code)


def test_what_came_of_a_program_explains_more_than_what_it_printed() -> None:
    failed = line("webhook", "POST /functions/x: 500 Error: boom", "error", 11200)
    assert verdict([line("function", "bad", "error"), failed]) == failed
    assert verdict([line("function", "bad", "error")]) == line("function", "bad", "error")


def test_errors_go_before_warnings_and_warnings_before_a_dial_that_failed() -> None:
    dial, odd, wrong = (
        line("call", "Dial: busy"),
        line("media", "odd", "warning"),
        line("sip", "wrong", "error"),
    )
    assert verdict([dial, odd, wrong]) == wrong
    assert verdict([dial, odd]) == odd
    assert verdict([line("call", "Dial: ringing bob"), dial]) == dial


def test_nothing_wrong_has_no_verdict() -> None:
    assert verdict([line("call", "Dial: ringing bob from alice"), line("call", "connected with bob")]) is None
