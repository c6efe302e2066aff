"""What a server can be told, and what it says of what it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ringback.app import settings
from ringback.app.errors import Unusable
from ringback.app.settings import Address, unknown_variables


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from the environment that the tests run in."""
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(settings.PREFIX + name.upper(), raising=False)


def complaint(folder: Path, file: str = "", **given: Any) -> str:
    (folder / "ringback.toml").write_text(file)
    with pytest.raises(Unusable) as problem:
        settings.load(folder, **given)
    return str(problem.value).replace(f"{folder}/", "")


def test_the_line_goes_before_the_environment_and_both_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ringback.toml").write_text(
        'sip = "127.0.0.1:1"\nsips = "127.0.0.1:1"\nhttp = "127.0.0.1:1"\n'
    )
    monkeypatch.setenv("RINGBACK_SIPS", "127.0.0.1:2")
    monkeypatch.setenv("RINGBACK_HTTP", "127.0.0.1:2")
    found = settings.load(tmp_path, http="127.0.0.1:3", sip=None)
    assert (found.sip, found.sips, found.http) == ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("http = 8080", "http: 8080 is no text: put it in quotation marks"),
        ("max-calls = 1.5", "max-calls: 1.5 is no whole number"),
        ('max-calls = "many"', "max-calls: 'many' is no whole number"),
        ('drain = "soon"', "drain: 'soon' is no number"),
        ("max-calls = -1", "max-calls: -1 is too small: 0 is the least"),
        ("auth-token = 123456", "auth-token: what is given is no text: put it in quotation marks"),
        ("phone-password = 123456", "phone-password: what is given is no text: put it in quotation marks"),
        (
            'pubic-address = "192.0.2.1"',
            "ringback.toml sets pubic-address, which is no setting: is public-address meant?; see docs/settings.md",
        ),
        ("colour = 1", "ringback.toml sets colour, which is no setting; see docs/settings.md"),
        (
            'sip = "nowhere"\nlog-level = "loud"',
            "sip: 'nowhere' is no address: IP:PORT is wanted, such as 127.0.0.1:8080; "
            "log-level: 'loud' is no level: debug, info, warning, error are",
        ),
    ],
)
def test_a_wrong_setting_is_told_in_words_of_ours(tmp_path: Path, file: str, says: str) -> None:
    assert complaint(tmp_path, file) == says


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    assert complaint(tmp_path, "sip = ").startswith("ringback.toml cannot be read: ")


def test_a_variable_that_is_no_setting_is_told_with_the_one_that_was_meant() -> None:
    given = [
        "RINGBACK_HTPP",
        "RINGBACK_COLOUR",
        "RINGBACK_HTTP",
        "RINGBACK_REQUIRE_CORE",
        "HTTP",
        "ringback_sip",
    ]
    assert unknown_variables(given) == [
        "RINGBACK_COLOUR is no setting and counts for nothing",
        "RINGBACK_HTPP is no setting and counts for nothing: is RINGBACK_HTTP meant?",
    ]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:8080", ("127.0.0.1", 8080)),
        (":8080", ("0.0.0.0", 8080)),
        ("8080", ("127.0.0.1", 8080)),  # not to the world: nobody asked for it
        ("[::1]:8080", ("::1", 8080)),
        ("[::1]", ("::1", 5080)),
        ("127.0.0.1", ("127.0.0.1", 5080)),
    ],
)
def test_an_address_may_be_short(text: str, address: tuple[str, int]) -> None:
    assert Address.parse(text, Address("127.0.0.1", 5080)) == address


@pytest.mark.parametrize("text", ["host:1", "127.0.0.1:65536", "127.0.0.1:x", "::1:5060:x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Address.parse(text, Address("127.0.0.1", 5080))
