"""Feast's feature server against our feature read: three views of one and of 100 entities, PostgreSQL below both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks import feast_postgres, online_store, world
from benchmarks.online_store import FEATURES, REQUESTS
from benchmarks.peers import FEAST, environment
from benchmarks.process import measure
from benchmarks.record import Record
from benchmarks.serving.load import compact, write, wrk
from benchmarks.serving.program import Program, first_answer, loaded, running
from everloop.stack.ports import free_port

ENTITIES = 100_000
ROUNDS = 3
SECONDS = 4
TARGETS = {1: 10, 100: 5}
"""Those of `online_store`, where the peer is Feast's own read in its process."""


def main(entities: int = ENTITIES) -> None:
    """Fill both stores with the same entities, then read them in turns: ours in its process, Feast's over HTTP."""
    wrk()
    record = Record("feast_server", packages=("feast", "asyncpg", "uvloop"))
    record.fact("entities", entities)
    record.fact("ours includes", "one prepared statement for all views in its own process on uvloop, values decoded; no HTTP")
    record.fact(
        "Feast's feature server includes", "HTTP and JSON around Feast's online read; one gunicorn worker, connection pool"
    )
    with world.folder() as folder, world.postgres() as server:
        compare(record, folder, server.uri("everloop"), entities)
    record.finish()


def compare(record: Record, folder: Path, database: str, entities: int) -> None:
    """Fill `record`; `ServerError` when the two do not read the same values, or a request fails."""
    online_store.make(folder, entities)
    place = {"folder": str(folder), "database": database, "online": database}
    measure("benchmarks.online_store", "write", **place)
    online_store.fill_feast(online_store.feast(folder, database))
    requests = {size: _requests(entities, size) for size in REQUESTS}
    for _ in range(ROUNDS):
        for size, asked in requests.items():
            ours = measure("benchmarks.online_store", "read", face="scorer", requests=asked, **place).value
            record.sample(f"ours, {size}", p50_ms=ours["p50_ms"])
        _serve(record, folder, database, requests, ours["values"])
    for size, target in TARGETS.items():
        ratio = record.median(f"Feast's feature server, {size}", "p50_ms") / record.median(f"ours, {size}", "p50_ms")
        record.ratio(f"p50 of {size}, Feast's feature server / our read", ratio, target, "higher")


def feature_server(python: Path, repository: Path, port: int) -> Program:
    """`feast serve`, without its access log and without a new worker every 1,000 requests, which is its default."""
    serve = (str(python.with_name("feast")), "-c", str(repository), "serve", "--host", "127.0.0.1", "--port", str(port))
    return Program(
        name="Feast's feature server",
        command=(*serve, "--workers", "1", "--max-requests", "1000000000", "--no-access-log"),
        port=port,
        path="/get-online-features",
    )


def body(customers: Sequence[Any]) -> bytes:
    """A request for all features of `customers`."""
    return compact({"features": FEATURES, "entities": {"customer": customers}})


def values(answer: bytes) -> dict[str, list[Any]]:
    """The values by name, in the order of the request's entities."""
    told = json.loads(answer)
    return {name: one["values"] for name, one in zip(told["metadata"]["feature_names"], told["results"], strict=True)}


def _requests(entities: int, size: int) -> list[list[int]]:
    found: list[list[int]] = np.random.default_rng(size).integers(0, entities, (REQUESTS[size], size)).tolist()
    return found


def _serve(record: Record, folder: Path, database: str, requests: dict[int, list[list[int]]], last: dict[str, list[Any]]) -> None:
    """One turn of Feast's server. `last`: what our side read by the last request."""
    server = feature_server(environment("feast", FEAST), _repository(folder, database), free_port())

    def right(answer: httpx.Response) -> bool:
        return answer.is_success and online_store.same(last, values(answer.content))

    with running(server, folder / "feast.log") as process:
        first_answer(server, process, body(list(requests.values())[-1][-1]), right)
        for size, asked in requests.items():
            bodies = write((body(customers) for customers in asked), folder / "feast.bodies")
            found = loaded(server, bodies, 1, SECONDS)
            record.sample(f"Feast's feature server, {size}", p50_ms=found.p50_ms, p99_ms=found.p99_ms)


def _repository(folder: Path, database: str) -> Path:
    """A folder with the `feature_store.yaml` that `feast serve` reads; YAML is JSON and more."""
    repository = folder / "repository"
    repository.mkdir(exist_ok=True)
    pooled = {**online_store.feast_database(database), "conn_type": "pool"}
    (repository / "feature_store.yaml").write_text(json.dumps(feast_postgres.config(folder, pooled)))
    return repository


if __name__ == "__main__":
    main()
