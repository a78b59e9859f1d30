"""Spark in the place of the local engine: joins entity rows with history, and runs the views' SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from everloop.adapters.spark.asof import join
from everloop.adapters.spark.dialect import spark_sql
from everloop.adapters.spark.session import checked, session
from everloop.adapters.spark.tables import query, table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from everloop.adapters.features.history.asof import AsofView
    from everloop.ports import Lake


@dataclass(frozen=True)
class SparkEngine:
    """`master` as `session` takes it. Rows go in and out as Arrow; what lies between is the cluster's."""

    master: str

    def __post_init__(self) -> None:
        checked(self.master)

    def __call__(self, lake: Lake, view: AsofView, version: int | None, entities: pa.Table, moment: str) -> pa.Table:
        """The point-in-time join, by the rule of `adapters.features.history.asof.join`."""
        if lake.version(view.table) is None or not pc.count(entities[moment]).as_py():
            kinds = {name: view.types[name] for name in view.features.values()}
            return pa.table({name: pa.nulls(entities.num_rows, kind) for name, kind in kinds.items()})
        spark = session(self.master)
        known = _within(table(spark, lake, view.table, version), view, pc.min_max(entities[moment]).as_py())
        return join(spark, known, view, entities, moment)

    def query(
        self, lake: Lake, sql: str, tables: Mapping[str, int | None], parameters: Mapping[str, Any] | None = None
    ) -> pa.Table:
        """`Lake.query`, on the cluster: DuckDB SQL over `tables` (name to version, `None` for the latest)."""
        spark = session(self.master)
        frames = {name: table(spark, lake, name, version) for name, version in tables.items()}
        return query(spark, frames, spark_sql(sql), parameters or {}).toArrow()


def _within(known: DataFrame, view: AsofView, bounds: Mapping[str, Any]) -> DataFrame:
    """The rows that could count for any moment: Parquet's statistics then spare the files of other times."""
    from pyspark.sql import functions as f

    event = f.col(view.event_time)
    known = known.where(event <= f.lit(bounds["max"]))
    return known if view.ttl is None else known.where(event >= f.lit(bounds["min"] - view.ttl))
