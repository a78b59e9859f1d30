"""A side of a benchmark in a process of its own: what it answers, and how its end is told."""

from __future__ import annotations

import pytest

from benchmarks.process import measure


def test_what_a_function_answers_and_costs() -> None:
    found = measure("json", "dumps", obj={"a": 1})
    assert found.value == '{"a": 1}'
    assert found.cpu_seconds > 0
    assert found.peak_mb > 1


def test_one_that_takes_too_long_is_ended_and_one_that_dies_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"signal.pause\({}\) was ended at its limit of 1 s"):
        measure("signal", "pause", seconds=1.0)
    with pytest.raises(RuntimeError, match=r"os.abort\({}\) ended with -6 after"):
        measure("os", "abort")
