"""What a benchmark found: raw samples, ratios against their targets, and the machine and versions they came from."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"

Better = Literal["lower", "higher"]


@dataclass
class Record:
    """One run of the benchmark `name`. `packages`: those whose versions matter beside everloop's own."""

    name: str
    packages: Sequence[str] = ()
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    ratios: dict[str, dict[str, Any]] = field(default_factory=dict)

    def sample(self, side: str, **numbers: float) -> None:
        """Add one raw sample of every named number (`seconds=`, `peak_mb=`, `rows_per_second=`) to a side."""
        for what, number in numbers.items():
            self.samples.setdefault(side, {}).setdefault(what, []).append(number)

    def median(self, side: str, what: str) -> float:
        """The median of a side's samples."""
        return statistics.median(self.samples[side][what])

    def fact(self, what: str, value: Any) -> None:
        """Something that is true or false, or a count, of this run: `entity rows lost`: 0."""
        self.facts[what] = value

    def ratio(self, what: str, value: float, target: float, better: Better) -> None:
        """A ratio and the target that the issue, or the docs, promise."""
        met = value <= target if better == "lower" else value >= target
        self.ratios[what] = {"value": value, "target": target, "better": better, "met": met}

    def finish(self, folder: Path = RESULTS) -> Path:
        """Print the tables and write `<name>.json`; the file's path."""
        told = {
            "name": self.name,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": {name: version(name) for name in self.packages},
            "facts": self.facts,
            "ratios": self.ratios,
            "samples": self.samples,
        }
        folder.mkdir(exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(told, indent=2, default=str) + "\n")
        _show(self)
        return path


def machine(proc: Path = Path("/proc")) -> dict[str, Any]:
    """The processor, cores that may be used, memory, system and Python; `load` as it was when asked."""
    lines = (proc / "cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
    memory = next(line for line in (proc / "meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(memory.split()[1]) / 2**20, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": [round(one, 2) for one in os.getloadavg()],
    }


def _show(record: Record) -> None:
    console = Console()
    console.print(_samples(record.samples))
    if record.facts:
        console.print(_table(("fact", "value"), [(what, str(value)) for what, value in record.facts.items()]))
    rows = [
        (what, f"{one['value']:.3g}", f"{'at most' if one['better'] == 'lower' else 'at least'} {one['target']:g}", _met(one))
        for what, one in record.ratios.items()
    ]
    console.print(_table(("ratio", "value", "target", "met"), rows))


def _met(ratio: Mapping[str, Any]) -> str:
    return "yes" if ratio["met"] else "NO"


def _samples(samples: Mapping[str, Mapping[str, Sequence[float]]]) -> Table:
    rows = [
        (side, what, f"{statistics.median(found):.4g}", f"{min(found):.4g} to {max(found):.4g}", str(len(found)))
        for side, numbers in samples.items()
        for what, found in numbers.items()
    ]
    return _table(("side", "what", "median", "from to", "runs"), rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(*columns)
    for row in rows:
        table.add_row(*row)
    return table
