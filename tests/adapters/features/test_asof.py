"""The point-in-time join against a reference that spells it out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from everloop.adapters.features.history.asof import ROWS_AT_ONCE, AsofView, join
from everloop.interval import Interval
from fakes.lake import MemoryLake

START = datetime(2013, 1, 1, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")
INTERVAL = Interval(START, START + timedelta(days=400))

keys = st.sampled_from(["UA", "AA"])
moments = st.integers(0, 12).map(lambda n: START + timedelta(hours=n))
rows = st.lists(st.tuples(keys | st.none(), moments, moments | st.none(), st.integers(0, 99) | st.none()), max_size=25)
asked = st.lists(st.tuples(keys | st.sampled_from(["ZZ", None]), moments | st.none()), min_size=1, max_size=25)
ttls = st.sampled_from([None, timedelta(0), timedelta(hours=2), timedelta(hours=5)])
at_once = st.sampled_from([1, 3, ROWS_AT_ONCE])


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


def lake_of(found: list[tuple[str | None, datetime, datetime | None, int | None]]) -> MemoryLake:
    lake = MemoryLake()
    schema = pa.schema({"carrier": pa.string(), "event_timestamp": TIME, "created": TIME, "rate": pa.int64()})
    table = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in found], schema=schema)
    lake.replace("delay", table, INTERVAL)
    return lake


def entities_of(found: list[tuple[str | None, datetime | None]]) -> pa.Table:
    return pa.table({"carrier": pa.array([k for k, _ in found], pa.string()), "at": pa.array([m for _, m in found], TIME)})


def joined(lake: MemoryLake, wanted: AsofView, found: Sequence[Any], rows_at_once: int = ROWS_AT_ONCE) -> list[Any]:
    result = join(lake, wanted, None, entities_of(list(found)), "at", rows_at_once=rows_at_once)
    assert result.schema == pa.schema([("delay__rate", pa.int64())])
    return list(result["delay__rate"].to_pylist())


def expected(found: list[Any], ttl: timedelta | None, entity: tuple[str | None, datetime | None], *, use_created: bool) -> Any:
    """The rule, row by row. Of equal times the largest value counts, null the largest."""
    key, moment = entity
    if key is None or moment is None:
        return None
    known = [
        (event, (created or event) if use_created else event, value is None, value or 0, value)
        for carrier, event, created, value in found
        if carrier == key and event <= moment and (not use_created or (created or event) <= moment)
    ]
    if not known:
        return None
    event, *_, value = max(known, key=lambda row: row[:4])
    return value if ttl is None or event >= moment - ttl else None


@settings(max_examples=150, deadline=None)
@given(rows, asked, ttls, at_once)
@example([("UA", START, START, 0), ("UA", START, None, 1)], [("UA", START)], None, ROWS_AT_ONCE)
def test_the_join_equals_the_reference(found: list[Any], wanted: list[Any], ttl: timedelta | None, at_once: int) -> None:
    answers = joined(lake_of(found), view(ttl), wanted, at_once)
    assert answers == [expected(found, ttl, entity, use_created=True) for entity in wanted]


@settings(max_examples=40, deadline=None)
@given(rows, asked, ttls, at_once)
def test_without_a_created_column_event_time_alone_counts(
    found: list[Any], wanted: list[Any], ttl: timedelta | None, at_once: int
) -> None:
    answers = joined(lake_of(found), view(ttl, created=None), wanted, at_once)
    assert answers == [expected(found, ttl, entity, use_created=False) for entity in wanted]


@settings(max_examples=60, deadline=None)
@given(rows, asked, ttls, st.randoms(use_true_random=False))
def test_the_order_of_stored_rows_never_matters(
    found: list[Any], wanted: list[Any], ttl: timedelta | None, chance: random.Random
) -> None:
    shuffled = chance.sample(found, len(found))
    assert joined(lake_of(found), view(ttl), wanted) == joined(lake_of(shuffled), view(ttl), wanted)


@settings(max_examples=60, deadline=None)
@given(rows, asked, ttls, rows)
def test_what_becomes_known_later_never_changes_an_earlier_answer(
    found: list[Any], wanted: list[Any], ttl: timedelta | None, later: list[Any]
) -> None:
    after = timedelta(hours=13)
    late = [(key, event, START + after, value) for key, event, _, value in later]
    assert joined(lake_of(found + late), view(ttl), wanted) == joined(lake_of(found), view(ttl), wanted)


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


def test_a_version_with_nulls_hides_the_value_before_it() -> None:
    hour = timedelta(hours=1)
    lake = lake_of([("UA", START, START, 1), ("UA", START, START + 2 * hour, None)])
    assert joined(lake, view(None), [("UA", START + hour), ("UA", START + 2 * hour)]) == [1, None]


def test_keys_of_two_columns_match_as_pairs_whatever_part_they_fall_in() -> None:
    pairs = [(f"{n % 7}", n % 5) for n in range(35)]
    lake = MemoryLake()
    table = pa.table(
        {
            "a": [a for a, _ in pairs],
            "b": pa.array([b for _, b in pairs], pa.int64()),
            "event_timestamp": pa.array([START] * 35, TIME),
            "value": pa.array(range(35), pa.int64()),
        }
    )
    lake.replace("pairs", table, INTERVAL)
    wanted = AsofView(
        table="pairs",
        join_keys={"left": "a", "right": "b"},
        features={"value": "value"},
        types={"left": pa.string(), "right": pa.int64(), "value": pa.int64()},
        event_time="event_timestamp",
        created=None,
        ttl=None,
    )
    entities = pa.table({"left": table["a"], "right": table["b"], "at": table["event_timestamp"]})
    for rows_at_once in (1, 4, ROWS_AT_ONCE):
        found = join(lake, wanted, None, entities, "at", rows_at_once=rows_at_once)
        assert found["value"].to_pylist() == list(range(35))


def test_a_view_without_keys_answers_every_moment() -> None:
    lake = lake_of([("UA", START, START, 1), ("AA", START + timedelta(hours=1), None, 2)])
    wanted = replace(view(None), join_keys={}, types={"delay__rate": pa.int64()})
    hours = [timedelta(hours=n) for n in (-1, 0, 1)]
    assert joined(lake, wanted, [(None, START + hour) for hour in hours]) == [None, 1, 2]


def test_no_entity_rows_give_no_rows() -> None:
    assert joined(lake_of([("UA", START, START, 1)]), view(None), []) == []


def test_an_absent_table_gives_typed_nulls() -> None:
    result = join(MemoryLake(), view(None), None, entities_of([("UA", START)]), "at")
    assert result.equals(pa.table({"delay__rate": pa.array([None], pa.int64())}))
