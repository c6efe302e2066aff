"""A server that cannot start says why, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ringback.app import server as module
from ringback.app.errors import Unusable
from ringback.app.project import ProjectDirectory
from ringback.app.server import Server
from ringback.app.settings import load
from ringback.media.errors import MediaError


async def test_what_was_begun_is_ended_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_pump(_ports: tuple[int, int]) -> None:
        raise MediaError("there is none")

    monkeypatch.setattr(module, "create_pump", no_pump)
    place = ProjectDirectory(tmp_path / "project")
    place.make()
    anywhere = "127.0.0.1:0"
    server = Server(place, load(place.path, sip=anywhere, sips=anywhere, http=anywhere))
    with pytest.raises(Unusable, match="there is none"):
        await server.start()
    assert "Traceback" not in "".join(capsys.readouterr())
    os.close(ProjectDirectory(tmp_path / "project").take())  # nobody has it any more
