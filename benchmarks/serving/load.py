"""Load by wrk, which costs little and is no Python: requests a second, latencies, errors."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("wrk.lua")
PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Load:
    """What wrk saw. `errors`: answers of status 400 and above, failed connections, reads, writes, and time-outs."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def wrk() -> str:
    """Where wrk is; ends the benchmark when it is nowhere."""
    if found := shutil.which("wrk"):
        return found
    raise SystemExit("wrk is not installed, and no load generator in Python is fast enough: run `apt-get install wrk` (Debian)")


def compact(value: Any) -> bytes:
    """JSON in one line without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def write(bodies: Iterable[bytes], path: Path) -> Path:
    """Bodies as wrk's script reads them, a line each; `ValueError` for a body of several lines."""
    lines = list(bodies)
    if any(b"\n" in line for line in lines):
        raise ValueError(f"a body for {path} has a line break, but each must be one line: send JSON without indentation")
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def write_binary(bodies: Iterable[bytes], path: Path) -> Path:
    """Bodies of any bytes, as wrk's script reads them from a file whose name ends in `.hex`."""
    return write((body.hex().encode() for body in bodies), path.with_suffix(".hex"))


def load(port: int, path: str, headers: Mapping[str, str], bodies: Path, connections: int, seconds: int) -> Load:
    """Post `bodies` to 127.0.0.1 in turn, as fast as `connections` that each wait for their answer can."""
    done = subprocess.run(command(port, path, headers, bodies, connections, seconds), capture_output=True, text=True, check=True)
    return parse(done.stdout)


def command(port: int, path: str, headers: Mapping[str, str], bodies: Path, connections: int, seconds: int) -> list[str]:
    """The command line of wrk: one thread, so that the other cores are the server's."""
    sent = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    how = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{PATIENCE_SECONDS}s", "-s", str(SCRIPT)]
    return [wrk(), *how, *sent, f"http://127.0.0.1:{port}{path}", "--", str(bodies), path]


def parse(output: str) -> Load:
    """What the script's `done` told; `ValueError` with wrk's own words when it told nothing."""
    for line in output.splitlines():
        if line.startswith("found "):
            return Load(**json.loads(line.removeprefix("found ")))
    raise ValueError(f"wrk told no result: {output!r}")
