"""What peers say reaches terminals and logs as text."""

from __future__ import annotations

import io

import pytest
import structlog
from rich.console import Console

from ringback.app import logs
from ringback.app.ladder import print_ladder
from ringback.app.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße, 電話　+1", "Grüße, 電話　+1"),
        ("\x1b[2J\x1b]0;x\x07", r"\x1b[2J\x1b]0;x\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\r\n12:00:00 [error] forged", r"a\r\n12:00:00 [error] forged"),
        ("moc\u202elapyap", r"moc\u202elapyap"),
        ("half \udc80", r"half \udc80"),
    ],
)
def test_commands_of_a_terminal_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_timeline_commands_no_terminal() -> None:
    line = {
        "at": 0.0,
        "call_sid": "CA1",
        "lane": "sip",
        "text": "NOTIFY 200 \x1b[2J",
        "level": "error",
        "code": 0,
    }
    out = io.StringIO()
    print_ladder(Console(file=out, width=200), {"lines": [line], "verdict": line})
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().count(r"NOTIFY 200 \x1b[2J") == 2


PASSWORD = "open sesame"


def _fail(password: str) -> None:
    raise ValueError("wrong")


def test_a_line_of_the_log_is_one_line_and_a_traceback_shows_no_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = structlog.get_config()
    try:
        logs.set_up("info")
        log = structlog.get_logger("test")
        log.info("refused", why="no\n12:00:00 [error    ] forged \x1b[2J")
        try:
            _fail(PASSWORD)
        except ValueError:
            log.exception("failed")
    finally:
        structlog.configure(**before)
    first, *rest = capsys.readouterr().err.splitlines()
    assert r"no\n12:00:00 [error    ] forged \x1b[2J" in first
    assert any("ValueError: wrong" in line for line in rest)
    assert not any(PASSWORD in line for line in rest)
