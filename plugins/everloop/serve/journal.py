"""What this process writes into its prediction log, and when that counts as written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from everloop.serve.log import frames
from everloop.serve.log.durable import GroupCommit, Syncer
from everloop.serve.log.record import Record, ShadowRecord
from everloop.serve.log.segment import PredictionLog

if TYPE_CHECKING:
    import pyarrow as pa


class Journal:
    """The log of one process: one write a batch, synced every few milliseconds, or waited for where a use case wants that."""

    def __init__(self, log: PredictionLog) -> None:
        self.log = log
        self.syncer = Syncer(log)
        self._commit = GroupCommit(log)

    def rows(self, records: Sequence[Record]) -> int:
        """Hand answered rows to the kernel; the position to wait for. Raises `OSError` when the disk refuses them."""
        return self.log.append(frames.rows(records))

    def columns(self, batches: Sequence[pa.RecordBatch]) -> int:
        """The same for the rows of one large request, by column (see `columns.telling`): a frame a batch, in one write."""
        from everloop.serve.log.columnar import columns

        return self.log.append(b"".join(map(columns, batches)))

    def shadows(self, records: Sequence[ShadowRecord]) -> None:
        """The same for what a release made of rows in the shadow of their answers."""
        self.log.append(frames.shadows(records))

    async def durable(self, position: int) -> None:
        """Wait until the disk itself has all up to `position`. Raises its `OSError`."""
        await self._commit.until(position)

    def start(self) -> None:
        """Begin to sync."""
        self.syncer.start()

    def stop(self) -> None:
        """Sync, and give the segments up to the shipper."""
        self.syncer.stop()
        self._commit.close()
        self.log.close()
