"""Which twin of a compiled module runs: the one of mypyc, or the very source that it was made from.

A compiled module stands beside its source, and Python prefers it. RINGBACK_PURE=1 has the sources run. In a tree of
sources they run as well once one of them is newer than what was compiled, because an edit would have no effect; with
RINGBACK_REQUIRE_CORE=1 that is an error.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from typing import Final

LIBRARY: Final = "ringback__mypyc"
"""What all compiled modules stand in together; setup.py names it."""


def choose(package: Path) -> None:
    """Decide for this process, before anything else of the package is imported. Raises ImportError."""
    newer = None if os.environ.get("RINGBACK_PURE") == "1" else edited_since(package)
    if newer is not None and os.environ.get("RINGBACK_REQUIRE_CORE") == "1":
        raise ImportError(
            f"{newer.relative_to(package.parent)} was changed after it was compiled: "
            "python setup.py build_ext --inplace, or set RINGBACK_PURE=1"
        )
    if newer is not None or os.environ.get("RINGBACK_PURE") == "1":
        prefer_sources(package)


def edited_since(package: Path) -> Path | None:
    """A source that is newer than its compiled twin; None where nothing was compiled, or this is no tree of sources."""
    if not (package.parents[1] / "pyproject.toml").exists():
        return None
    library = next(package.parent.glob(f"{LIBRARY}.*"), None)
    if library is None:
        return None
    made_at = library.stat().st_mtime
    for module in package.glob("*/*.so"):
        source = module.with_name(module.name.partition(".")[0] + ".py")
        if source.exists() and source.stat().st_mtime > made_at:
            return source
    return None


def prefer_sources(package: Path) -> None:
    """Let a module's source come before its compiled twin; what has no source (the packet pump) is found as ever."""
    inside = str(package)
    loaders = ((SourceFileLoader, SOURCE_SUFFIXES), (ExtensionFileLoader, EXTENSION_SUFFIXES))

    def finder(folder: str) -> FileFinder:
        if not folder.startswith(inside):
            raise ImportError("not ours")
        return FileFinder(folder, *loaders)

    sys.path_hooks.insert(0, finder)
