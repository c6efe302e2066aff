"""What the events and effects of a call are: named fields of plain data, which nobody changes.

A Struct of msgspec costs a third of a NamedTuple to make, and is written into a journal as it is.
"""

from __future__ import annotations

import msgspec


class Datum(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """As JSON: [name, fields...]. Plain data holds nothing that leads back to it, so no collector need look."""
