"""The card: everything that a newcomer types in, and no secret where others may read it."""

from __future__ import annotations

import io
import os
from pathlib import Path

from rich.console import Console

from ringback.app.card import print_card
from ringback.app.project import ProjectDirectory, Running

TOKEN, PASSWORD = "f" * 32, "Correct-Horse-7"


def card(folder: Path, *, with_secrets: bool) -> str:
    place = ProjectDirectory(folder)
    place.make()
    place.make_phones(("alice", "bob"), PASSWORD)
    running = Running(
        pid=os.getpid(),
        api="http://127.0.0.1:8080",
        account_sid="AC" + "0" * 32,
        auth_token=TOKEN,
        sip="127.0.0.1:5060",
        domain="home.sip.ringback.localhost",
        phones_sip="192.0.2.7:5060",
        phones_sips="192.0.2.7:5061",
        numbers={"alice": "+16505550101"},
    )
    place.announce(running)
    assert place.served() == running
    out = io.StringIO()
    print_card(Console(file=out, width=200), running, place, with_secrets=with_secrets)
    return out.getvalue()


def test_a_terminal_shows_all_that_is_to_be_typed_in(tmp_path: Path) -> None:
    shown = card(tmp_path, with_secrets=True)
    for wanted in (TOKEN, "192.0.2.7:5060", "TLS 192.0.2.7:5061", "+15005550001", "rings alice"):
        assert wanted in shown
    assert shown.count(PASSWORD) == 2
    assert "ringback card" not in shown


def test_elsewhere_it_says_where_the_secrets_are(tmp_path: Path) -> None:
    shown = card(tmp_path, with_secrets=False)
    assert TOKEN not in shown
    assert PASSWORD not in shown
    assert f"ringback card {tmp_path}" in shown
