"""What tests of Functions begin with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from functions_place import Place


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    yield place
    await place.pool.stop()
