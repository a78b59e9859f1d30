"""The code as an earlier commit had it, beside this one's: the other side of benchmarks that show what a change is worth."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.process import ROOT

COMMIT = "4a21e42"
"""When arms were drawn by entity and counted by row, and two intervals judged a difference."""

_FOLDERS = ("plugins", "benchmarks", "dags", "feature_repo", "expectations")
_RUN = "import json, sys; given = json.loads(sys.argv[2]); exec(sys.argv[1], given); print(json.dumps(given['result']))"


@contextlib.contextmanager
def checkout(commit: str = COMMIT) -> Iterator[Path]:
    """A folder that goes away, with the code of an earlier commit. Needs the repository's history."""
    with tempfile.TemporaryDirectory(prefix="everloop-before-") as folder:
        archive = subprocess.run(["git", "archive", commit, *_FOLDERS], cwd=ROOT, check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield Path(folder)


def executed(folder: Path, code: str, **given: Any) -> Any:
    """What `code` calls `result` when it runs on the earlier code, in a process of its own; `given` are its variables."""
    path = os.pathsep.join([str(folder / "plugins"), str(folder)])
    command = [sys.executable, "-W", "ignore", "-c", _RUN, code, json.dumps(given)]
    environment = {"OMP_WAIT_POLICY": "passive", **os.environ, "PYTHONPATH": path}
    return json.loads(subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout)
