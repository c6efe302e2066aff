"""Journals as they are stored: small, and readable for ever."""

import hashlib
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.store import UsageError, packing
from ringback.store.packing import packed, unpacked

LINES = b'["note",0.1,"sip","\xe2\x86\x92 BYE","info",0]\n["event",0.2,["Told","CA1","bridged",{}],[]]\n'


@given(st.binary())
def test_what_was_packed_comes_back(journal: bytes) -> None:
    assert unpacked(packed(journal)) == journal


def test_journals_are_stored_in_a_fraction_of_their_size() -> None:
    sample = (Path(packing.__file__).parent / "journal_sample_1.txt").read_bytes()
    head = sample[sample.index(b'{"ringback"') :]
    assert len(packed(head.replace(b"alice", b"robert"))) < len(head) / 8


def test_the_sample_never_changes_because_stored_journals_need_it() -> None:
    assert unpacked(bytes.fromhex(STORED)) == LINES
    sample = (Path(packing.__file__).parent / "journal_sample_1.txt").read_bytes()
    assert hashlib.sha256(sample).hexdigest() == SAMPLE


def test_journals_of_earlier_versions_can_be_read() -> None:
    assert unpacked(zlib.compress(LINES, 1)) == LINES


@pytest.mark.parametrize("body", [b"", b"\x02abc", b"\x01", b"\x01abc", b"\x78abc", packed(LINES)[:-5]])
def test_what_nobody_wrote_is_said_to_be_no_journal(body: bytes) -> None:
    with pytest.raises(UsageError):
        unpacked(body)


STORED = "0128b52ffd2053ed0000303132315d5d0a07001b82b3007e934411c1791242cbc1c4b4930a8b20"
SAMPLE = "15ed359a9275dce410b492359f2b63504a6b41660098ae9f5caf8dba284b7962"
