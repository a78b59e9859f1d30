"""Fixtures: a world for the service, and the service in this process or in its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import uvicorn

from everloop.serve.app import create_app
from everloop.serve.log.process import FOLDER, Shipping, ShippingThread
from everloop.stack.ports import free_port
from serve.world import USE_CASE, World, wait_until


@pytest.fixture
def world(everloop_database: str, tmp_path: Path) -> World:
    return World(everloop_database, tmp_path)


class Server:
    """A service on a real port, in a thread."""

    def __init__(self, world: World, **settings: Any) -> None:
        self.world = world
        self.app = create_app(world.settings(**settings))
        self.parts = self.app.parts
        settings_of = world.settings(**settings)
        self._shipping = ShippingThread(Shipping(settings_of.home / FOLDER, settings_of.database))
        port = free_port()
        self._server = uvicorn.Server(uvicorn.Config(self.app, port=port, loop="asyncio", log_config=None, access_log=False))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=20)

    def __enter__(self) -> Server:
        self._thread.start()
        self._shipping.start()
        wait_until(lambda: self._server.started)
        wait_until(lambda: self.client.get("/readyz").status_code == 200)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(timeout=15)
        self._shipping.stop()

    def score(self, **body: Any) -> httpx.Response:
        return self.client.post(f"/v1/{USE_CASE}/score", json=body)

    def follow(self, seq: int) -> None:
        """Wait until the service has taken notice of the ledger's row."""
        wait_until(lambda: (serving := self.parts.follower.serving(USE_CASE)) is not None and serving.seq == seq)


@pytest.fixture
def serve(world: World) -> Iterator[Callable[..., Server]]:
    """Starts a service; it is stopped at the end of the test."""
    started: list[Server] = []

    def start(**settings: Any) -> Server:
        started.append(Server(world, **settings).__enter__())
        return started[-1]

    yield start
    for server in started:
        server.__exit__()


@pytest.fixture
def server(world: World, serve: Callable[..., Server]) -> Server:
    """A service with one release as champion."""
    seq = world.decide(champion=world.publish())
    server = serve()
    server.follow(seq)
    return server


class Process:
    """The service as its own process, which can be killed."""

    def __init__(self, world: World, **environ: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        settings = world.settings()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "EVERLOOP_HOME": str(settings.home),
            "EVERLOOP_DATABASE": settings.database,
            "EVERLOOP_MLFLOW": settings.mlflow,
            "EVERLOOP_RELEASES": settings.releases,
            "EVERLOOP_SERVE_PORT": str(port),
            "EVERLOOP_ENGINE": settings.engine,
            **environ,
        }
        self._process = subprocess.Popen([sys.executable, "-m", "everloop.serve"], env=environment, start_new_session=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        found = []
        for child in psutil.Process(self._process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # a zombie has no command line
                found += [child] if "everloop.serve.worker" in child.cmdline() else []
        return found

    def kill(self) -> None:
        """The whole machine, as it were: all its processes at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)


@pytest.fixture
def process(world: World) -> Iterator[Callable[..., Process]]:
    """Starts the service as a process."""
    started: list[Process] = []

    def start(**environ: str) -> Process:
        started.append(Process(world, **environ))
        wait_until(started[-1].ready, 30)
        return started[-1]

    yield start
    for one in started:
        one.kill()
