"""What the server's address shows to a browser."""

from __future__ import annotations

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ringback.shell.welcome import WELCOME, welcome


def asking(accept: str) -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": [(b"accept", accept.encode())]})


async def test_a_browser_is_shown_what_this_is_and_what_to_do() -> None:
    answer = await welcome(asking("text/html,application/xhtml+xml,*/*;q=0.8"))
    page = bytes(answer.body).decode()
    assert (answer.status_code, answer.media_type) == (200, "text/html")
    assert "ringback card" in page
    assert "Twilio" in page
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert WELCOME.path == "/"


@pytest.mark.parametrize("accept", ["", "*/*", "application/json"])
async def test_a_program_finds_nothing_there(accept: str) -> None:
    with pytest.raises(HTTPException) as found:
        await welcome(asking(accept))
    assert found.value.status_code == 404
