"""Rows of the quarantine as a CSV file that a person edits, and the file as rows again, held to the contract."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from everloop.adapters.sources.contract import conform
from everloop.errors import DataError
from everloop.use_case import SourceTable

ROW = "_row"
_TOLD = ("_interval", "_expectations")


def write(rows: pa.Table, table: SourceTable, path: Path) -> None:
    """`rows` as `steps.quarantine.shown` gives them, one a line: identity, interval, reasons, then the values to mend.

    An empty cell is null.
    """
    names = [ROW, *_TOLD, *table.columns]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([_text(row[name]) for name in names] for row in (rows.to_pylist() if rows.num_rows else []))


def read(path: Path, table: SourceTable) -> pa.Table:
    """`_row`, the columns of the contract, and `_problem` where a value is not of its type. Other columns are not looked at.

    `DataError` when the file is absent, is not CSV in UTF-8, lacks a column, or names a row twice.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f'{path} cannot be read: {error}. Give the CSV file that "everloop quarantine show --csv" wrote'
        ) from error
    wanted = [ROW, *table.columns]
    if lines and (lost := [name for name in wanted if name not in lines[0]]):
        raise DataError(f'{path} lacks the columns {lost}: keep all columns that "everloop quarantine show --csv" wrote')
    named = [line[ROW] for line in lines]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise DataError(f"{path} names the rows {twice} twice: keep one line for each")
    texts = pa.table({name: pa.array([line[name] or None for line in lines], pa.string()) for name in wanted})
    return conform(texts, replace(table, columns={ROW: "string", **table.columns}), {}, [])


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return "; ".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
