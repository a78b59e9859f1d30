"""Open-loop load by a small C program, compiled when it is needed: a client that waits for answers hides an overload."""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.serving.program import Program

SOURCE = Path(__file__).with_name("openloop.c")


@dataclass(frozen=True)
class Flood:
    """Milliseconds of every answer by status. `unsent`: no connection was free; `broken`: no answer; `late`: by the client."""

    milliseconds: Mapping[int, Sequence[float]]
    unsent: int
    broken: int
    late: int

    @property
    def answers(self) -> int:
        """Of any status."""
        return sum(map(len, self.milliseconds.values()))

    def count(self, status: int) -> int:
        """Answers of a status."""
        return len(self.milliseconds.get(status, ()))

    def quantile_ms(self, status: int, share: float) -> float:
        """Of the answers of a status; NaN without any."""
        found = self.milliseconds.get(status)
        return float(np.quantile(found, share)) if found else float("nan")


def compiled(folder: Path) -> Path:
    """The program; `SystemExit` where there is no C compiler."""
    if (compiler := shutil.which("cc") or shutil.which("gcc")) is None:
        raise SystemExit("no C compiler for the open-loop load generator: run `apt-get install gcc libc6-dev` (Debian)")
    made = folder / "openloop"
    subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", str(made), str(SOURCE)], check=True)
    return made


def flood(tool: Path, program: Program, bodies: Path, rate: float, seconds: float, connections: int) -> Flood:
    """Post `bodies` in turn, `rate` a second, over so many connections."""
    command = [tool, str(program.port), program.path, bodies, f"{rate:g}", f"{seconds:g}", str(connections)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return parse(done.stdout)


def parse(output: str) -> Flood:
    """What the program told."""
    found: dict[int, list[float]] = defaultdict(list)
    counts: dict[str, int] = {}
    for line in output.splitlines():
        what, number = line.split()
        if what.isdigit():
            found[int(what)].append(float(number))
        else:
            counts[what] = int(number)
    return Flood(dict(found), counts["unsent"], counts["broken"], counts["late"])
