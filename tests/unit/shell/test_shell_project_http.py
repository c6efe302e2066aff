"""What is large is read beside the event loop."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from ringback.functions import limits
from ringback.functions.project import Project
from ringback.shell import project_http
from ringback.shell.local_http import LocalRequest
from ringback.shell.project_http import ProjectHandler
from ringback.shell.project_request import ProjectRequest


@pytest.mark.parametrize(
    ("size", "is_beside"), [(100, False), (limits.LARGE + 1, True), (limits.REQUEST_BODY, True)]
)
async def test_a_large_body_is_read_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, is_beside: bool
) -> None:
    (tmp_path / "bins").mkdir()
    (tmp_path / "bins/hello.xml").write_text("<Response><Say>{{Name}}</Say></Response>")
    runner: Any = None
    handler = ProjectHandler(Project(tmp_path), runner, tokens=lambda sid: [])
    threads: list[int] = []

    class Read(ProjectRequest):
        def __init__(self, request: LocalRequest) -> None:
            threads.append(threading.get_ident())
            super().__init__(request)

    monkeypatch.setattr(project_http, "ProjectRequest", Read)
    form = (("content-type", "application/x-www-form-urlencoded"),)
    body = b"Name=Bob&x=" + b"y" * (size - 11)
    answer = await handler.handle(LocalRequest("POST", "http://x/bins/hello", form, body))
    assert b"<Say>Bob</Say>" in answer.body
    assert (threads != [threading.get_ident()]) is is_beside
