"""One side of a benchmark in a process of its own, so that its time, memory and imports are its own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PLUGINS = ROOT / "plugins"


@dataclass(frozen=True)
class Measured:
    """What a process answered and what it cost.

    Wall and CPU seconds, children it waited for included; its own peak memory in MB.
    """

    value: Any
    seconds: float
    cpu_seconds: float
    peak_mb: float


def measure(
    module: str, function: str, *, python: Path | None = None, plugins: Path = PLUGINS, seconds: float = 3600, **arguments: Any
) -> Measured:
    """Call `module.function(**arguments)` (JSON in and out) in a fresh process of `python` (this one by default).

    `plugins`: where everloop itself is imported from, this checkout's by default.

    Raises `RuntimeError` when it fails or takes longer than `seconds`.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [python or sys.executable, "-m", "benchmarks.process", answer, module, function, json.dumps(arguments)]
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=_environment(plugins))
        status, usage = _wait(process, began + seconds)
        took = time.perf_counter() - began
        if status:
            why = f"was ended at its limit of {seconds:.0f} s" if took > seconds else f"ended with {status} after {took:.0f} s"
            raise RuntimeError(f"{module}.{function}({arguments}) {why}")
        told = json.loads(answer.read_text())
    return Measured(told["value"], took, usage.ru_utime + usage.ru_stime, told["peak_mb"])


def _wait(process: subprocess.Popen[bytes], until: float) -> tuple[int, Any]:
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage
        if time.perf_counter() > until:
            process.kill()
        time.sleep(0.005)


def _environment(plugins: Path) -> dict[str, str]:
    path = os.pathsep.join([str(plugins), str(ROOT)])
    return {"OMP_WAIT_POLICY": "passive", **os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}


def _answer(path: str, module: str, function: str, arguments: str) -> None:
    value = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    # Not the kernel's ru_maxrss: a child inherits that of the process that forked it.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    Path(path).write_text(json.dumps({"value": value, "peak_mb": int(peak.split()[1]) / 1024}, default=str))


if __name__ == "__main__":
    _answer(*sys.argv[1:])
