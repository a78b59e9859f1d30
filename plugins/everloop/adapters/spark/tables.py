"""Lake tables as Spark frames: delta-rs reads the log, Spark the Parquet files that it names. No Delta jar is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from everloop.adapters.lake import DeltaLake
from everloop.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from everloop.ports import Lake

INTERVAL = "_interval"


def table(spark: SparkSession, lake: Lake, name: str, version: int | None = None) -> DataFrame:
    """The rows of a table at `version` (the latest by default), without `_interval`. `DataError` when it is absent."""
    from pyspark.sql.pandas.types import from_arrow_schema

    if not isinstance(lake, DeltaLake):
        raise ConfigurationError(f"Spark reads a Delta lake, and this one is a {type(lake).__name__}: leave EVERLOOP_SPARK out")
    files = lake.files(name, version)
    fields = [field for field in files.schema if field.name != INTERVAL]
    schema = from_arrow_schema(pa.schema(fields), prefer_timestamp_ntz=True)
    if not files.uris:
        return spark.createDataFrame([], schema)
    # The folder names hold `_interval`, which no feature reads: recursive lookup keeps Spark from guessing its type.
    return spark.read.schema(schema).option("recursiveFileLookup", "true").parquet(*map(address, files.uris))


def address(uri: str) -> str:
    """A file's address as Spark spells it: Hadoop's client for S3 goes by `s3a`."""
    return uri.replace("s3://", "s3a://", 1) if uri.startswith("s3://") else uri


def query(spark: SparkSession, frames: Mapping[str, DataFrame], sql: str, parameters: Mapping[str, Any]) -> DataFrame:
    """The result of Spark SQL over `frames`, each a view of its name; `:name` parameters."""
    for name, frame in frames.items():
        frame.createOrReplaceTempView(name)
    return spark.sql(sql, args=dict(parameters))
