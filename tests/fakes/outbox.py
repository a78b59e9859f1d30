"""Files for the business in memory."""

from __future__ import annotations

import pyarrow as pa

from everloop.ports import Batches
from everloop.use_case import Files


class MemoryOutbox:
    """`ports.Outbox`: `files[place][name]` are a file's rows."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, pa.Table]] = {}

    def write(self, files: Files, name: str, rows: Batches) -> str:
        place, named = files.place or "outbox", f"{name}.{files.format}"
        self.files.setdefault(place, {})[named] = rows.to_table()
        return f"{place}/{named}"
