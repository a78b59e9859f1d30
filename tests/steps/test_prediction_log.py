"""The prediction log in the lake: each day once, late rows added, nothing lost to retention, whom it must forget forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from everloop.adapters.lake import DeltaLake
from everloop.ports import Lake
from everloop.steps import prediction_log
from everloop.use_case import UseCase
from fakes.lake import MemoryLake
from fakes.traffic import InMemoryTraffic, prediction

NOW = datetime(2026, 3, 10, 3, 30, tzinfo=UTC)
TODAY = datetime(2026, 3, 10, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(params=["delta", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    return MemoryLake() if request.param == "memory" else DeltaLake(str(tmp_path / "lake"))


@pytest.fixture
def traffic() -> InMemoryTraffic:
    return InMemoryTraffic()


def requests(lake: Lake) -> list[str]:
    return sorted(lake.read(prediction_log.TABLE)["request_id"].to_pylist())


def test_days_that_are_over_are_written_once(traffic: InMemoryTraffic, lake: Lake, toys: UseCase):
    moments = {"a": TODAY - 3 * DAY, "b": TODAY - DAY, "c": TODAY - timedelta(seconds=1), "today": TODAY}
    traffic.log("toys", [prediction(name, at=at, flags=["f"]) for name, at in moments.items()])
    told = prediction_log.export(traffic, lake, toys, now=NOW)
    assert told == {"days": ["2026-03-07", "2026-03-09"], "rows": 3}
    version = lake.version(prediction_log.TABLE)
    assert prediction_log.export(traffic, lake, toys, now=NOW) == {"days": [], "rows": 0}
    assert lake.version(prediction_log.TABLE) == version
    assert requests(lake) == ["a", "b", "c"]
    assert lake.intervals(prediction_log.TABLE) == {TODAY - 3 * DAY, TODAY - DAY}
    assert prediction_log.export(traffic, lake, toys, now=NOW + DAY)["days"] == ["2026-03-10"]


def test_a_day_is_not_over_right_after_midnight(traffic: InMemoryTraffic, lake: Lake, toys: UseCase):
    traffic.log("toys", [prediction("a", at=TODAY - timedelta(seconds=1))])
    assert prediction_log.export(traffic, lake, toys, now=TODAY + timedelta(minutes=59))["days"] == []
    assert prediction_log.export(traffic, lake, toys, now=TODAY + timedelta(minutes=60))["days"] == ["2026-03-09"]


def test_late_rows_are_added_to_their_day_also_when_retention_took_the_others(
    traffic: InMemoryTraffic, lake: Lake, toys: UseCase
):
    day = (TODAY - DAY).date()
    traffic.log(
        "toys", [prediction("old", at=TODAY - DAY, as_of=TODAY - 500 * DAY), prediction("new", at=TODAY - DAY, as_of=TODAY)]
    )
    prediction_log.export(traffic, lake, toys, now=NOW)
    traffic.expire("toys", TODAY - 400 * DAY)
    traffic.log("toys", [prediction("late", at=TODAY - DAY, as_of=TODAY)])
    traffic.late_days["toys"] = {day: NOW, TODAY.date(): NOW}
    assert prediction_log.export(traffic, lake, toys, now=NOW)["days"] == [day.isoformat()]
    assert requests(lake) == ["late", "new", "old"]
    assert traffic.late("toys") == {TODAY.date(): NOW}
    version = lake.version(prediction_log.TABLE)
    traffic.late_days["toys"] = {day: NOW}
    prediction_log.export(traffic, lake, toys, now=NOW)
    assert lake.version(prediction_log.TABLE) == version


def test_a_changed_row_replaces_what_the_lake_had_of_it(traffic: InMemoryTraffic, lake: Lake, toys: UseCase):
    day = (TODAY - DAY).date()
    traffic.log("toys", [prediction("a", at=TODAY - DAY)])
    prediction_log.export(traffic, lake, toys, now=NOW)
    traffic.predictions["toys"][0]["shadow_score"] = 0.75
    traffic.late_days["toys"] = {day: NOW}
    prediction_log.export(traffic, lake, toys, now=NOW)
    assert lake.read(prediction_log.TABLE)["shadow_score"].to_pylist() == [0.75]


def test_days_that_the_lake_keeps_no_longer_are_emptied_and_not_written_again(
    traffic: InMemoryTraffic, lake: Lake, toys: UseCase
):
    assert prediction_log.expire(lake, NOW) == 0
    traffic.log("toys", [prediction(f"r{n}", at=TODAY - n * DAY) for n in (1, 2, 3)])
    prediction_log.export(traffic, lake, toys, now=NOW)
    assert prediction_log.expire(lake, TODAY - DAY - timedelta(seconds=1)) == 1
    assert requests(lake) == ["r1", "r2"]
    assert prediction_log.expire(lake, TODAY - DAY) == 1
    assert prediction_log.export(traffic, lake, toys, now=NOW) == {"days": [], "rows": 0}
    assert requests(lake) == ["r1"]


def test_whom_an_erasure_names_is_gone_from_every_day(traffic: InMemoryTraffic, lake: Lake, toys: UseCase):
    assert prediction_log.forget(lake, ["ann"]) == 0
    named = {"a": "ann", "b": "bob", "c": "ann"}
    traffic.log("toys", [prediction(r, entity=e, at=TODAY - n * DAY) for n, (r, e) in enumerate(named.items(), 1)])
    traffic.log("toys", [prediction("d", entity="bob", at=TODAY - DAY)])
    prediction_log.export(traffic, lake, toys, now=NOW)
    traffic.erase("toys", ["ann"])
    assert prediction_log.forget(lake, ["ann", "eve"]) == 2
    assert prediction_log.forget(lake, ["ann"]) == 0
    assert requests(lake) == ["b", "d"]
    assert prediction_log.export(traffic, lake, toys, now=NOW)["days"] == []
