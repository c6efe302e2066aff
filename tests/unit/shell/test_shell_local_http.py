"""A form comes as it is, or written as a body."""

from __future__ import annotations

import pytest

from ringback.shell.local_http import LocalRequest


@pytest.mark.parametrize(
    "request_",
    [
        LocalRequest("POST", "http://x/", (), b"CallSid=CA1&Digits=%2B12"),
        LocalRequest("POST", "http://x/", (), b"", [("CallSid", "CA1"), ("Digits", "+12")]),
    ],
    ids=["body", "form"],
)
def test_the_fields_of_a_form_are_the_same_either_way(request_: LocalRequest) -> None:
    assert request_.fields() == {"CallSid": "CA1", "Digits": "+12"}
