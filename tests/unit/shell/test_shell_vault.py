"""Handles for secrets, and URLs in which they stand for user and password."""

from __future__ import annotations

import re

import pytest

from ringback.shell.vault import Vault, public


def test_a_secret_keeps_its_handle_and_comes_back() -> None:
    vault = Vault()
    handle = vault.hide("s3cret")
    assert re.fullmatch(r"secret:[0-9a-f]{16}", handle)
    assert vault.hide("s3cret") == handle
    assert vault.hide("other") != handle
    assert vault.reveal(handle) == "s3cret"
    assert vault.reveal("secret:0000000000000000") == ""
    assert vault.hide("") == ""


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pass@host/path?x=1#tt=300",
        "HTTPS://user:p%40ss@host:8443",
        "https://only-user@host/",
        "ws://user:pass@host/stream",
        "http://user:p@ss@host/",
    ],
)
def test_user_and_password_of_a_url_are_hidden_and_come_back(url: str) -> None:
    vault = Vault()
    masked = vault.mask(url)
    assert re.search(r"://secret:[0-9a-f]{16}@host", masked)
    assert "user" not in masked and "ss@" not in masked
    assert vault.unmask(masked) == url
    assert vault.mask(url) == masked
    assert public(url) == re.sub(r"://\S*@", "://", url)
    assert public(masked) == public(url)


@pytest.mark.parametrize(
    "text",
    ["http://host/a@b", "http://host?mail=a@b", "sip:user@host", "mail me@home", "http://host/#x@y", ""],
)
def test_what_has_no_user_and_password_stays_as_it_is(text: str) -> None:
    vault = Vault()
    assert vault.mask(text) == vault.unmask(text) == public(text) == text


def test_who_names_a_handle_does_not_get_its_secret() -> None:
    vault = Vault()
    stolen = vault.mask("http://user:pass@host/").replace("host", "evil.example")
    assert vault.unmask(vault.mask(stolen)) == stolen


def test_a_document_is_masked_in_its_attributes_and_texts() -> None:
    vault = Vault()
    document = [
        "Response",
        {},
        [["Dial", {"action": "http://u:p@h/a"}, ["sip:a@b", ["Play", {}, ["http://u:p@h/b"]]]]],
    ]
    masked = vault.mask_document(document)
    assert "u:p" not in str(masked)
    assert masked[2][0][2][0] == "sip:a@b"
    assert vault.unmask(masked[2][0][1]["action"]) == "http://u:p@h/a"
    assert document[2][0][1] == {"action": "http://u:p@h/a"}


def test_what_is_in_use_is_forgotten_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.shell.vault.MAX_SECRETS", 2)
    vault = Vault()
    masked = vault.mask("http://user:pass@program/")
    vault.hide("one")
    assert vault.mask("http://user:pass@program/") == masked
    vault.hide("two")
    assert vault.unmask(masked) == "http://user:pass@program/"
