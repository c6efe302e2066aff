"""The file that lines of running calls are appended to, as the next run finds it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ringback.store import journal_log
from ringback.store.journal_log import JournalLog, chunk

ONE, TWO = "CA" + "1" * 32, "CA" + "2" * 32
HEAD = b'{"lines":1}\n'


def left(folder: Path) -> dict[str, bytes]:
    return JournalLog(folder).left()


def test_what_was_appended_is_found_by_call(tmp_path: Path) -> None:
    log = JournalLog(tmp_path / "running")
    log.append(chunk(ONE, HEAD + b"[1]\n") + chunk(TWO, HEAD))
    log.append(chunk(ONE, b"[2]\n"))
    log.close(keep=True)
    assert left(tmp_path / "running") == {ONE: HEAD + b"[1]\n[2]\n", TWO: HEAD}
    (file,) = (tmp_path / "running").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_log_that_is_begun_anew_leaves_one_file_with_no_more_than_that(tmp_path: Path) -> None:
    log = JournalLog(tmp_path)
    log.append(chunk(ONE, HEAD) + chunk(TWO, HEAD))
    log.begin_anew(chunk(TWO, HEAD + b"[2]\n"))
    log.append(chunk(TWO, b"[3]\n"))
    assert log.size == len(chunk(TWO, HEAD + b"[2]\n") + chunk(TWO, b"[3]\n"))
    log.close(keep=True)
    assert [file.name for file in tmp_path.iterdir()] == ["2.log"]
    assert left(tmp_path) == {TWO: HEAD + b"[2]\n[3]\n"}


def test_a_log_that_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    log = JournalLog(tmp_path)
    log.append(chunk(ONE, HEAD))
    log.close(keep=False)
    assert list(tmp_path.iterdir()) == []


def test_files_of_runs_before_stay_until_they_are_forgotten(tmp_path: Path) -> None:
    first = JournalLog(tmp_path)
    first.append(chunk(ONE, HEAD))
    first.close(keep=True)
    second = JournalLog(tmp_path)
    second.append(chunk(TWO, HEAD))
    second.close(keep=True)
    third = JournalLog(tmp_path)
    third.append(chunk(TWO, HEAD + b"[9]\n"))
    assert third.left() == {ONE: HEAD, TWO: HEAD}
    third.forget()
    third.close(keep=True)
    assert left(tmp_path) == {TWO: HEAD + b"[9]\n"}


@pytest.mark.parametrize(
    ("tail", "found"),
    [
        (chunk(ONE, b"[2]\n[3]\n")[:-2], b"[2]\n[3"),  # the end was cut off
        (b"CA", b""),
        (b"\x00" * 50, b""),
        (b"no chunk\n", b""),
        (b"x 99999999999\n", b""),
    ],
)
def test_a_file_is_read_as_far_as_it_goes(tmp_path: Path, tail: bytes, found: bytes) -> None:
    (tmp_path / "7.log").write_bytes(chunk(ONE, HEAD) + tail)
    assert left(tmp_path) == {ONE: HEAD + found}


def test_a_disk_that_is_full_is_left_alone_until_the_log_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def write(descriptor: int, data: memoryview) -> int:
        if b"full" in bytes(data):
            real(descriptor, data[:5])
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(journal_log.os, "write", write)
    log = JournalLog(tmp_path)
    log.append(chunk(ONE, HEAD))
    log.append(chunk(ONE, b'["full"]\n'))
    log.append(chunk(TWO, HEAD))
    log.begin_anew(chunk(TWO, HEAD) + chunk(ONE, HEAD + b'["full"]\n'))
    log.close(keep=True)
    assert log.is_failing
    assert left(tmp_path) == {ONE: HEAD}
    again = JournalLog(tmp_path)
    again.append(b"full")
    again.append(chunk(TWO, HEAD))
    again.begin_anew(chunk(TWO, HEAD))
    again.close(keep=True)
    assert not again.is_failing
    assert left(tmp_path) == {ONE: HEAD, TWO: HEAD}


def test_a_folder_that_cannot_be_made_is_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    log = JournalLog(tmp_path / "file" / "running")
    log.append(chunk(ONE, HEAD))
    log.close(keep=True)
    assert log.is_failing
    assert log.left() == {}


def test_what_waits_for_a_slow_disk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_log, "LOG_WAITING", 100)
    log = JournalLog(tmp_path)
    log.append(b"x" * 101)
    assert log.is_failing
    assert not log.is_waiting
    log.begin_anew(chunk(ONE, HEAD))
    log.close(keep=True)
    assert left(tmp_path) == {ONE: HEAD}


def test_the_next_run_knows_when_this_one_was_last_alive(tmp_path: Path) -> None:
    log = JournalLog(tmp_path)
    log.append(chunk(ONE, HEAD))
    log.close(keep=True)
    (file,) = tmp_path.iterdir()
    os.utime(file, (1_000.0, 1_000.0))
    assert JournalLog(tmp_path).last_alive() == 1_000.0
    assert JournalLog(tmp_path / "other").last_alive() is None


def test_a_beat_makes_the_file_of_now_and_writes_nothing(tmp_path: Path) -> None:
    log = JournalLog(tmp_path)
    log.beat()  # nothing was written yet: nothing is to be told
    assert list(tmp_path.iterdir()) == []
    log.append(chunk(ONE, HEAD))
    while log.is_waiting:
        time.sleep(0)
    file = tmp_path / "1.log"
    os.utime(file, (1_000.0, 1_000.0))
    log.beat()
    log.close(keep=True)
    assert file.stat().st_mtime > 1_000.0
    assert left(tmp_path) == {ONE: HEAD}


def test_a_log_that_takes_no_more_is_of_now_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = JournalLog(tmp_path)
    log.append(chunk(ONE, HEAD))
    while log.is_waiting:
        time.sleep(0)
    monkeypatch.setattr(journal_log, "_write", full)
    log.append(chunk(ONE, HEAD))
    while log.is_waiting:
        time.sleep(0)
    assert log.is_failing
    os.utime(tmp_path / "1.log", (1_000.0, 1_000.0))
    log.beat()
    log.close(keep=True)
    assert (JournalLog(tmp_path).last_alive() or 0.0) > 1_000.0


def full(_descriptor: int, _data: bytes) -> None:
    raise OSError(28, "No space left on device")


def test_what_was_written_is_synced_once_in_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(journal_log.os, "fdatasync", lambda descriptor: synced.append(len(written)))
    monkeypatch.setattr(journal_log, "_SYNC_APART", 0.0)
    written: list[int] = []
    log = JournalLog(tmp_path)
    for number in range(3):
        log.append(chunk(ONE, HEAD))
        log.beat()
        while log.is_waiting:
            time.sleep(0)
        written.append(number)
    log.close(keep=True)
    assert synced == [0, 1, 2]
