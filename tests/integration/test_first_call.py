"""A newcomer's first minute: start, demo, call from outside, trace, replay, stop."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from live import LiveServer, live_server, start_server

from ringback.app.project import ProjectDirectory


def ringback(*words: str, within: float = 60) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "ringback.app.cli", *words]
    env = {"COLUMNS": "160", "PATH": "", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    return subprocess.run(line, capture_output=True, text=True, timeout=within, env=env)


def test_the_demo_verifies_sound_both_ways_and_prints_the_ladder(server: LiveServer) -> None:
    done = ringback("demo", str(server.directory))
    assert done.returncode == 0, done.stdout + done.stderr
    for lane in ("sip", "webhook", "twiml", "media", "MOS", "verdict", "Sound was verified both ways"):
        assert lane in done.stdout


def test_a_traced_call_replays_to_the_same_effects(server: LiveServer, tmp_path: Path) -> None:
    done = ringback("demo", str(server.directory))
    sid = re.search(r"CA[0-9a-f]{32}", done.stdout)
    assert sid is not None, done.stdout
    traced = ringback("trace", sid[0], "--project", str(server.directory))
    assert "INVITE" in traced.stdout and "outbound" in traced.stdout
    journal = ringback("trace", sid[0], "--journal", "--project", str(server.directory))
    file = tmp_path / "call.jsonl"
    file.write_text(journal.stdout)
    replayed = ringback("replay", str(file))
    assert replayed.returncode == 0, replayed.stdout
    assert "the same" in replayed.stdout
    file.write_text(journal.stdout.replace("+15005550001", "+15005550004", 1))
    assert ringback("replay", str(file)).returncode == 1
    file.write_text(journal.stdout[:-200])
    cut = ringback("replay", str(file))
    assert (cut.returncode, cut.stdout.split(":")[0]) == (1, "cut off")


def test_a_call_to_a_phone_that_is_off_is_no_success(server: LiveServer) -> None:
    done = ringback("call", "+16505550101", "--from-sandbox", "--project", str(server.directory))
    assert done.returncode == 1, done.stdout
    assert "nobody is registered as alice" in done.stdout.splitlines()[-1]


def test_sigterm_ends_with_status_0_and_a_second_start_keeps_everything(tmp_path: Path) -> None:
    first = start_server(tmp_path / "project")
    kept = (tmp_path / "project/data/phones.json").read_text()
    assert first.stop() == 0
    second = start_server(tmp_path / "project")
    assert second.stop() == 0
    assert (tmp_path / "project/data/phones.json").read_text() == kept
    assert not (tmp_path / "project/data/server.json").exists()


def test_closing_the_terminal_ends_the_server_in_order(tmp_path: Path) -> None:
    server = start_server(tmp_path / "project")
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(30) == 0
    server.reader.join(10)
    assert not (tmp_path / "project/data/server.json").exists()


def test_the_card_shows_secrets_at_the_first_start_and_where_they_are_asked_for(tmp_path: Path) -> None:
    with live_server(tmp_path / "project") as first:
        secrets = (first.auth_token, first.password)
        for secret in secrets:
            assert secret in first.output
    with live_server(tmp_path / "project") as server:
        for secret in secrets:
            assert secret not in server.output
        assert f"ringback card {server.directory}" in server.output
        done = ringback("card", str(server.directory))
        assert done.returncode == 0, done.stderr
        for wanted in (*secrets, server.api, "rings alice"):
            assert wanted in done.stdout


def test_what_init_made_is_on_the_first_card_wherever_it_goes(tmp_path: Path) -> None:
    assert ringback("init", str(tmp_path)).returncode == 0
    passwords = ProjectDirectory(tmp_path).phones().values()
    with live_server(tmp_path) as first:
        assert all(password in first.output for password in passwords)
    with live_server(tmp_path) as second:
        assert not any(password in second.output for password in passwords)


def test_the_starter_is_not_put_among_other_files_unless_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear")
    done = ringback("serve", str(tmp_path))
    assert done.returncode == 2
    assert f"ringback init {tmp_path}" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    made = ringback("init", str(tmp_path))
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.count("\n") == 1
    assert (tmp_path / "functions/outbound.js").is_file()
    assert (tmp_path / "letter.txt").read_text() == "Dear"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"sip": "nowhere"}, "IP:PORT is wanted"),
        ({"rtp": "5-4"}, "LOW-HIGH is wanted"),
        ({"rtp": "48000-48010"}, "too few ports"),
        ({"log_level": "loud"}, "is no level"),
        ({"database": "sqlite:////nowhere/at/all.db"}, "no folder /nowhere/at"),
        ({"public_address": "example"}, "no IP address"),
    ],
)
def test_a_bad_setting_is_one_line_and_status_2(tmp_path: Path, settings: dict[str, str], says: str) -> None:
    options = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", value)]
    done = ringback("serve", str(tmp_path / "p"), *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--sip", "--sips", "--http"])
def test_a_busy_port_is_one_line_and_status_2(server: LiveServer, tmp_path: Path, option: str) -> None:
    taken = {
        "--sip": f"127.0.0.1:{server.sip[1]}",
        "--sips": f"127.0.0.1:{server.sips[1]}",
        "--http": server.api.removeprefix("http://"),
    }[option]
    addresses = dict.fromkeys(("--sip", "--sips", "--http"), "127.0.0.1:0") | {option: taken}
    done = ringback("serve", str(tmp_path / "p"), *(word for pair in addresses.items() for word in pair))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"cannot listen at {taken}: Address already in use." in line
    assert line.endswith(f"give another one with {option}")


def test_a_misspelt_variable_is_told_and_the_server_runs(tmp_path: Path) -> None:
    server = start_server(tmp_path / "project", env={"RINGBACK_MAXCALLS": "3"})
    assert server.stop() == 0
    assert (
        "RINGBACK_MAXCALLS is no setting and counts for nothing: is RINGBACK_MAX_CALLS meant?"
        in server.output
    )


def test_a_bin_answers_by_its_name_and_by_its_sid(server: LiveServer) -> None:
    listed = ringback("bins", str(server.directory))
    assert listed.returncode == 0, listed.stderr
    row = next(line.split() for line in listed.stdout.splitlines() if line.split()[:1] == ["alice"])
    with urlopen(server.api + row[1]) as by_name, urlopen(server.api + row[2]) as by_sid:
        document = by_name.read()
        assert by_sid.read() == document
    assert b"<Sip>" in document and b"alice@" in document
