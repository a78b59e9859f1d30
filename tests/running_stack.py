"""The `everloop` command and shell lines, run for a state folder as people run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from everloop.settings import PROJECT
from everloop.stack.home import Home


def environment(home: Home) -> dict[str, str]:
    """This process's environment without choices of whoever runs the tests, with the home."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("EVERLOOP_", "AIRFLOW_"))}
    return inherited | {"EVERLOOP_HOME": str(home.path), "PYTHONPATH": str(PROJECT / "plugins")}


def run(home: Home, line: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, env=environment(home), cwd=PROJECT, capture_output=True, text=True, timeout=300)


def command(home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    """`everloop` with `words`."""
    return run(home, [sys.executable, "-c", "from everloop.cli import main; main()", *words])
