"""Python's collector of rings of objects, set for a server: most of a server's objects are its code and never die.

What calls, registrations and requests to the exchange make is no ring once it is over, and goes at once without the
collector; what an HTTP connection leaves is one of some thirty objects (asyncio's transport and uvicorn's protocol).
"""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 10_000
"""New objects before the youngest are looked at; a call makes some thousands."""

YOUNGER_ROUNDS: Final = 4
"""Rounds of the youngest before those that outlived one are looked at: 50,000 objects, in some 10 ms."""

OLD_ROUNDS: Final = 20
"""Rounds of these before all are looked at, during which nobody is served: of 100,000 objects for 30 ms. So many rounds are a
million new objects that stay; if all were in rings, 130 MB."""


def settle() -> None:
    """To be called once everything is loaded: what exists now is never looked at again.

    Without it a tenth of the time of a call goes into looking through modules for garbage, 700 objects at a time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, YOUNGER_ROUNDS, OLD_ROUNDS)
