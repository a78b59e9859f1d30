"""Writing back: once, twice, and into tables that do not fit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from everloop.adapters.destination import PostgresDestination
from everloop.errors import ConfigurationError, DataError, SourceError
from everloop.ports import Batches
from fakes.destination import MemoryDestination

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)


def rows(*keys: str, score: float | None = 0.5, decision: bool | None = True) -> pa.Table:
    return pa.table(
        {
            "key": pa.array(keys, pa.string()),
            "score": pa.array([score] * len(keys), pa.float64()),
            "decision": pa.array([decision] * len(keys), pa.bool_()),
            "as_of": pa.array([NOON] * len(keys), pa.timestamp("us", "UTC")),
        }
    )


def batches(*given: pa.Table) -> Batches:
    """The rows of several tables, a batch each."""
    return Batches(given[0].schema, sum(map(len, given)), lambda: (batch for one in given for batch in one.to_batches()))


class Stored(PostgresDestination):
    """The real adapter, with a way to look at what it wrote."""

    def __init__(self, uri: str) -> None:
        super().__init__({"shop": uri})
        self.uri = uri

    def rows(self, connection: str, table: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.uri, row_factory=psycopg.rows.dict_row, options="-c timezone=UTC") as database:
            return database.execute(f"SELECT * FROM {table} ORDER BY key").fetchall()


@pytest.fixture(params=["memory", "postgres"])
def destination(request: pytest.FixtureRequest) -> MemoryDestination | Stored:
    return MemoryDestination() if request.param == "memory" else Stored(request.getfixturevalue("database"))


def test_an_upsert_makes_the_table_and_may_be_repeated(destination: MemoryDestination | Stored) -> None:
    for _ in range(2):
        assert destination.upsert("shop", "out", batches(rows('a "quoted", key', "")), "key") == 2
    assert destination.rows("shop", "out") == rows("", 'a "quoted", key').to_pylist()


def test_a_newer_value_replaces_and_others_stay(destination: MemoryDestination | Stored) -> None:
    destination.upsert("shop", "out", batches(rows("a", "b")), "key")
    destination.upsert("shop", "out", batches(rows("b", "c", score=None, decision=None)), "key")
    found = {row["key"]: (row["score"], row["decision"]) for row in destination.rows("shop", "out")}
    assert found == {"a": (0.5, True), "b": (None, None), "c": (None, None)}


def test_repeated_and_absent_keys_are_refused(destination: MemoryDestination | Stored) -> None:
    for wrong in (rows("a", "a"), pa.table({"key": pa.array([None], pa.string())}), rows("b", "c", "b")):
        with pytest.raises(DataError, match=r"one row per key|give every row one"):
            destination.upsert("shop", "out", batches(wrong), "key")


def test_equal_rows_are_left_untouched(database: str) -> None:
    destination = PostgresDestination({"shop": database})

    def versions() -> list[Any]:
        with psycopg.connect(database) as connection:
            return connection.execute("SELECT key, xmin::text FROM out ORDER BY key").fetchall()

    destination.upsert("shop", "out", batches(rows("a", "b")), "key")
    before = versions()
    destination.upsert("shop", "out", batches(rows("a", "b")), "key")
    assert versions() == before


def test_a_table_that_does_not_fit_is_explained(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE narrow (key text PRIMARY KEY)")
        connection.execute("CREATE TABLE loose (key text, score float8, decision bool, as_of timestamptz)")
    for table in ("narrow", "loose"):
        with pytest.raises(ConfigurationError, match=f'Table "{table}" of "shop" cannot take predictions'):
            PostgresDestination({"shop": database}).upsert("shop", table, batches(rows("a")), "key")


def test_unknown_and_silent_systems_are_told_apart() -> None:
    with pytest.raises(ConfigurationError, match="EVERLOOP_CONNECTION_SHOP"):
        PostgresDestination({}).upsert("shop", "out", batches(rows("a")), "key")
    with pytest.raises(SourceError, match='System "shop"'):
        PostgresDestination({"shop": "postgresql://127.0.0.1:9/shop"}).upsert("shop", "out", batches(rows("a")), "key")


def test_batches_land_together_or_not_at_all(destination: MemoryDestination | Stored) -> None:
    assert destination.upsert("shop", "out", batches(rows("a", "b"), rows("c"), rows("d")), "key") == 4
    for last in (rows("e", "a"), pa.table({**dict(zip(rows().column_names, rows("x").columns, strict=True)), "key": [None]})):
        with pytest.raises(DataError):
            destination.upsert("shop", "out", batches(rows("a", "z", score=0.9), last.cast(rows().schema)), "key")
    assert [(row["key"], row["score"]) for row in destination.rows("shop", "out")] == [(key, 0.5) for key in "abcd"]
