"""What tests of a live server begin with, unless their module has its own: a server for the module, a scene for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from live import LiveServer, live_server
from live_scene import Scene, scene_of

from ringback import twins
from ringback.media.twins import why_pure

# The same examples each time, so that a change is judged by what it changes; --hypothesis-profile=explore gives others.
# No test judges a time.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ringback", settings.get_profile("explore"), derandomize=True)
settings.load_profile("ringback")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was judged uncompiled though nobody asked for it."""
    for reason in filter(None, (twins.not_compiled, why_pure())):
        terminalreporter.write_line(f"not compiled: {reason}", yellow=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with the starter, which must not print a traceback whatever is done to it."""
    with live_server(tmp_path_factory.mktemp("server") / "project") as running:
        yield running
        running.stop()
        assert "Traceback" not in running.output


@pytest.fixture(scope="module")
def replayed() -> set[str]:
    """Calls of this module's server that were replayed already."""
    return set()


@pytest.fixture
async def scene(server: LiveServer, replayed: set[str]) -> AsyncIterator[Scene]:
    """A program, phones and a client around the server; at the end every call must replay."""
    async with scene_of(server, replayed) as scene:
        yield scene
