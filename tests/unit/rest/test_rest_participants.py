"""Conference requests read into values."""

from __future__ import annotations

import pytest

from ringback.rest.errors import RestError
from ringback.rest.forms import Form
from ringback.rest.participants import read_conference_update, read_participant_update


def test_anything_but_true_is_false_and_absent_is_none() -> None:
    update = read_participant_update(Form([("Muted", "True"), ("Hold", "perhaps")]))
    assert (update.muted, update.hold, update.coaching) == (True, False, None)


def test_urls_methods_and_sids_are_checked() -> None:
    update = read_participant_update(Form([("HoldUrl", "https://example.com/h"), ("HoldMethod", "get")]))
    assert (update.hold_url, update.hold_method) == ("https://example.com/h", "GET")
    for pairs in ([("AnnounceUrl", "x")], [("WaitMethod", "PUT")], [("CallSidToCoach", "CF1")]):
        with pytest.raises(RestError):
            read_participant_update(Form(pairs))


def test_a_conference_can_only_be_completed() -> None:
    assert read_conference_update(Form([("Status", "completed")])).status == "completed"
    with pytest.raises(RestError):
        read_conference_update(Form([("Status", "init")]))
