"""The compiled part of Ringback: the packet pump. Everything else is in pyproject.toml."""

from __future__ import annotations

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

PUMP = Extension(
    "ringback.media._core",
    ["src/ringback/media/_core.pyx"],
    depends=[
        "src/ringback/media/_core_types.pxi",
        "src/ringback/media/_core_sound.pxi",
        "src/ringback/media/_core_stream.pxi",
        "src/ringback/media/_core_port.pxi",
        "src/ringback/media/_core_rtcp.pxi",
        "src/ringback/media/_core_thread.pxi",
    ],
    # without a C compiler the pure twin serves, unless that would be an error
    optional=os.environ.get("RINGBACK_REQUIRE_CORE") != "1",
)

setup(ext_modules=cythonize([PUMP], language_level=3))
