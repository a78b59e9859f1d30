"""A PostgreSQL that can be killed and started again, durable as in production."""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from benchmarks import world
from everloop.stack.ports import free_port
from everloop.stack.postgres import PostgresServer


class Restarts:
    """The server and its running process."""

    def __init__(self, server: PostgresServer, log: Path, stack: contextlib.ExitStack) -> None:
        self._server, self._log, self._stack = server, log, stack
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextlib.contextmanager
    def made(cls, folder: Path) -> Iterator[Restarts]:
        """A started one with the database `everloop`; gone at exit."""
        server = PostgresServer(folder=folder / "postgres", port=free_port(), password=uuid.uuid4().hex)
        with contextlib.ExitStack() as stack:
            made = cls(server, folder / "postgres.log", stack)
            made.start()
            world.database(server, "everloop")
            yield made

    @property
    def uri(self) -> str:
        """Of the database."""
        return self._server.uri("everloop")

    def start(self) -> None:
        """Start it; returns when it answers."""
        self._process = self._stack.enter_context(self._server.running(self._log))

    def kill(self) -> None:
        """As a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
