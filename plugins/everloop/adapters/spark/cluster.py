"""A Spark cluster as the trainer: it reads the staged rows, encodes them and fits, all on its workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.adapters.lake import DeltaLake
from everloop.adapters.spark.session import checked, session
from everloop.adapters.spark.tables import address
from everloop.adapters.spark.training import LABEL, VALIDATION, fit
from everloop.errors import ConfigurationError
from everloop.learn import split
from everloop.learn.encode import Encoder
from everloop.learn.examples import PART
from everloop.learn.fit import Fitted, Length, Settings

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from everloop.ports import Lake


@dataclass(frozen=True)
class SparkCluster:
    """`ports.Cluster` on `master`, as `session` takes it. The lake must be one that the workers reach."""

    master: str
    lake: Lake

    def __post_init__(self) -> None:
        checked(self.master)

    def fit(self, staged: str, encoder: Encoder, settings: Settings, length: Length, *, workers: int) -> Fitted:
        """See `ports.Cluster.fit`."""
        if not isinstance(self.lake, DeltaLake):
            found = type(self.lake).__name__
            raise ConfigurationError(f"Spark reads a Delta lake, and this one is a {found}: set TrainingPolicy.workers to 1")
        rows = session(self.master).read.parquet(address(self.lake.staged_uri(staged)))
        kinds = dict(zip(encoder.columns, encoder.kinds, strict=True))
        return fit(encoded(rows, encoder), kinds, settings, length, workers=workers)


def encoded(rows: DataFrame, encoder: Encoder) -> DataFrame:
    """What `Encoder.table` makes of the rows to fit on, as columns, with `label` (0 or 1) and `validation`."""
    from pyspark.sql import functions as f

    return rows.where(f.col(PART).isin(split.FIT, split.VALIDATION)).select(
        *(_value(name, encoder).alias(name) for name in encoder.columns),
        f.col(LABEL).cast("float").alias(LABEL),
        (f.col(PART) == split.VALIDATION).alias(VALIDATION),
    )


def _value(name: str, encoder: Encoder) -> Column:
    from pyspark.sql import functions as f

    value = f.col(name)
    if (known := encoder.categories.get(name)) is not None:
        # The position counts from 1, and is 0 for what is not known.
        value = f.nullif(f.array_position(f.array(*map(f.lit, known)), value.cast("string")), f.lit(0)) - 1
    return f.coalesce(value.cast("float"), f.lit(float("nan")).cast("float"))
