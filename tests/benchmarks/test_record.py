"""What a benchmark writes down."""

import json
from pathlib import Path

import pytest

from benchmarks.process import measure
from benchmarks.record import Record, machine


def test_record_writes_machine_versions_raw_samples_and_ratios_with_targets(tmp_path: Path) -> None:
    record = Record("example", packages=("pyarrow",))
    for seconds in (3.0, 1.0, 2.0):
        record.sample("ours", seconds=seconds)
    record.sample("peer", seconds=40.0)
    record.fact("rows lost", 0)
    record.ratio("peer / ours", record.median("peer", "seconds") / record.median("ours", "seconds"), 20, "higher")
    record.ratio("ours / floor", 1.6, 1.5, "lower")

    told = json.loads(record.finish(tmp_path).read_text())

    assert told["samples"] == {"ours": {"seconds": [3.0, 1.0, 2.0]}, "peer": {"seconds": [40.0]}}
    assert told["ratios"]["peer / ours"] == {"value": 20.0, "target": 20, "better": "higher", "met": True}
    assert told["ratios"]["ours / floor"]["met"] is False
    assert set(told["versions"]) == {"pyarrow"}
    assert told["facts"] == {"rows lost": 0}


def test_machine_names_processor_cores_and_memory() -> None:
    found = machine()
    assert found["processor"]
    assert found["cores"] >= 1
    assert found["memory_gb"] > 0


def test_measure_gives_the_answer_and_what_it_cost() -> None:
    found = measure("os.path", "join", a="left")
    assert (found.value, found.peak_mb > 1, found.cpu_seconds > 0, found.seconds > 0) == ("left", True, True, True)


def test_measure_says_which_call_failed() -> None:
    with pytest.raises(RuntimeError, match=r"os\.path\.getsize"):
        measure("os.path", "getsize", filename="/nowhere")
