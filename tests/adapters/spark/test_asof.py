"""The join on Spark gives what the join on DuckDB gives, row by row."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from everloop.adapters.features.history.asof import AsofView
from everloop.adapters.features.history.asof import join as duckdb_join
from everloop.adapters.spark.asof import join
from everloop.interval import Interval
from fakes.lake import MemoryLake

T = datetime(2013, 3, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIMESTAMP = pa.timestamp("us", "UTC")
FACTS = pa.schema(
    [
        ("carrier", pa.string()),
        ("flight", pa.int64()),
        ("rate", pa.float64()),
        ("seen", pa.int64()),
        ("late", pa.bool_()),
        ("event_timestamp", TIMESTAMP),
        ("created", TIMESTAMP),
    ]
)
ASKED = pa.schema([("airline", pa.string()), ("flight", pa.int64()), ("event_timestamp", TIMESTAMP)])


def view(ttl: timedelta | None, created: str | None = "created") -> AsofView:
    return AsofView(
        table="facts",
        join_keys={"airline": "carrier", "flight": "flight"},
        features={"rate": "facts__rate", "seen": "facts__seen", "late": "facts__late"},
        types={
            "airline": pa.string(),
            "flight": pa.int64(),
            "facts__rate": pa.float64(),
            "facts__seen": pa.int64(),
            "facts__late": pa.bool_(),
        },
        event_time="event_timestamp",
        created=created,
        ttl=ttl,
    )


def world(seed: int) -> tuple[pa.Table, pa.Table]:
    """Few keys and few moments, so that ties, corrections, late rows, expired rows and unknown keys all happen."""
    chance = random.Random(seed)
    some: Any = lambda values: chance.choice([*values, None])  # noqa: E731
    moment: Any = lambda: T + chance.randrange(12) * HOUR  # noqa: E731
    facts = [
        {
            "carrier": some(["UA", "AA"]),
            "flight": some([1, 2**53 + 1]),
            "rate": some([0.25, -1.5, 0.1 + 0.2]),
            "seen": some([3, 2**60]),
            "late": some([True, False]),
            "event_timestamp": (event := moment()),
            "created": chance.choice([event, event + chance.randrange(5) * HOUR, None]),
        }
        for _ in range(150)
    ]
    asked = [
        {"airline": some(["UA", "AA", "ZZ"]), "flight": some([1, 2**53 + 1]), "event_timestamp": moment()} for _ in range(200)
    ]
    return pa.Table.from_pylist(facts, FACTS), pa.Table.from_pylist(asked, ASKED)


@pytest.mark.parametrize("ttl", [None, 3 * HOUR, timedelta(0)])
@pytest.mark.parametrize("created", ["created", None])
def test_spark_and_duckdb_join_alike(spark: Any, ttl: timedelta | None, created: str | None) -> None:
    facts, asked = world(seed=7)
    lake = MemoryLake()
    lake.replace("facts", facts, Interval(T, T + 24 * HOUR))
    expected = duckdb_join(lake, view(ttl, created), None, asked, "event_timestamp")

    found = join(spark, spark.createDataFrame(facts), view(ttl, created), asked, "event_timestamp")

    assert found.to_pylist() == expected.to_pylist()
    assert found.schema == expected.schema
    assert 0 < expected["facts__rate"].null_count < asked.num_rows


def test_every_entity_row_is_kept_where_the_table_is_empty(spark: Any) -> None:
    _, asked = world(seed=7)
    found = join(spark, spark.createDataFrame(FACTS.empty_table()), view(None), asked, "event_timestamp")
    assert found.num_rows == asked.num_rows
    assert found["facts__rate"].null_count == asked.num_rows
