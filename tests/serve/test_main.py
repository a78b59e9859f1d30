"""The service as processes: what happens when they are killed, and when they are told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import psutil

from serve.conftest import Process
from serve.world import USE_CASE, World, row, wait_until


class Load:
    """Three clients that ask one after the other until they are stopped, or until a connection breaks when `fragile`."""

    def __init__(self, url: str, fragile: bool) -> None:
        self.answered: list[str] = []
        self.failed: list[int] = []
        self.broken = 0
        self._url, self._fragile, self._stop = url, fragile, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(3)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, name: int) -> None:
        count = 0
        while not self._stop.is_set():
            try:
                with httpx.Client(base_url=self._url) as client:
                    while not self._stop.is_set():
                        count += 1
                        answer = client.post(f"/v1/{USE_CASE}/score", json=row(f"{name}-{count}"))
                        if answer.status_code == 200:
                            self.answered.append(answer.json()["request_id"])
                        else:
                            self.failed.append(answer.status_code)
            except httpx.TransportError:
                self.broken += 1
                if self._fragile:
                    return


@contextmanager
def loaded(service: Process, fragile: bool = False) -> Iterator[Load]:
    load = Load(service.url, fragile)
    load.start()
    try:
        wait_until(lambda: len(load.answered) > 100, 60)
        yield load
    finally:
        load.stop()


def logged(world: World) -> list[str]:
    return [request for (request,) in world.rows("SELECT request_id FROM prediction")]


def test_kill_9_of_all_processes_under_load_loses_no_answered_prediction(world: World, process: Callable[..., Process]) -> None:
    world.decide(champion=world.publish())
    service = process()
    with loaded(service, fragile=True) as load:
        service.kill()
    again = process()
    wait_until(lambda: set(logged(world)) >= set(load.answered), 60)
    assert len(logged(world)) == len(set(logged(world)))
    again.stop()
    assert list((world.settings().home / "prediction_log").glob("*.seg")) == []


def test_a_killed_worker_comes_back_while_the_other_one_answers(world: World, process: Callable[..., Process]) -> None:
    world.decide(champion=world.publish())
    service = process(EVERLOOP_SERVE_WORKERS="2")
    wait_until(lambda: len(service.workers()) == 2)
    with loaded(service) as load:
        victim = service.workers()[0]
        victim.kill()
        wait_until(lambda: len(service.workers()) == 2 and victim not in service.workers(), 60)
        reached = len(load.answered)
        wait_until(lambda: len(load.answered) > reached + 50, 60)
    assert load.failed == []
    assert load.broken <= 3, "only the clients of the killed worker may lose their connection"
    service.stop()
    assert set(logged(world)) >= set(load.answered)


def test_no_process_outlives_its_parent(world: World, process: Callable[..., Process]) -> None:
    world.decide(champion=world.publish())
    service = process()
    children = psutil.Process(service.pid).children()
    assert len(children) == 2
    psutil.Process(service.pid).kill()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
