"""Which twin of a compiled module runs: the one of mypyc, or the very source that it was made from.

A compiled module stands beside its source, and Python prefers it. RINGBACK_PURE=1 has the sources run. In a tree of
sources, setup.py leaves a note beside each library of what it was made from. Where that is no longer what stands
there, the sources run as well, because an edit would have no effect; with RINGBACK_REQUIRE_CORE=1 that is an error.
An installed package has no notes, and nothing is compared.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from typing import Final

MODULES: Final = "../ringback__mypyc"
"""The library that all of mypyc's modules stand in together, seen from the package; setup.py names it."""
PUMP: Final = "media/_core"
"""That of the packet pump (ringback.media.twins)."""

COMPILE: Final = "python setup.py build_ext --inplace"

not_compiled: str = ""
"""Why the sources run though nobody asked for them, for who starts this process; "" where they do not."""


def choose(package: Path) -> None:
    """Decide for this process, before anything else of the package is imported. Raises ImportError."""
    global not_compiled
    is_asked_for = os.environ.get("RINGBACK_PURE") == "1"
    not_compiled = "" if is_asked_for else outdated(package, MODULES)
    if not_compiled and os.environ.get("RINGBACK_REQUIRE_CORE") == "1":
        raise ImportError(f"{not_compiled}, or set RINGBACK_PURE=1")
    if not_compiled or is_asked_for:
        prefer_sources(package)


def outdated(package: Path, library: str) -> str:
    """What is wrong with a library, and what to do; "" where it is current, absent, or this is no tree of sources."""
    if not (package.parents[1] / "pyproject.toml").exists():
        return ""
    place = package / library
    if next(place.parent.glob(f"{place.name}.*{EXTENSION_SUFFIXES[-1]}"), None) is None:
        return ""
    try:
        made_from = json.loads(_note(package, library).read_bytes())
    except (OSError, ValueError):
        return f"nothing says which sources {place.name} was compiled from: {COMPILE}"
    now = digests(package, made_from)
    changed = next((name for name, digest in made_from.items() if now[name] != digest), None)
    return f"{changed} is not what {place.name} was compiled from: {COMPILE}" if changed else ""


def digests(package: Path, names: Iterable[str]) -> dict[str, str]:
    """What stands in sources now, by their names in the package; "" for one that is gone."""
    found = {}
    for name in names:
        try:
            found[name] = hashlib.sha256((package / name).read_bytes()).hexdigest()
        except OSError:
            found[name] = ""
    return found


def take_note(package: Path, library: str, made_from: dict[str, str]) -> None:
    """Say what a library was made from (setup.py, which takes the digests before it compiles)."""
    _note(package, library).write_text(json.dumps(made_from, indent=0), encoding="utf-8")


def _note(package: Path, library: str) -> Path:
    return package / f"{library}.made-from"


def prefer_sources(package: Path) -> None:
    """Let a module's source come before its compiled twin; what has no source (the packet pump) is found as ever."""
    inside = str(package)
    loaders = ((SourceFileLoader, SOURCE_SUFFIXES), (ExtensionFileLoader, EXTENSION_SUFFIXES))

    def finder(folder: str) -> FileFinder:
        if not folder.startswith(inside):
            raise ImportError("not ours")
        return FileFinder(folder, *loaders)

    sys.path_hooks.insert(0, finder)
