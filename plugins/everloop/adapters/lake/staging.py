"""What one task leaves for the next: Parquet files under the lake's own root, each put in place whole."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from everloop.errors import ConfigurationError, DataError

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
        """Write beside the name, then move into place: a reader sees the old rows or the new ones, never half."""
        target = f"{place(name)}.parquet"
        passing = f"{target}.{uuid.uuid4().hex}.part"
        with self._files.open_output_stream(passing) as stream:
            pq.write_table(rows, stream, compression="zstd")
        self._files.move(passing, target)

    def get(self, name: str) -> pa.Table:
        """The rows staged under `name`; `DataError` when there are none."""
        with self._open(name) as stream:
            return pq.read_table(stream)

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """These columns of them, a batch at a time."""
        with self._open(name) as stream:
            yield from pq.ParquetFile(stream).iter_batches(columns=list(columns))

    def _open(self, name: str) -> Any:
        try:
            return self._files.open_input_file(f"{place(name)}.parquet")
        except FileNotFoundError:
            raise DataError(
                f'Nothing is staged under "{name}": the task before has not run, or a later one has finished with it; '
                "clear the run from its first task on"
            ) from None

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
