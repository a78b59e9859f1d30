"""The point-in-time join against a reference that spells it out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.adapters.features.asof import AsofView, join
from everloop.interval import Interval
from fakes.lake import MemoryLake

START = datetime(2013, 1, 1, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")
INTERVAL = Interval(START, START + timedelta(days=400))

keys = st.sampled_from(["UA", "AA"])
moments = st.integers(0, 12).map(lambda n: START + timedelta(hours=n))
rows = st.lists(st.tuples(keys, moments, moments | st.none(), st.integers(0, 99)), max_size=25, unique_by=lambda row: row[:3])
asked = st.lists(st.tuples(keys | st.sampled_from(["ZZ", None]), moments), min_size=1, max_size=25)
ttls = st.sampled_from([None, timedelta(hours=2), timedelta(hours=5)])


def view(ttl: timedelta | None, created: str | None = "created") -> AsofView:
    return AsofView(
        table="delay",
        join_keys={"carrier": "carrier"},
        features={"rate": "delay__rate"},
        types={"carrier": pa.string(), "delay__rate": pa.int64()},
        event_time="event_timestamp",
        created=created,
        ttl=ttl,
    )


def lake_of(found: list[tuple[str, datetime, datetime | None, int]]) -> MemoryLake:
    lake = MemoryLake()
    schema = pa.schema({"carrier": pa.string(), "event_timestamp": TIME, "created": TIME, "rate": pa.int64()})
    table = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in found], schema=schema)
    lake.replace("delay", table, INTERVAL)
    return lake


def entities_of(found: list[tuple[str | None, datetime]]) -> pa.Table:
    return pa.table({"carrier": pa.array([k for k, _ in found], pa.string()), "at": pa.array([m for _, m in found], TIME)})


def joined(lake: MemoryLake, wanted: AsofView, found: list[tuple[str | None, datetime]]) -> list[Any]:
    result = join(lake, wanted, None, entities_of(found), "at")
    assert result.column_names == ["delay__rate"]
    return list(result["delay__rate"].to_pylist())


def expected(found: list[Any], ttl: timedelta | None, entity: tuple[str | None, datetime], use_created: bool) -> int | None:
    key, moment = entity
    known = [
        (event, created or event, value)
        for carrier, event, created, value in found
        if carrier == key and event <= moment and (not use_created or (created or event) <= moment)
    ]
    if not known:
        return None
    event, _, value = max(known, key=lambda row: row[:2] if use_created else row[0])
    return value if ttl is None or event >= moment - ttl else None


@settings(max_examples=60, deadline=None)
@given(rows, asked, ttls)
def test_the_join_equals_the_reference(found: list[Any], wanted: list[Any], ttl: timedelta | None) -> None:
    assert joined(lake_of(found), view(ttl), wanted) == [expected(found, ttl, entity, use_created=True) for entity in wanted]


@settings(max_examples=20, deadline=None)
@given(rows.map(lambda found: list({row[:2]: row for row in found}.values())), asked, ttls)
def test_without_a_created_column_event_time_alone_counts(found: list[Any], wanted: list[Any], ttl: timedelta | None) -> None:
    answers = joined(lake_of(found), view(ttl, created=None), wanted)
    assert answers == [expected(found, ttl, entity, use_created=False) for entity in wanted]


@pytest.mark.parametrize(("hours", "rate"), [(-1, None), (0, 7), (2, 7), (3, None)])
def test_both_ends_of_the_ttl_count(hours: int, rate: int | None) -> None:
    lake = lake_of([("UA", START, START, 7)])
    assert joined(lake, view(timedelta(hours=2)), [("UA", START + timedelta(hours=hours))]) == [rate]


def test_a_late_correction_is_seen_only_from_its_creation_on() -> None:
    hour = timedelta(hours=1)
    lake = lake_of([("UA", START, START, 1), ("UA", START, START + 3 * hour, 2)])
    assert joined(lake, view(None), [("UA", START + 2 * hour), ("UA", START + 3 * hour)]) == [1, 2]


def test_a_late_row_of_an_older_event_does_not_hide_a_newer_event() -> None:
    hour = timedelta(hours=1)
    lake = lake_of([("UA", START + hour, START + hour, 1), ("UA", START, START + 3 * hour, 2)])
    assert joined(lake, view(None), [("UA", START + 4 * hour)]) == [1]


def test_an_absent_table_gives_typed_nulls() -> None:
    result = join(MemoryLake(), view(None), None, entities_of([("UA", START)]), "at")
    assert result.equals(pa.table({"delay__rate": pa.array([None], pa.int64())}))
