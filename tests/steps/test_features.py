from __future__ import annotations

import pyarrow as pa
import pytest

from everloop.errors import DataError
from everloop.ports import Failure, Validation
from everloop.steps import features as step
from fakes.features import MemoryFeatures
from fakes.lake import MemoryLake
from fakes.taxi import DAYS, TAXI, entities, memory_features, publish


class ListedChecks:
    """`ports.Checks` that answers with the failures it was given, and keeps the rows it saw."""

    def __init__(self, *failures: Failure) -> None:
        self._failures = failures
        self.seen: list[pa.Table] = []

    def validate(self, rows: pa.Table, suite: str, run_name: str) -> Validation:
        self.seen.append(rows)
        return Validation(suite=suite, evaluated=2, failures=self._failures)

    def suite_text(self, suite: str) -> str:
        return f'{{"name": "{suite}"}}'


def failure(severity: str) -> Failure:
    text = "driver_fares__mean_2d lies in [0, 9]"
    return Failure(expectation="between", column="driver_fares__mean_2d", severity=severity, text=text, rows=(0, 3))


@pytest.fixture
def lake() -> MemoryLake:
    return MemoryLake()


@pytest.fixture
def features(lake: MemoryLake) -> MemoryFeatures:
    return memory_features(lake)


def test_computing_applies_the_definitions_and_counts_rows(features: MemoryFeatures, lake: MemoryLake) -> None:
    publish(lake, DAYS[0], {"ann": [1.0], "bob": [2.0]})
    answer = step.compute(features, ListedChecks(), lake, TAXI, DAYS[:1], "run")
    assert answer == {
        "intervals": ["2013-01-01T0000"],
        "rows": {"driver_fares": 2, "driver_home": 0, "city_level": 24},
        "warnings": [],
    }


def test_a_late_interval_corrects_the_later_ones_in_the_lake_and_online(features: MemoryFeatures, lake: MemoryLake) -> None:
    publish(lake, DAYS[1], {"ann": [4.0]})
    step.compute(features, ListedChecks(), lake, TAXI, [DAYS[1]], "run")
    step.materialize(features, [DAYS[1]])
    publish(lake, DAYS[0], {"ann": [2.0]})
    assert step.compute(features, ListedChecks(), lake, TAXI, [DAYS[0]], "late")["intervals"] == [
        "2013-01-01T0000",
        "2013-01-02T0000",
    ]
    assert step.materialize(features, [DAYS[0]])["changed"]["driver_fares"] == 1
    asked = entities(("ann", "JFK", DAYS[1].end))
    assert features.online(asked)["driver_fares__mean_2d"].to_pylist() == [3.0]
    assert features.history(asked)["driver_fares__mean_2d"].to_pylist() == [3.0]


def test_each_interval_is_worked_once(features: MemoryFeatures, lake: MemoryLake) -> None:
    for day in DAYS[:3]:
        publish(lake, day, {"ann": [1.0]})
    answer = step.compute(features, ListedChecks(), lake, TAXI, [DAYS[1], DAYS[0]], "run")
    assert answer["intervals"] == ["2013-01-01T0000", "2013-01-02T0000", "2013-01-03T0000"]


def test_running_again_changes_nothing(features: MemoryFeatures, lake: MemoryLake) -> None:
    publish(lake, DAYS[0], {"ann": [1.0]})
    step.compute(features, ListedChecks(), lake, TAXI, DAYS[:1], "run")
    step.materialize(features, DAYS[:1])
    versions = {table: lake.version(table) for table in lake.tables()}
    step.compute(features, ListedChecks(), lake, TAXI, DAYS[:1], "run")
    assert step.materialize(features, DAYS[:1])["changed"] == {"driver_fares": 0, "driver_home": 0, "city_level": 0}
    assert {table: lake.version(table) for table in lake.tables()} == versions


def test_the_suite_sees_what_the_interval_made(features: MemoryFeatures, lake: MemoryLake) -> None:
    publish(lake, DAYS[0], {"ann": [1.0, 3.0]})
    checks = ListedChecks()
    step.compute(features, checks, lake, TAXI, DAYS[:1], "run")
    assert checks.seen[0]["driver_fares__mean_2d"].to_pylist() == [2.0, 2.0]


def test_a_blocking_failure_stops_and_names_the_expectation(features: MemoryFeatures, lake: MemoryLake) -> None:
    publish(lake, DAYS[0], {"ann": [1.0]})
    with pytest.raises(DataError, match=r"driver_fares__mean_2d lies in \[0, 9\] \(2 rows\).*Nothing was offered"):
        step.compute(features, ListedChecks(failure("block")), lake, TAXI, DAYS[:1], "run")


def test_other_failures_are_warnings(features: MemoryFeatures, lake: MemoryLake) -> None:
    publish(lake, DAYS[0], {"ann": [1.0]})
    answer = step.compute(features, ListedChecks(failure("warn")), lake, TAXI, DAYS[:1], "run")
    assert answer["warnings"] == ["2013-01-01T0000: driver_fares__mean_2d lies in [0, 9] (2 rows)"]


def test_an_interval_without_examples_has_nothing_to_check(features: MemoryFeatures, lake: MemoryLake) -> None:
    checks = ListedChecks(failure("block"))
    step.compute(features, checks, lake, TAXI, DAYS[:1], "run")
    assert checks.seen == []
