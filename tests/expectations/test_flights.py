"""The shipped suites: they load, speak of columns that exist, hold for real rows, and catch rows that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from everloop.adapters.checks import ExpectationSuites
from everloop.adapters.checks.definition import Suite, parse
from everloop.demo.year import flights, observations
from everloop.ports import Validation

FOLDER = Path(__file__).parents[2] / "expectations" / "flights"
SUITES = ["features", "flights", "planes", "training_set", "weather"]
REQUEST = {"carrier", "flight", "tailnum", "origin", "dest", "scheduled_departure", "scheduled_arrival", "distance"}
FEATURES = {
    "carrier_delay": ("rate_7d", "rate_28d", "flights_28d"),
    "origin_delay": ("rate_7d", "rate_28d"),
    "route_delay": ("rate_28d", "flights_28d"),
    "aircraft_delay": ("rate_28d", "flights_28d"),
    "aircraft": ("year", "engines", "seats"),
    "weather_hourly": ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
    "schedule": ("departure_minute", "arrival_minute", "weekday", "distance"),
}
NAMED = {f"{view}__{name}" for view, names in FEATURES.items() for name in names}
JANUARY = datetime(2013, 1, 8, tzinfo=UTC)
WEEK = (JANUARY, JANUARY + timedelta(days=7))


def suite(name: str) -> Suite:
    return parse((FOLDER / f"{name}.json").read_text(), name)


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> ExpectationSuites:
    return ExpectationSuites(FOLDER, tmp_path_factory.mktemp("docs"))


def test_every_suite_is_known_here() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == SUITES


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_has_blocking_and_softer_rules_and_no_rule_twice(name: str) -> None:
    rules = [(each.rule, each.severity) for each in suite(name).expectations]
    assert len(rules) == len(set(rules))
    assert {"block", "warn"} <= {severity for _, severity in rules}


def test_the_feature_suite_speaks_of_all_features_and_of_nothing_else() -> None:
    assert {each.column for each in suite("features").expectations} == NAMED


def test_the_training_suite_covers_every_request_field() -> None:
    columns = {column for each in suite("training_set").expectations for column in (each.column or "").split(",") if column}
    assert columns >= REQUEST
    assert columns <= REQUEST | NAMED | {"key", "label", "event_timestamp", "label_time"}


def test_a_request_is_refused_only_for_rules_that_one_row_can_break() -> None:
    for each in suite("training_set").expectations:
        assert each.severity != "quarantine" or (each.column in REQUEST and "mostly" not in each.kwargs)


def test_a_real_week_passes(checks: ExpectationSuites) -> None:
    assert checks.validate(flights(*WEEK, by="closed_at"), "flights", "real").failures == ()
    assert checks.validate(observations(*WEEK), "weather", "real").failures == ()


@dataclass(frozen=True)
class Fault:
    """A change to one row of a real week, and the rule that must find it."""

    suite: str
    changes: dict[str, Any]
    rule: str

    def __str__(self) -> str:
        return f"{self.suite}: {self.changes}"


BETWEEN, REGEX, NULL, PAIR = (
    "expect_column_values_to_be_between",
    "expect_column_values_to_match_regex",
    "expect_column_values_to_not_be_null",
    "expect_column_pair_values_a_to_be_greater_than_b",
)
FAULTS = [
    Fault("flights", {"distance": -5.0}, BETWEEN),
    Fault("flights", {"carrier": "united"}, REGEX),
    Fault("flights", {"dest": None}, NULL),
    Fault("flights", {"tailnum": "D942DN"}, REGEX),
    Fault("flights", {"origin": "ORD"}, "expect_column_values_to_be_in_set"),
    Fault("flights", {"arrival_delay": 9999.0}, BETWEEN),
    Fault("flights", {"scheduled_arrival": 2560}, BETWEEN),
    Fault("flights", {"closed_at": datetime(2013, 1, 2, tzinfo=UTC)}, PAIR),
    Fault("weather", {"wind_speed": 1048.4}, BETWEEN),
    Fault("weather", {"temp": 500.0}, BETWEEN),
    Fault("weather", {"humid": 101.0}, BETWEEN),
    Fault("weather", {"temp": 10.0, "dewp": 20.0}, PAIR),
]


@pytest.fixture(scope="module")
def faulty(checks: ExpectationSuites) -> Callable[[str], Validation]:
    """What a suite says of a real week whose row `n` has the suite's fault `n`."""
    real = {"flights": flights(*WEEK, by="closed_at"), "weather": observations(*WEEK)}
    found = {}
    for name, rows in real.items():
        changed = rows.to_pylist()
        for position, fault in enumerate(fault for fault in FAULTS if fault.suite == name):
            changed[position].update(fault.changes)
        found[name] = checks.validate(pa.Table.from_pylist(changed, schema=rows.schema), name, "faulty")
    return found.__getitem__


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_faulty_row_is_put_aside_by_its_rule(faulty: Callable[[str], Validation], fault: Fault) -> None:
    position = [each for each in FAULTS if each.suite == fault.suite].index(fault)
    mine = [f for f in faulty(fault.suite).failures if position in f.rows and f.severity == "quarantine"]
    assert [f.expectation for f in mine] == [fault.rule]
    assert set((mine[0].column or "").split(",")) & set(fault.changes)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("flights", lambda rows: rows.slice(0, 50)),
        ("flights", lambda rows: rows.set_column(9, "arrival_delay", pa.nulls(rows.num_rows, pa.float64()))),
        ("weather", lambda rows: rows.set_column(2, "temp", pa.nulls(rows.num_rows, pa.float64()))),
    ],
    ids=["too few flights", "no outcomes", "no temperatures"],
)
def test_a_broken_feed_blocks(checks: ExpectationSuites, name: str, spoil: Callable[[pa.Table], pa.Table]) -> None:
    rows = flights(*WEEK, by="closed_at") if name == "flights" else observations(*WEEK)
    assert checks.validate(spoil(rows), name, "broken").blocking
