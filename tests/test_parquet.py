from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from everloop import parquet

GROUPS, ROWS = 120, 60_000


def resident_mb() -> float:
    """Memory of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def test_a_file_of_many_row_groups_is_read_in_the_memory_of_one(tmp_path: Path) -> None:
    numbers = np.random.default_rng(1).random(ROWS)
    rows = pa.table(dict.fromkeys("abcd", numbers))
    with pq.ParquetWriter(tmp_path / "many.parquet", rows.schema) as writer:
        for _ in range(GROUPS):
            writer.write_table(rows)
    before, seen, most = resident_mb(), 0, 0.0
    with parquet.opened(tmp_path / "many.parquet") as file:
        for batch in file.iter_batches(10_000):
            seen += batch.num_rows
            most = max(most, resident_mb())
    assert seen == GROUPS * ROWS
    assert (tmp_path / "many.parquet").stat().st_size > 200e6
    assert most - before < 60
