"""The use case of the service's benchmarks is what it says: 27 inputs, rows that break no rule, features for every entity."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from benchmarks.serving.departures import (
    CLOCK,
    COLUMNS,
    FUNCTIONS,
    REQUEST,
    SUITE,
    VIEWS,
    body,
    row,
    stored_rows,
    whole_row,
)
from everloop.serve.reading.checks import compile_suite
from everloop.serve.reading.rows import RowReader


def test_there_are_27_inputs_of_which_15_are_stored_and_4_made() -> None:
    assert len(COLUMNS) == len(set(COLUMNS)) == 27
    assert sum(len(view.features) for view in VIEWS) == 15
    assert len(CLOCK.features) == 4


def test_every_row_passes_the_ten_checks_of_its_suite_without_a_flag() -> None:
    checks = compile_suite(json.dumps(SUITE).encode(), REQUEST)
    assert len(checks) == 10
    reader = RowReader(REQUEST, checks)
    for number in (0, 1, 17, 99_999):
        block, explain = reader.body(body(row(number)), 1, datetime.now(UTC))
        assert not explain
        assert block.flags == [()]


def test_every_entity_that_rows_ask_for_is_stored() -> None:
    stored = {name: {one[0] for one in rows} for name, rows in stored_rows().items()}
    for number in range(2_000):
        asked = row(number)
        assert all(asked[key] in stored[view.name] for view in VIEWS for key in view.join_keys)


def test_a_whole_row_has_every_input() -> None:
    assert set(COLUMNS) <= set(whole_row(3))


def test_the_request_function_gives_what_its_plan_names() -> None:
    module: dict[str, object] = {}
    exec(FUNCTIONS, module)
    found = module["clock"]({"scheduled": [1_440 + 90, None]})  # type: ignore[operator]
    assert set(found) == set(CLOCK.features)
    assert found["hour"] == [1, None]
    assert found["weekday"] == [1, None]
