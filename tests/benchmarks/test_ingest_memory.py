"""The same code as the benchmark's, on a small file."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import ingest_memory

ROWS = 12_000


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_rows_that_are_to_be_put_aside_are_known(kind: str, tmp_path: Path) -> None:
    known = ingest_memory.generate(tmp_path, kind, ROWS)
    assert known == (14 if kind == "csv" else 12)
    found = ingest_memory.run(str(tmp_path), kind)
    assert found["accounts"] == [ROWS - known, known]
    assert set(found["seconds"]) == {"extract", "validate", "publish"}
