"""What a wheel needs made: the compiled packet pump, and npm's packages for Functions. The rest is in pyproject.toml."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # a PEP 517 build does not look beside setup.py

import build_npm  # noqa: E402


class BuildPython(build_py):
    """Python files and data, npm's packages among them; for wheels and for editable installs alike."""

    def run(self) -> None:
        """Fetch what the lock file of the Functions names, then build."""
        if build_npm.install():
            print("npm's packages for Functions are in place")
        if not self.editable_mode:
            # a wheel holds what is in src now, not what an earlier build left
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


class BuildPump(build_ext):
    """The packet pump. Where there is no C compiler at all, setuptools itself does not pass over it."""

    def build_extension(self, ext: Extension) -> None:
        """Compile, or do without where that is allowed."""
        try:
            super().build_extension(ext)
        except OSError as problem:
            if not ext.optional:
                raise
            print(f"no compiled packet pump, the one in Python serves: {problem}", file=sys.stderr)


PUMP = Extension(
    "ringback.media._core",
    ["src/ringback/media/_core.pyx"],
    depends=sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("src/ringback/media/*.px[di]")),
)
EXTENSIONS = cythonize([PUMP], language_level=3)
for extension in EXTENSIONS:  # Cython makes extensions anew, and loses this
    # without a C compiler the pure twin serves, unless that would be an error
    extension.optional = os.environ.get("RINGBACK_REQUIRE_CORE") != "1"

setup(ext_modules=EXTENSIONS, cmdclass={"build_py": BuildPython, "build_ext": BuildPump})
