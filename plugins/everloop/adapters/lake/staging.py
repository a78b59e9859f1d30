"""What one task leaves for the next: Parquet files under the lake's own root, each put in place whole."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from everloop import parquet
from everloop.errors import ConfigurationError, DataError
from everloop.ports import Batches

FOLDER = "_staging"


def open_files(uri: str, options: dict[str, str] | None) -> pa.fs.PyFileSystem:
    """The folder or bucket prefix `uri` as an Arrow file system, through the client that delta-rs itself uses."""
    from deltalake.fs import DeltaStorageHandler

    if "://" not in uri:
        Path(uri).mkdir(parents=True, exist_ok=True)
    return pa.fs.PyFileSystem(DeltaStorageHandler(uri, options))


def place(name: str) -> str:
    """The path of a staged name: each part is escaped, so run ids with `:` and `+` fit every store."""
    parts = name.strip("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ConfigurationError(
            f'"{name}" does not name something staged: use parts like "run/interval/table", none empty, . or ..'
        )
    return "/".join([FOLDER, *(quote(part, safe="").replace("%", "=") for part in parts)])


class Staging:
    """Staged rows by path-like name."""

    def __init__(self, files: Any) -> None:
        self._files = files

    def put(self, name: str, rows: pa.Table) -> None:
        """Stage rows that are in memory."""
        with self.writing(name) as put:
            for batch in Batches.of(rows):
                put(batch)

    @contextmanager
    def writing(self, name: str) -> Iterator[Callable[[pa.RecordBatch], None]]:
        """Write beside the name, then move into place: a reader sees the old rows or the new ones, never half."""
        target = f"{place(name)}.parquet"
        passing = f"{target}.{uuid.uuid4().hex}.part"
        try:
            with self._files.open_output_stream(passing) as stream, _Writer(stream) as writer:
                yield writer.put
        except BaseException:
            self._files.delete_file(passing)
            raise
        self._files.move(passing, target)

    def get(self, name: str) -> pa.Table:
        """The rows staged under `name`; `DataError` when there are none."""
        with self._opened(name) as stream:
            return pq.read_table(stream)

    def batches(self, name: str, columns: Sequence[str] | None = None) -> Batches:
        """The same, or some columns of it, a batch at a time; the file is opened anew by each reading."""
        with self._opened(name) as stream:
            file = pq.ParquetFile(stream)
            schema = file.schema_arrow if columns is None else pa.schema([file.schema_arrow.field(each) for each in columns])
            return Batches(schema, file.metadata.num_rows, lambda: self._read(name, columns))

    def remove(self, prefix: str) -> None:
        """Delete what is staged under `prefix` (a whole name, or its leading parts)."""
        where = place(prefix)
        for found in self._files.get_file_info([where, f"{where}.parquet"]):
            if found.type == pa.fs.FileType.Directory:
                self._files.delete_dir(found.path)
            elif found.type == pa.fs.FileType.File:
                self._files.delete_file(found.path)

    def expire(self, before: datetime) -> int:
        """Delete what was staged before `before` and never taken away; returns the number of files."""
        listed = self._files.get_file_info(pa.fs.FileSelector(FOLDER, recursive=True, allow_not_found=True))
        old = [found.path for found in listed if found.type == pa.fs.FileType.File and found.mtime and found.mtime < before]
        for path in old:
            self._files.delete_file(path)
        return len(old)

    @contextmanager
    def _opened(self, name: str) -> Iterator[Any]:
        try:
            stream = self._files.open_input_file(f"{place(name)}.parquet")
        except FileNotFoundError:
            raise DataError(
                f'Nothing is staged under "{name}": the task before has not run, or a later one has finished with it; '
                "clear the run from its first task on"
            ) from None
        with stream:
            yield stream

    def _read(self, name: str, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        with self._opened(name) as stream:
            yield from record_batches(parquet.opened(stream), columns)


def record_batches(file: pq.ParquetFile, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a file, at least one batch, be it empty."""
    chosen = None if columns is None else list(columns)
    if file.metadata.num_rows:
        yield from file.iter_batches(batch_size=parquet.BATCH_ROWS, columns=chosen)
    else:
        yield pa.RecordBatch.from_pylist([], file.read(columns=chosen).schema)


class _Writer:
    """A Parquet file of batches; its columns are those of the first."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._writer: Any = None

    def put(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._stream, batch.schema, compression="zstd")
        self._writer.write_batch(batch)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *told: object) -> None:
        if self._writer is not None:
            self._writer.close()
