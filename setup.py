"""What a wheel needs made: the packet pump, modules that mypyc compiles, and npm's packages. The rest is in pyproject.toml."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

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

PACKAGE = ROOT / "src" / "ringback"


def _twins() -> ModuleType:
    """The module that says what is outdated, without the package that it belongs to."""
    spec = importlib.util.spec_from_file_location("twins", PACKAGE / "twins.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


twins = _twins()

COMPILED = (ROOT / "compiled.txt").read_text().split()
"""Modules whose Python is compiled as it is; docs/performance.md has the figures."""

READING = ("--config-file=", "--follow-imports=skip", "--ignore-missing-imports")
"""How mypy reads them here: `make check` judges types, and a build has none of the packages that others import."""


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

    is_made = False

    def run(self) -> None:
        """Compile the pump, and what is Python as well unless that is to run as it is."""
        self.force = self.force or bool(twins.outdated(PACKAGE, twins.PUMP))  # times of files can be wrong
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
        else:
            self.is_made = True

    def copy_extensions_to_source(self) -> None:
        """Put what was compiled beside its sources, and say what they were."""
        super().copy_extensions_to_source()
        if self.is_made:
            twins.take_note(PACKAGE, twins.PUMP, PUMP_MADE_FROM)


class BuildModules(build_ext):
    """Python that mypyc compiles: all of it or none, because its modules know one another's structures."""

    def finalize_options(self) -> None:
        """Take the modules for what the distribution has to compile."""
        names = {
            path.relative_to(PACKAGE).as_posix() for name in COMPILED for path in PACKAGE.glob(f"{name}.py")
        }
        self.made_from = twins.digests(PACKAGE, sorted(names))
        pump, self.distribution.ext_modules = self.distribution.ext_modules, _modules(sorted(names))
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
        """Put what was compiled beside its sources, and say what they were; what is compiled no longer goes."""
        super().copy_extensions_to_source()
        if not self.extensions:
            return
        made = {Path(self.get_ext_fullpath(name)).resolve() for name in (PUMP.name, *self.ext_map)}
        for library in PACKAGE.rglob(f"*{EXTENSION_SUFFIXES[0]}"):
            if library not in made:
                library.unlink()
        twins.take_note(PACKAGE, twins.MODULES, self.made_from)


def _modules(names: list[str]) -> list[Extension]:
    """Modules as C; none where mypy finds a mistake, unless that is an error."""
    given = [*READING, *(f"src/ringback/{name}" for name in names)]
    try:
        return mypycify(given, opt_level="1", debug_level="0", multi_file=True, group_name="ringback")
    except SystemExit:
        if IS_REQUIRED:
            raise
        return []


PARTS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("src/ringback/media/*.px[di]"))
PUMP = Extension("ringback.media._core", ["src/ringback/media/_core.pyx"], depends=PARTS)
PUMP_MADE_FROM = twins.digests(PACKAGE, [f"media/{Path(name).name}" for name in (*PUMP.sources, *PARTS)])
EXTENSIONS = cythonize([PUMP], language_level=3, force=bool(twins.outdated(PACKAGE, twins.PUMP)))
for extension in EXTENSIONS:  # Cython makes extensions anew, and loses this
    extension.optional = not IS_REQUIRED

setup(
    ext_modules=EXTENSIONS,
    cmdclass={"build_py": BuildPython, "build_ext": BuildPump, "build_modules": BuildModules},
)
