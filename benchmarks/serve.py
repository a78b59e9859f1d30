"""Our scoring service against its peers: the same model and request, one worker each, in turns on the same machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import world
from benchmarks.record import Record
from benchmarks.serving.load import wrk
from benchmarks.serving.ours import ours
from benchmarks.serving.peers import PEERS, peer
from benchmarks.serving.program import ServerError
from benchmarks.serving.servers import BUSY, Measured, Server, measured
from benchmarks.serving.work import Work, make

ROUNDS = 5
SECONDS = 4
TIMES_BEST_PEER, TIMES_MLFLOW = 5, 50
"""How many times their requests a second at 16 connections ours has to answer."""


def main(names: Sequence[str] = tuple(PEERS)) -> None:
    """Every server is started, checked, loaded and stopped in every round. Ends with 1 when one of them failed."""
    wrk()
    record = Record("serve", packages=("xgboost", "uvicorn", "uvloop", "httptools", "msgspec", "fastapi"))
    with world.folder() as folder, world.postgres() as server:
        failed = compare(record, folder, server.uri("everloop"), make(folder), names)
    record.finish()
    if failed:
        raise SystemExit(f"failed: {'; '.join(failed)}")


def compare(record: Record, folder: Path, database: str, work: Work, names: Sequence[str]) -> list[str]:
    """Fill `record`; what failed, in words. A failed peer has no part in what follows; ours raises `ServerError`."""
    failed: list[str] = []
    servers = [ours(folder, database, work), *_peers(names, work, failed)]
    for server in servers:
        made_of = PEERS[server.name].requirements if server.name in PEERS else ("this checkout",)
        record.fact(f"{server.name} is", f"{server.about}; {', '.join(made_of)}")
    for _ in range(ROUNDS):
        for server in list(servers):
            try:
                _sample(record, server.name, measured(server, work, folder, SECONDS))
            except ServerError as error:
                if server is servers[0]:
                    raise
                failed.append(str(error))
                servers.remove(server)
    record.fact("failed", failed or "none")
    record.fact("load", f"wrk, one thread, {SECONDS} s a number of connections, its latencies corrected for coordinated omission")
    _judge(record, servers[0].name, [server.name for server in servers[1:]])
    return failed


def _peers(names: Sequence[str], work: Work, failed: list[str]) -> list[Server]:
    found = []
    for name in names:
        try:
            found.append(peer(name, work))
        except (subprocess.CalledProcessError, RuntimeError) as error:
            failed.append(f"{name} could not be installed, or its model not be kept: {error}")
    return found


def _sample(record: Record, name: str, found: Measured) -> None:
    for connections, load in found.loads.items():
        numbers = {"requests_per_second": load.per_second, "p50_ms": load.p50_ms, "p99_ms": load.p99_ms}
        record.sample(name, **{f"{what}_{connections}": number for what, number in numbers.items()})
    record.sample(
        name,
        cpu_us_per_request=found.cpu_seconds_per_request * 1e6,
        memory_mb=found.memory_mb,
        cold_start_seconds=found.cold_start_seconds,
    )


def _judge(record: Record, our_name: str, peers: Sequence[str]) -> None:
    speeds = {name: record.median(name, f"requests_per_second_{BUSY}") for name in (our_name, *peers)}
    our_speed = speeds.pop(our_name)
    what = f"requests a second at {BUSY} connections, ours / "
    if speeds:
        best = max(speeds, key=lambda name: speeds[name])
        record.ratio(f"{what}that of the best peer ({best})", our_speed / speeds[best], TIMES_BEST_PEER, "higher")
    for name in speeds:
        if name.startswith("MLflow"):
            record.ratio(f"{what}that of {name}", our_speed / speeds[name], TIMES_MLFLOW, "higher")


if __name__ == "__main__":
    main(sys.argv[1:] or tuple(PEERS))
