"""What the scheduler imports before it forks tasks works in the forked tasks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from everloop.settings import PROJECT
from everloop.stack.parts import PRELOADED

PARENT = """
import os, sys, traceback
import airflow_local_settings as preload

assert "xgboost" not in sys.modules
assert all(name in sys.modules for name in preload.LIBRARIES)
for attempt in range(3):
    child = os.fork()
    if child == 0:
        try:
            import deltalake, duckdb, pandas, polars, pyarrow as pa
            rows = pa.table({"day": ["a", "b"] * 50_000, "n": range(100_000)})
            deltalake.write_deltalake(sys.argv[1], rows, mode="overwrite", partition_by=["day"])
            read = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_dataset()
            assert duckdb.sql("SELECT count(*) FROM read").fetchall() == [(100_000,)]
            assert polars.from_arrow(rows).group_by("day").len().height == 2
            assert rows.group_by("day").aggregate([("n", "sum")]).num_rows == 2
            assert rows.to_pandas().groupby("day")["n"].mean().shape == (2,)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
print("fine")
"""


def test_preloaded_libraries_work_in_forked_tasks(tmp_path: Path) -> None:
    path = f"{PROJECT / 'plugins'}:{PRELOADED}"
    environment = os.environ | {"PYTHONPATH": path, "EVERLOOP_PRELOAD": "1", "HOME": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", PARENT, str(tmp_path / "table")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "fine\n", done.stderr


def test_nothing_is_imported_unless_asked_for(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "EVERLOOP_PRELOAD"} | {"PYTHONPATH": PRELOADED}
    code = "import sys, airflow_local_settings; assert 'pandas' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
