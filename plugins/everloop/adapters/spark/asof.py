"""The point-in-time join of one feature view on Spark: one shuffle by key, one window, no inequality join."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from everloop.adapters.features.history.asof import AsofView


def join(spark: SparkSession, known: DataFrame, view: AsofView, entities: pa.Table, moment: str) -> pa.Table:
    """The view's features, one row per row of `entities`, in order: the rule of `adapters.features.history.asof.join`.

    Rows and moments become one stream by time, a row at the moment from which it is known. The largest
    (event time, created) so far is the version that counts at each moment.
    """
    schema = pa.schema([(column, view.types[column]) for column in view.features.values()])
    numbered = spark.createDataFrame(_asked(view, entities, moment))
    stream = _facts(known, view).unionByName(_moments(numbered, view))
    found = _best(stream, view).toArrow().sort_by("n")
    return pa.table([_cast(found[f"v{i}"], field.type) for i, field in enumerate(schema)], schema=schema)


def _asked(view: AsofView, entities: pa.Table, moment: str) -> pa.Table:
    names = [f"k{i}" for i in range(len(view.join_keys))]
    columns = entities.select([*view.join_keys, moment]).rename_columns([*names, "at"])
    return columns.append_column("n", pa.array(range(columns.num_rows), pa.int64()))


def _facts(known: DataFrame, view: AsofView) -> DataFrame:
    """Rows with a key, as (keys, known from, no number, version). `version` orders as the rule says; ties by value, null last."""
    from pyspark.sql import functions as f

    keys = [f.col(_quote(column)).alias(f"k{i}") for i, column in enumerate(view.join_keys.values())]
    event = f.col(_quote(view.event_time))
    created = f.coalesce(f.col(_quote(view.created)), event) if view.created else event
    values = [f.col(_quote(column)) for column in view.features]
    ties = [tie for i, value in enumerate(values) for tie in (value.isNull().alias(f"z{i}"), value.alias(f"v{i}"))]
    version = f.struct(event.alias("event"), created.alias("created"), *ties)
    rows = known.where(event.isNotNull())
    for column in view.join_keys.values():
        rows = rows.where(f.col(_quote(column)).isNotNull())
    number = f.lit(None).cast("bigint")
    return rows.select(*keys, f.greatest(event, created).alias("at"), number.alias("n"), version.alias("version"))


def _moments(asked: DataFrame, view: AsofView) -> DataFrame:
    """The entity rows as part of the stream: they have a number and no version."""
    from pyspark.sql import functions as f

    keys = [f.col(f"k{i}") for i in range(len(view.join_keys))]
    return asked.select(*keys, "at", "n", f.lit(None).alias("version"))


def _best(stream: DataFrame, view: AsofView) -> DataFrame:
    """For each entity row its number and the values that count, nulls where none does or the TTL has run out."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    keys = [f.col(f"k{i}") for i in range(len(view.join_keys))]
    # At one moment rows come before the entity rows that ask for that very moment: what is known at t counts at t.
    order = [f.col("at"), f.col("n").isNotNull(), f.col("n")]
    window = Window.partitionBy(*keys).orderBy(*order).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    best = stream.withColumn("best", f.max("version").over(window)).where(f.col("n").isNotNull())
    counts: Any = f.lit(True)
    if view.ttl is not None:
        counts = f.col("best.event") >= f.col("at") - f.make_dt_interval(
            secs=f.lit(view.ttl.total_seconds()).cast("decimal(18,6)")
        )
    return best.select("n", *(f.when(counts, f.col(f"best.v{i}")).alias(f"v{i}") for i in range(len(view.features))))


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == kind else column.cast(kind)


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
