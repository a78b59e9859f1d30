"""The same code as the benchmark's, on a small history."""

from __future__ import annotations

from pathlib import Path

from benchmarks import history_memory
from benchmarks.record import Record


def test_the_join_in_partitions_finds_the_latest_version_known(tmp_path: Path) -> None:
    history_memory.generate(tmp_path, keys=200, versions=10)
    for versions in (2, 10):
        found = history_memory.run(str(tmp_path), keys=200, versions=versions, asked=500, rows_at_once=300)
        assert found["wrong"] == 0


def test_both_sizes_are_measured(tmp_path: Path) -> None:
    history_memory.generate(tmp_path, keys=50, versions=5)
    record = Record("history_memory")
    history_memory.compare(record, str(tmp_path), keys=50, versions=5, asked=100, rows_at_once=100)
    assert record.facts["history rows, whole"] == 250
    assert record.facts["wrong answers, whole"] == record.facts["wrong answers, a_fifth"] == 0
    assert set(record.ratios) == {"peak GB of the whole", "peak of the whole / of a fifth"}
