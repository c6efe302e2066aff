"""What tests of Functions and of databases begin with."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from functions_place import Place
from postgresql import PostgreSQL, private_postgresql


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    yield place
    await place.pool.stop()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A private server, where it is installed."""
    with private_postgresql() as server:
        yield server
