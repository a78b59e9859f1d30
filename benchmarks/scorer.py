"""The scoring service as a process of its own, for benchmarks that ask it over HTTP."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx

from benchmarks.process import ROOT
from everloop.stack.ports import free_port


@contextlib.contextmanager
def scoring(home: Path, variables: Mapping[str, str]) -> Iterator[str]:
    """The service's URL; it ends with the block. `variables`: the settings besides its home and port."""
    port = free_port()
    told = {"EVERLOOP_HOME": str(home), "EVERLOOP_SERVE_PORT": str(port), "PYTHONPATH": str(ROOT / "plugins")}
    home.mkdir(parents=True, exist_ok=True)
    with (home / "scorer.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "everloop.serve"], env={**os.environ, **told, **variables}, stdout=log, stderr=log
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: _ready(url), "the scoring service answers")
            yield url
        finally:
            process.terminate()
            process.wait(30)


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for something that takes a moment; `TimeoutError` names what did not come true."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"after {seconds:.0f} s it is not yet so that {what}")
        time.sleep(0.05)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").is_success
    except httpx.TransportError:
        return False
