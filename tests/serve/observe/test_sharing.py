"""Several processes count into one folder: any of them tells of all, and of those that are gone what they counted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from everloop.serve.observe.sharing import Shared, joined, workers

COUNTING = """
import sys
from pathlib import Path
from everloop.serve.metrics import Metrics

metrics = Metrics(Path("nowhere"))
for _ in range(int(sys.argv[1])):
    metrics.answered("trips", "score", 200, 0.003)
metrics.in_flight.labels("trips").set(3)
metrics.trained_through.labels("trips").set(float(sys.argv[1]))
metrics.flush()
print(metrics.text().decode())
sys.stdout.flush()
sys.stdin.read()
"""


class Worker:
    """A process that counts some requests, tells what it knows, and lives until it is killed."""

    def __init__(self, shared: Shared, number: int, requests: int) -> None:
        path = os.pathsep.join(path for path in sys.path if path)
        environment = {**os.environ, **shared.variables(number), "PYTHONPATH": path}
        command = [sys.executable, "-c", COUNTING, str(requests)]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self.process.stdout is not None
        told = []
        while (line := self.process.stdout.readline()).strip():
            told.append(line)
        self.text = "".join(told)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def sample(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            if one.name == name and labels.items() <= one.labels.items():
                return float(one.value)
    return None


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    shared = Shared(tmp_path / "metrics")
    shared.begin()
    return shared


def test_any_worker_tells_of_all_and_of_the_dead_what_they_counted(shared: Shared) -> None:
    first = Worker(shared, 0, 10)
    second = Worker(shared, 1, 20)
    assert sample(second.text, "everloop_requests_total", route="score") == 30
    assert sample(second.text, "everloop_request_seconds_count", route="score") == 30
    assert sample(second.text, "everloop_request_seconds_bucket", route="score", le="0.005") == 30
    assert sample(second.text, "everloop_in_flight") == 6
    assert sample(second.text, "everloop_champion_trained_through_timestamp_seconds") == 10
    assert sample(second.text, "process_resident_memory_bytes", worker="0") is not None
    first.kill()
    shared.ended(0)
    again = Worker(shared, 0, 5)
    assert sample(again.text, "everloop_requests_total", route="score") == 35
    assert sample(again.text, "everloop_in_flight") == 6, "what a dead worker had in flight is gone"
    again.kill()
    second.kill()


def test_a_worker_that_comes_back_a_hundred_times_leaves_as_many_files_as_once(shared: Shared, tmp_path: Path) -> None:
    for _ in range(2):
        Worker(shared, 0, 1).kill()
        shared.ended(0)
    files = sorted(file.name for file in (tmp_path / "metrics").iterdir())
    assert files == ["counter_0.db", "histogram_0.db"]


def test_a_fleet_that_starts_forgets_the_one_before(shared: Shared, tmp_path: Path) -> None:
    Worker(shared, 0, 10).kill()
    shared.begin()
    assert list((tmp_path / "metrics").iterdir()) == []


def test_without_a_fleet_a_process_counts_for_itself() -> None:
    assert joined({}) is None
    assert workers(None) == {"0": os.getpid()}
