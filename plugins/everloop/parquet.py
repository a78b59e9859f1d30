"""Parquet files opened to be read a batch at a time: neither a file nor a row group of it is ever held whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow.parquet as pq

READ_BYTES = 1024 * 1024
"""How much of a column is read ahead."""
BATCH_ROWS = 128 * 1024
"""Rows at a time, where nothing asks for another number."""


def opened(source: Path | Any) -> pq.ParquetFile:
    """A file, or a stream of one, for `iter_batches`.

    PyArrow's default, to read the columns of a row group ahead as a whole, keeps what it has read of every row group until the
    file is closed: a GB for a GB (PyArrow 25).
    """
    import pyarrow.parquet as pq

    return pq.ParquetFile(source, buffer_size=READ_BYTES, pre_buffer=False)
