"""How many labels there are: in the lake, and in the sources before anything is ingested."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from everloop.decide.policy import FairnessPolicy
from everloop.errors import SourceError
from everloop.steps.training.label_count import label_count
from everloop.use_case import DroppedFiles, Examples, SourceTable, UseCase
from fakes.departures import DEPARTURES, filled
from fakes.lake import MemoryLake
from fakes.source import MemorySource

START, WEEK = datetime(2013, 1, 1, tzinfo=UTC), timedelta(days=7)

LOANS = UseCase(
    name="loans", description="Who pays back?", start=START, interval=WEEK, feature_service="loans", entity=("id",),
    sources=(
        SourceTable(
            name="loans", source=DroppedFiles(pattern="%Y.csv"), key=("id",), event_time="closed", suite="loans",
            columns={"id": "string", "sex": "string", "closed": "timestamp", "late": "bool"},
        ),
    ),
    examples=Examples(
        tables=("loans",), suite="training_set",
        sql="SELECT id AS key, sex, late AS label, closed AS label_time, closed AS event_timestamp FROM loans "
        "WHERE closed >= $start AND closed < $end",
    ),
    fairness=FairnessPolicy(columns=("sex",), opportunity_difference=0.1),
)  # fmt: skip


def loans(week: int, *rows: tuple[str | None, bool]) -> list[dict[str, str | None]]:
    closed = (START + week * WEEK + timedelta(hours=1)).isoformat()
    return [{"id": f"{week}-{i}", "sex": sex, "closed": closed, "late": str(late).lower()} for i, (sex, late) in enumerate(rows)]


def source(*weeks: list[dict[str, str | None]]) -> MemorySource:
    found = MemorySource()
    for number, rows in enumerate(weeks):
        found.put("loans", rows, START + (number + 1) * WEEK)
    return found


def test_the_lakes_latest_weeks_tell_how_many_labels_come_and_which_share_is_positive() -> None:
    lake, _ = filled(10)
    found = label_count(lake, MemorySource(), DEPARTURES)
    assert found is not None
    bounds = {"start": START + 2 * WEEK, "end": START + 10 * WEEK}
    rows = lake.query(DEPARTURES.examples.sql, {"flights": None}, bounds)
    assert found.per_week == rows.num_rows / 8
    late = rows["label"].to_pylist()
    assert found.positive == pytest.approx(sum(late) / len(late))
    origins = rows["origin"].to_pylist()
    jfk = [label for label, origin in zip(late, origins, strict=True) if origin == "JFK"]
    assert found.groups["origin"]["JFK"] == (len(jfk) / 8, sum(jfk) / 8)
    assert set(found.groups["origin"]) == {"EWR", "JFK", "LGA"}


def test_of_a_young_lake_all_weeks_count() -> None:
    lake, _ = filled(2)
    found = label_count(lake, MemorySource(), DEPARTURES)
    assert found is not None
    bounds = {"start": START, "end": START + 2 * WEEK}
    assert found.per_week == lake.query(DEPARTURES.examples.sql, {"flights": None}, bounds).num_rows / 2


def test_before_anything_is_ingested_the_sources_latest_interval_tells() -> None:
    found = label_count(
        MemoryLake(), source(loans(0, ("f", True)), loans(1, ("f", False), ("m", True), ("m", False), (None, False))), LOANS
    )
    assert found is not None
    assert (found.per_week, found.positive) == (4, 0.25)
    assert found.groups == {"sex": {"f": (1, 0), "m": (2, 1), "(missing)": (1, 0)}}


def test_rows_of_no_group_are_left_out_where_the_policy_does() -> None:
    left_out = replace(LOANS, fairness=FairnessPolicy(columns=("sex",), missing=False))
    found = label_count(MemoryLake(), source(loans(0, ("f", True), (None, False))), left_out)
    assert found is not None
    assert found.groups == {"sex": {"f": (1, 1)}}


def test_numbers_count_as_labels_and_nulls_do_not() -> None:
    sql = "SELECT id AS key, sex, CASE WHEN id = '0-2' THEN NULL WHEN late THEN 1 ELSE 0 END AS label FROM loans"
    numbers = replace(LOANS, examples=replace(LOANS.examples, sql=sql))
    found = label_count(MemoryLake(), source(loans(0, ("f", True), ("f", False), ("f", True))), numbers)
    assert found is not None
    assert (found.per_week, found.positive, found.groups) == (2, 0.5, {"sex": {"f": (2, 1)}})


def test_where_there_is_nothing_nothing_is_told() -> None:
    assert label_count(MemoryLake(), MemorySource(), LOANS) is None
    empty = source(loans(0))
    assert label_count(MemoryLake(), empty, LOANS) is None
    young = MemorySource()
    young.put("loans", loans(0, ("f", True)), START + timedelta(days=2))
    assert label_count(MemoryLake(), young, LOANS) is None


def test_a_world_that_has_ended_is_not_asked_for_more() -> None:
    ended = replace(LOANS, end=START + WEEK)
    found = label_count(MemoryLake(), source(loans(0, ("f", True)), loans(1, ("f", True), ("m", True))), ended)
    assert found is not None
    assert found.per_week == 1


def test_a_source_that_is_down_says_so() -> None:
    down = source(loans(0, ("f", True)))
    down.down = True
    with pytest.raises(SourceError):
        label_count(MemoryLake(), down, LOANS)
