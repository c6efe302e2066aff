"""Documents are read once for equal answers, and never shared where a secret or an address is in them."""

from __future__ import annotations

import pytest

from ringback.shell.documents import KEPT, LONGEST_KEPT, Documents
from ringback.shell.vault import Vault
from ringback.twiml.errors import DocumentError

HERE = "http://program.test/voice"


def say(text: str) -> bytes:
    return f"<Response><Say>{text}</Say></Response>".encode()


def test_equal_answers_are_read_once() -> None:
    documents = Documents(Vault())
    first = documents.read("text/xml", say("hello"), HERE)
    assert first == ["Response", {}, [["Say", {}, ["hello"]]]]
    assert documents.read("text/xml", say("hello"), HERE) is first
    assert documents.read("text/xml", say("bye"), HERE) == ["Response", {}, [["Say", {}, ["bye"]]]]


def test_the_type_of_an_answer_counts() -> None:
    documents = Documents(Vault())
    documents.read("text/plain", b"no document", HERE)
    with pytest.raises(DocumentError):
        documents.read("text/xml", b"no document", HERE)


def test_a_document_with_a_secret_is_read_each_time() -> None:
    vault = Vault()
    documents = Documents(vault)
    body = b'<Response><Dial><Sip username="u" password="hunter2">sip:a@b.test</Sip></Dial></Response>'
    first, second = (documents.read("text/xml", body, HERE) for _ in range(2))
    assert first == second
    assert first is not second
    assert "hunter2" not in repr(first)


def test_a_document_with_a_password_in_a_url_is_read_each_time() -> None:
    documents = Documents(Vault())
    body = b"<Response><Play>http://me:hunter2@program.test/a.wav</Play></Response>"
    first, second = (documents.read("text/xml", body, HERE) for _ in range(2))
    assert first is not second
    assert "hunter2" not in repr(first)


def test_audio_stands_for_its_own_address() -> None:
    documents = Documents(Vault())
    documents.read("audio/wav", b"RIFF", "http://program.test/1.wav")
    assert documents.read("audio/wav", b"RIFF", "http://program.test/2.wav") == [
        "Response",
        {},
        [["Play", {}, ["http://program.test/2.wav"]]],
    ]


def test_what_is_kept_has_a_bound() -> None:
    documents = Documents(Vault())
    first = documents.read("text/xml", say("0"), HERE)
    for number in range(1, KEPT + 1):
        documents.read("text/xml", say(str(number)), HERE)
    assert documents.read("text/xml", say("0"), HERE) is not first
    long = say("x" * LONGEST_KEPT)
    assert documents.read("text/xml", long, HERE) is not documents.read("text/xml", long, HERE)
