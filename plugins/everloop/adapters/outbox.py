"""Predictions as files for the business: Parquet or CSV, in a folder or in S3."""

from __future__ import annotations

from typing import IO, Any

import pyarrow.csv
import pyarrow.parquet as pq

from everloop.adapters.sources.landing import open_landing
from everloop.errors import SourceError
from everloop.ports import Batches
from everloop.use_case import Files


class FileOutbox:
    """`ports.Outbox`. `place`: the folder or `s3://bucket/prefix` for files that name none of their own."""

    def __init__(self, place: str, s3_endpoint: str | None = None) -> None:
        self._place, self._endpoint = place, s3_endpoint

    def write(self, files: Files, name: str, rows: Batches) -> str:
        """See `ports.Outbox.write`: a rename in a folder, one put in S3. Equal rows in equal batches are equal bytes."""
        place, named = files.place or self._place, f"{name}.{files.format}"
        told = f"{place.rstrip('/')}/{named}"
        try:
            with open_landing(place, self._endpoint).writing(named) as stream, _writer(files.format, stream, rows) as writer:
                for batch in rows:
                    writer.write_batch(batch)
        except OSError as error:
            raise SourceError(
                f"{told} could not be written: {error}. What stood there stands; see to the place, then run the task again"
            ) from error
        return told


def _writer(form: str, stream: IO[bytes], rows: Batches) -> Any:
    if form == "csv":
        return pyarrow.csv.CSVWriter(stream, rows.schema)
    return pq.ParquetWriter(stream, rows.schema, compression="zstd")
