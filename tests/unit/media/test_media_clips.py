"""The caches of clips, in memory and on disk."""

import os
from pathlib import Path

import pytest

from ringback.media import clips
from ringback.media.clips import Clip, DiskCache, MemoryCache


def test_a_clip_lasts_as_long_as_its_bytes() -> None:
    assert Clip.of(b"\xff" * 12000, "note") == Clip(b"\xff" * 12000, 1.5, "note")


def test_memory_forgets_what_was_used_least() -> None:
    cache: MemoryCache[str] = MemoryCache(100)
    cache.put("a", "A", 40)
    cache.put("b", "B", 40)
    assert cache.get("a") == "A"
    cache.put("c", "C", 40)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == ("A", None, "C")
    assert cache.bytes_held == 80


def test_memory_counts_a_replaced_value_once() -> None:
    cache: MemoryCache[str] = MemoryCache(100)
    cache.put("a", "A", 40)
    cache.put("a", "B", 30)
    assert (cache.get("a"), cache.bytes_held) == ("B", 30)
    cache.drop("a")
    cache.drop("a")
    assert (cache.get("a"), cache.bytes_held) == (None, 0)


def test_memory_does_not_give_all_to_one_clip() -> None:
    cache: MemoryCache[str] = MemoryCache(100)
    cache.put("small", "S", 10)
    cache.put("big", "B", 51)
    assert (cache.get("small"), cache.get("big")) == ("S", None)


def test_disk_keeps_facts_and_audio_across_a_restart(tmp_path: Path) -> None:
    DiskCache(tmp_path, 10_000).put("key", {"etag": '"1"'}, b"\x00\xff" * 100)
    assert DiskCache(tmp_path, 10_000).get("key") == ({"etag": '"1"'}, b"\x00\xff" * 100)
    assert DiskCache(tmp_path, 10_000).get("other") is None


def test_disk_removes_the_least_recently_used_also_of_an_earlier_run(tmp_path: Path) -> None:
    first = DiskCache(tmp_path, 10_000)
    for number, name in enumerate("abcd"):
        first.put(name, {}, bytes(2000))
        for path in tmp_path.glob("??/*.clip"):
            if path.stat().st_mtime > 1000:
                os.utime(path, (number, number))
    second = DiskCache(tmp_path, 10_000)
    assert second.get("a") is not None  # used: now the newest
    second.put("e", {}, bytes(2000))
    assert second.get("b") is None
    assert {name for name in "abcde" if second.get(name)} == set("acde")
    assert sum(path.stat().st_size for path in tmp_path.glob("??/*.clip")) <= 10_000


def test_disk_refuses_what_would_drive_out_the_rest(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 10_000)
    cache.put("big", {}, bytes(2600))
    assert cache.get("big") is None
    assert not list(tmp_path.glob("??/*"))


def test_disk_treats_a_damaged_file_as_absent_and_removes_it(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 10_000)
    cache.put("key", {}, bytes(100))
    (path,) = tmp_path.glob("??/*.clip")
    data = bytearray(path.read_bytes())
    for damaged in (data[:-1] + b"\x01", data[:50], b"", b"RBC1" + b"\xff" * 8 + data[12:]):
        path.write_bytes(damaged)
        assert DiskCache(tmp_path, 10_000).get("key") is None
        assert not path.exists()


def test_disk_that_cannot_be_written_keeps_nothing_and_does_not_fail(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = DiskCache(tmp_path / "file" / "below", 10_000)
    cache.put("key", {}, bytes(100))
    assert cache.get("key") is None


def test_names_and_folders_tell_nobody_what_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    DiskCache(folder, 10_000).put("say my secret", {}, bytes(100))
    (path,) = folder.glob("??/*.clip")
    assert "secret" not in str(path)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_what_a_dead_writer_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    old, new = tmp_path / "ab" / "old.part", tmp_path / "ab" / "new.part"
    old.write_bytes(b"x")
    new.write_bytes(b"x")
    os.utime(old, (1, 1))
    DiskCache(tmp_path, 10_000).put("key", {}, b"")
    assert (old.exists(), new.exists()) == (False, True)


def test_short_clips_are_counted_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(clips, "MAX_HELD", 10)
    monkeypatch.setattr(clips, "MAX_FILES", 10)
    cache: MemoryCache[bytes] = MemoryCache(1_000_000)
    disk = DiskCache(tmp_path, 1_000_000)
    for number in range(25):
        cache.put(number, b"", 0)
        disk.put(str(number), {}, b"")
    assert [number for number in range(25) if cache.get(number) is not None] == list(range(15, 25))
    assert [number for number in range(25) if disk.get(str(number)) is not None] == list(range(15, 25))
