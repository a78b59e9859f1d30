"""Spark reads the very rows that the lake holds, and says the views' SQL in its own dialect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from everloop.adapters.lake import DeltaLake
from everloop.adapters.spark.dialect import spark_sql
from everloop.adapters.spark.tables import address, query, table
from everloop.errors import ConfigurationError, DataError
from everloop.interval import Interval

T = datetime(2013, 3, 10, tzinfo=UTC)
DAY = timedelta(days=1)
ROWS = pa.table(
    {
        "carrier": ["UA", None, "Zürich % 20"],
        "late": [0.1 + 0.2, None, float("inf")],
        "seen": pa.array([2**60, None, 0]),
        "at": pa.array([T + timedelta(hours=2, microseconds=1), None, T], pa.timestamp("us", "UTC")),
    }
)


def days(first: datetime, number: int) -> list[Interval]:
    return [Interval(first + n * DAY, first + (n + 1) * DAY) for n in range(number)]


def test_spark_reads_a_pinned_version_and_the_latest(spark: Any, tmp_path: Path) -> None:
    lake = DeltaLake(str(tmp_path))
    first, second = days(T, 2)
    version = lake.replace("facts", ROWS, first)
    lake.replace("facts", ROWS.slice(0, 1), first)
    lake.replace("facts", ROWS.append_column("new", pa.array([1.5, None, 2.5])), second)

    pinned = table(spark, lake, "facts", version).toArrow()
    latest = table(spark, lake, "facts").toArrow()

    assert pinned.sort_by("seen").to_pylist() == lake.read("facts", version=version).sort_by("seen").to_pylist()
    assert (
        latest.sort_by([("seen", "ascending"), ("new", "ascending")]).to_pylist()
        == lake.read("facts").sort_by([("seen", "ascending"), ("new", "ascending")]).to_pylist()
    )
    assert latest.schema.field("at").type == pa.timestamp("us", "UTC")


def test_a_table_that_is_not_there_is_named(spark: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='no table "absent"'):
        table(spark, DeltaLake(str(tmp_path)), "absent")


def test_trailing_windows_filters_and_parameters_mean_the_same_in_both_dialects(spark: Any, tmp_path: Path) -> None:
    lake = DeltaLake(str(tmp_path))
    rows = pa.table(
        {"carrier": ["UA", "UA", "AA"], "late": [1.0, 0.0, None], "seen_at": pa.array([T, T - DAY, T], pa.timestamp("us", "UTC"))}
    )
    lake.replace("facts", rows, days(T, 1)[0])
    sql = """
        SELECT carrier, avg(late) FILTER (WHERE seen_at >= $end - INTERVAL 2 DAY) AS recent, count(*) AS seen,
            CAST(max(seen_at) + INTERVAL 15 MINUTE AS TIMESTAMPTZ) AS event_timestamp, $end AS created
        FROM facts WHERE seen_at < $end AND carrier IS NOT NULL GROUP BY carrier
    """
    bounds = {"end": T + DAY}
    found = query(spark, {"facts": table(spark, lake, "facts")}, spark_sql(sql), bounds).toArrow().sort_by("carrier")
    expected = lake.query(sql, {"facts": None}, bounds).sort_by("carrier")
    assert found.to_pylist() == expected.to_pylist()


def test_sql_that_spark_cannot_say_is_an_error_that_shows_it() -> None:
    with pytest.raises(ConfigurationError, match="SELEC carrier"):
        spark_sql("SELEC carrier FROM (")


def test_an_address_on_s3_is_one_of_hadoops_client() -> None:
    assert address("s3://lake/flights/part-0.parquet") == "s3a://lake/flights/part-0.parquet"
    assert address("/lake/flights/part-0.parquet") == "/lake/flights/part-0.parquet"
