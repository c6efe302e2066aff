"""What a wheel needs made: the packet pump, modules that mypyc compiles, and npm's packages. The rest is in pyproject.toml."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from Cython.Build import cythonize
from mypyc.build import mypycify
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import BaseError, CCompilerError

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # a PEP 517 build does not look beside setup.py

import build_npm  # noqa: E402

IS_REQUIRED = os.environ.get("RINGBACK_REQUIRE_CORE") == "1"
"""Without a C compiler the Python of it all serves, unless that would be an error."""

IS_PURE = os.environ.get("RINGBACK_PURE") == "1"
"""Compile the packet pump alone."""

COMPILED = ("sdp/*", "sip/*", "shell/guard", "shell/inbox")
"""Modules whose Python is compiled as it is; docs/performance.md has the figures."""


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
    """The packet pump, and then the modules."""

    def run(self) -> None:
        """Compile the pump, and what is Python as well unless that is to run as it is."""
        super().run()
        if not IS_PURE:
            modules = self.reinitialize_command("build_modules", inplace=self.inplace)
            modules.ensure_finalized()
            modules.run()

    def build_extension(self, ext: Extension) -> None:
        """Compile, or do without where that is allowed: setuptools itself needs a C compiler to be there."""
        try:
            super().build_extension(ext)
        except OSError as problem:
            if not ext.optional:
                raise
            print(f"no compiled packet pump, the one in Python serves: {problem}", file=sys.stderr)


class BuildModules(build_ext):
    """Python that mypyc compiles: all of it or none, because its modules know one another's structures."""

    def finalize_options(self) -> None:
        """Take the modules for what the distribution has to compile."""
        pump, self.distribution.ext_modules = self.distribution.ext_modules, _modules()
        super().finalize_options()
        self.distribution.ext_modules = pump
        self.parallel = True  # as many at a time as there are cores

    def build_extensions(self) -> None:
        """Compile, or do without."""
        try:
            super().build_extensions()
        except (BaseError, CCompilerError, OSError) as problem:
            if IS_REQUIRED:
                raise
            print(f"nothing of Python is compiled: {problem}", file=sys.stderr)
            for extension in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
            self.extensions = []

    def copy_extensions_to_source(self) -> None:
        """Put what was compiled beside its source, and mark it as new, for what had not changed was not made again."""
        super().copy_extensions_to_source()
        for library in ROOT.glob("src/ringback__mypyc.*"):
            library.touch()


def _modules() -> list[Extension]:
    """The modules as C; none where mypy finds a mistake, unless that is an error."""
    sources = [path.relative_to(ROOT) for name in COMPILED for path in ROOT.glob(f"src/ringback/{name}.py")]
    names = sorted(map(str, sources))
    try:
        return mypycify(names, opt_level="1", debug_level="0", multi_file=True, group_name="ringback")
    except SystemExit:
        if IS_REQUIRED:
            raise
        return []


PUMP = Extension(
    "ringback.media._core",
    ["src/ringback/media/_core.pyx"],
    depends=sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("src/ringback/media/*.px[di]")),
)
EXTENSIONS = cythonize([PUMP], language_level=3)
for extension in EXTENSIONS:  # Cython makes extensions anew, and loses this
    extension.optional = not IS_REQUIRED

setup(
    ext_modules=EXTENSIONS,
    cmdclass={"build_py": BuildPython, "build_ext": BuildPump, "build_modules": BuildModules},
)
