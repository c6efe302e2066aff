"""A private PostgreSQL in a folder and on a port of its own, where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from live import free_port


def _program(name: str) -> str | None:
    """The path of a PostgreSQL server program, also where Debian keeps it off the PATH."""
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(kept[-1]) if kept else shutil.which(name)


@dataclass
class PostgreSQL:
    """A server that can be stopped as if it had died, and started again. ``url`` lacks the database's name."""

    folder: Path
    port: int
    user: str | None

    @property
    def url(self) -> str:
        return f"postgresql://ringback@127.0.0.1:{self.port}"

    def run(self, program: str, *words: str) -> None:
        subprocess.run(
            [str(_program(program)), "-D", f"{self.folder}/data", *words],
            user=self.user,
            cwd=self.folder,
            check=True,
            capture_output=True,
            timeout=60,
        )

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self.run("pg_ctl", "-w", "-l", f"{self.folder}/log", "-o", options, "start")

    def die(self) -> None:
        """All connections are lost at once, and what was not committed."""
        self.run("pg_ctl", "-m", "immediate", "stop")

    async def new_database(self, name: str) -> str:
        """The URL of an empty database."""
        import asyncpg

        connection = await asyncpg.connect(f"{self.url}/postgres")
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        return f"{self.url}/{name}"


@contextmanager
def private_postgresql() -> Iterator[PostgreSQL]:
    """One for the length of a block; skips the test where there is none."""
    pytest.importorskip("asyncpg")
    if _program("initdb") is None or _program("pg_ctl") is None:
        pytest.skip("PostgreSQL is not installed")
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="ringback-postgresql-"))
    if user is not None:
        try:
            shutil.chown(folder, user)
        except LookupError:
            pytest.skip("no user to run PostgreSQL as")
    server = PostgreSQL(folder, free_port(), user)
    try:
        server.run("initdb", "-U", "ringback", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
        server.start()
        yield server
        server.die()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
