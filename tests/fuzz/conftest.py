"""Fuzzing begins with the session, takes what the other tests leave of the CPU, and is judged last."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from fuzz.beside import Beside

SECONDS = float(os.environ.get("RINGBACK_FUZZ_SECONDS", "1.2"))
SEED = int(os.environ.get("RINGBACK_FUZZ_SEED", "1"))
BESIDE = pytest.StashKey[Beside]()


def _target(item: pytest.Item) -> str | None:
    is_turn = isinstance(item, pytest.Function) and item.function.__name__ == "test_no_input_breaks"
    return item.callspec.params["name"] if is_turn else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After everything else, whatever the order of the rest is."""
    items.sort(key=lambda item: _target(item) is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """The turns run as long as the tests do."""
    names = (
        []
        if session.config.option.collectonly
        else [name for item in session.items if (name := _target(item))]
    )
    with Beside(names, SEED, SECONDS) as session.stash[BESIDE]:
        return (yield)


@pytest.fixture
def beside(request: pytest.FixtureRequest) -> Beside:
    """The turns of this session, which nothing else waits for any more."""
    running = request.session.stash[BESIDE]
    running.compete()
    return running
