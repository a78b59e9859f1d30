"""Environments of the peers: each has its own, made once by uv in `benchmarks/.env-<name>`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
FEAST = ("feast[duckdb,postgres]==0.67.0", "pandas<3")


def environment(name: str, requirements: Sequence[str]) -> Path:
    """The Python of the environment `name` with `requirements` (pip's spelling, versions pinned); made anew when they change."""
    folder = HERE / f".env-{name}"
    python, receipt = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "\n".join(requirements) + "\n"
    if not (receipt.exists() and receipt.read_text() == wanted and python.exists()):
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *requirements], check=True)
        receipt.write_text(wanted)
    return python
