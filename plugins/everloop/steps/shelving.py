"""Bad rows on their way into `<table>_quarantine`, each with the run that first found it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from everloop.fingerprint import fingerprints
from everloop.interval import Interval
from everloop.ports import Batches, Lake

if TYPE_CHECKING:
    import polars as pl

RUN = "_run"


def put_aside(lake: Lake, name: str, bad: Batches, interval: Interval, run: str) -> None:
    """Replace the interval's bad rows. Equal rows keep the run that first found them, so running twice changes nothing.

    Memory: a batch, and about 40 bytes for each row that stood there.
    """
    standing = lake.batches(name, interval)
    if not bad.num_rows and not standing.num_rows:
        return
    runs = _runs(standing, bad.schema.names)

    def read() -> Iterator[pa.RecordBatch]:
        return (_with_runs(batch, runs, run) for batch in bad)

    lake.replace(name, Batches(bad.schema.append(pa.field(RUN, pa.string())), bad.num_rows, read), interval)


def _runs(standing: Batches, columns: list[str]) -> pl.DataFrame | None:
    """The run of every standing row, by its hashes; `None` where no row can be equal, for there are none or other columns."""
    import polars as pl

    if not standing.num_rows or not set(columns) <= set(standing.schema.names):
        return None
    found = [fingerprints(batch, columns).with_columns(pl.from_arrow(batch[RUN]).alias(RUN)) for batch in standing]  # type: ignore[union-attr]
    return pl.concat(found).with_columns(pl.col(RUN).cast(pl.Categorical)).unique(["a", "b"], keep="last")


def _with_runs(batch: pa.RecordBatch, runs: pl.DataFrame | None, run: str) -> pa.RecordBatch:
    import polars as pl

    found_by = pa.repeat(pa.scalar(run), batch.num_rows)
    if runs is not None and batch.num_rows:
        known = fingerprints(batch, batch.schema.names).join(runs, on=["a", "b"], how="left", maintain_order="left")
        found_by = known.select(pl.col(RUN).cast(pl.String).fill_null(run)).to_series().to_arrow().cast(pa.string())
    return batch.append_column(RUN, found_by)
