"""A worker that cannot answer yet leaves the port to those that can."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from everloop.serve.app import create_app
from everloop.stack.ports import free_port
from serve.world import USE_CASE, World, row, wait_until

LOADED_SECONDS = 60


def workers(parent: int) -> list[psutil.Process]:
    """The eldest first."""
    found = [one for one in psutil.Process(parent).children() if _answers(one)]
    return sorted(found, key=lambda one: one.create_time())


def _answers(process: psutil.Process) -> bool:
    try:
        return "everloop.serve.worker" in process.cmdline()
    except psutil.NoSuchProcess:  # it is gone, or waits to be reaped
        return False


def answers(url: str) -> set[int]:
    """The statuses of some connections of their own, among all who listen."""
    return {httpx.post(f"{url}/v1/{USE_CASE}/score", json=row()).status_code for _ in range(20)}


def listen(port: int) -> int:
    """How many processes' sockets listen on the port."""
    return sum(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in psutil.net_connections("tcp"))


def test_a_worker_started_while_the_ledger_is_away_takes_no_requests_from_the_one_that_serves(
    world: World, tmp_path: Path
) -> None:
    world.decide(champion=world.publish())
    port, settings = free_port(), world.settings()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "EVERLOOP_HOME": str(settings.home),
        "EVERLOOP_DATABASE": settings.database,
        "EVERLOOP_MLFLOW": settings.mlflow,
        "EVERLOOP_RELEASES": settings.releases,
        "EVERLOOP_ENGINE": "xgboost",
        "EVERLOOP_LOG": "json",
    }
    log = tmp_path / "log"
    command = [sys.executable, "-m", "everloop.serve", "--port", str(port), "--workers", "2"]
    with log.open("wb") as out:
        service = subprocess.Popen(command, env=environment, stdout=out)
    try:
        wait_until(lambda: listen(port) == 2, LOADED_SECONDS)
        with psycopg.connect(world.database, autocommit=True) as connection:
            connection.execute("ALTER TABLE ledger RENAME TO gone")
            killed = workers(service.pid)[-1]
            killed.send_signal(signal.SIGKILL)
            wait_until(lambda: len(workers(service.pid)) == 2 and killed not in workers(service.pid), LOADED_SECONDS)
            wait_until(lambda: _asked_in_vain(workers(service.pid)[-1].pid, log), LOADED_SECONDS)
            assert listen(port) == 1
            assert answers(f"http://127.0.0.1:{port}") == {200}
            connection.execute("ALTER TABLE gone RENAME TO ledger")
        wait_until(lambda: listen(port) == 2, LOADED_SECONDS)
        assert answers(f"http://127.0.0.1:{port}") == {200}
    finally:
        service.terminate()
        service.wait(timeout=40)


def _asked_in_vain(worker: int, log: Path) -> bool:
    """Whether this process has said that it cannot read the ledger."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return any(line["process"] == worker and "ledger cannot be read" in line["message"] for line in lines)


def test_what_waits_for_the_start_is_done_once_and_when_it_can_answer(world: World) -> None:
    world.decide(champion=world.publish())
    unready: list[str | None] = []
    app = create_app(world.settings(), 20.0, lambda: unready.append(app.parts.unready()))

    async def use() -> None:
        asked: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        told: asyncio.Queue[Any] = asyncio.Queue()
        running = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, asked.get, told.put))
        for step in ("startup", "shutdown"):
            await asked.put({"type": f"lifespan.{step}"})
            assert await told.get() == {"type": f"lifespan.{step}.complete"}
            assert unready == [None]
        await running

    asyncio.run(use())
