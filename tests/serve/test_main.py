"""The service as a process: what happens when it is killed."""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx

from serve.conftest import Process
from serve.world import USE_CASE, World, row, wait_until


def test_kill_9_under_load_loses_no_answered_prediction(world: World, process: Callable[[], Process]) -> None:
    world.decide(champion=world.publish())
    service = process()
    answered: list[str] = []

    def load(name: int) -> None:
        with httpx.Client(base_url=service.url) as client:
            try:
                for n in range(100_000):
                    answer = client.post(f"/v1/{USE_CASE}/score", json=row(f"{name}-{n}"))
                    assert answer.status_code == 200
                    answered.append(answer.json()["request_id"])
            except httpx.TransportError:
                return

    threads = [threading.Thread(target=load, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answered) > 300)
    service.kill()
    for thread in threads:
        thread.join()
    again = process()
    wait_until(lambda: {r for (r,) in world.rows("SELECT request_id FROM prediction")} >= set(answered))
    logged = [r for (r,) in world.rows("SELECT request_id FROM prediction")]
    assert len(logged) == len(set(logged))
    again.stop()
    wait_until(lambda: len(list((world.settings().home / "prediction_log").glob("*.seg"))) == 1)
