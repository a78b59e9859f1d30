"""Put into a benchmark's DAG file: every task notes when its own code began, and what CPU its process took before and since.

Airflow itself knows when the task was ready, when its process started, and when it was done.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NOTES = "task_times.jsonl"
_begun: dict[str, tuple[float, float]] = {}


def watch(dags: Iterable[Any]) -> None:
    """Have every task of `dags` note its time in `<EVERLOOP_HOME>/task_times.jsonl`."""
    for dag in dags:
        for task in dag.tasks:
            task.on_execute_callback = [began]
            task.on_success_callback = [ended]


def began(context: Any) -> None:
    """Called in the task's process, just before its code."""
    _begun[context["ti"].task_id] = (time.time(), time.process_time())


def ended(context: Any) -> None:
    """Called in the same process, just after."""
    instance = context["ti"]
    moment, cpu = _begun.pop(instance.task_id)
    note = {
        "task": instance.task_id,
        "run": instance.run_id,
        "began": moment,
        "cpu_before": cpu,
        "cpu": time.process_time() - cpu,
    }
    file = os.open(Path(os.environ["EVERLOOP_HOME"], NOTES), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, json.dumps(note).encode() + b"\n")
    finally:
        os.close(file)


def read(home: Path) -> list[dict[str, Any]]:
    """All notes, in the order in which tasks ended."""
    return [json.loads(line) for line in (home / NOTES).read_text().splitlines()]
