"""Rows for the log, and what of them arrived."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pyarrow as pa

from everloop.serve.log.columnar import columns
from everloop.serve.log.record import Record, ShadowRecord

NOW = datetime(2013, 4, 1, tzinfo=UTC)
FEATURES = {"request": {"at": NOW, "s": 'tab\t quote" \\ Zürich'}, "vector": {"x": None}}


def record(n: int, **changes: Any) -> Record:
    given: dict[str, Any] = {
        "use_case": "trips", "request_id": f"r{n:05d}", "row_number": 0, "key": f"k{n}", "entity": "e", "at": NOW, "as_of": NOW,
        "arm": "champion", "rollout": None, "release": "a", "score": 0.25, "decision": False, "shadow_release": None,
        "shadow_score": None, "features": FEATURES, "flags": ["missing:weather", "a,b{}"], "error": None, "latency_ms": 1.5,
    }  # fmt: skip
    return Record(**{**given, **changes})


def shadow(n: int, **changes: Any) -> ShadowRecord:
    given: dict[str, Any] = {
        "use_case": "trips", "request_id": f"r{n:05d}", "row_number": 0, "at": NOW, "shadow_release": "b", "shadow_score": 0.75,
    }  # fmt: skip
    return ShadowRecord(**{**given, **changes})


def as_columns(records: Sequence[Record]) -> bytes:
    """The rows of one request as a frame of columns, constants as dictionaries."""
    names = Record.__struct_fields__
    given: dict[str, Any] = {name: [getattr(one, name) for one in records] for name in names}
    given["features"] = [json.dumps(one, default=str) for one in given["features"]]
    arrays = {name: pa.array(values) for name, values in given.items()}
    for name in ("use_case", "request_id", "at", "release"):
        arrays[name] = arrays[name].dictionary_encode()
    for name in ("rollout", "error", "shadow_release"):
        arrays[name] = arrays[name].cast(pa.string())
    return columns(pa.RecordBatch.from_pydict(arrays))


def flight(n: int, generator: random.Random) -> Record:
    """A row as large as one of the use case flights: 8 request fields, 27 features."""
    vector = {f"delays_by_route__feature_{i}": round(generator.random() * 100, 6) for i in range(27)}
    request = {
        "carrier": "UA", "flight": 1545, "tailnum": f"N{n % 999}", "origin": "EWR", "dest": "IAH", "distance": 1400,
        "scheduled_departure": NOW, "scheduled_arrival": 819,
    }  # fmt: skip
    return record(
        n, request_id=generator.randbytes(16).hex(), key=f"UA-{n}-EWR-20130401T0915", entity=f"UA|{n % 5000}|EWR",
        at=NOW + timedelta(milliseconds=n), rollout="0123456789abcdef", features={"request": request, "vector": vector},
        flags=[], score=generator.random(), latency_ms=generator.random(),
    )  # fmt: skip


def keys(uri: str) -> list[str]:
    with psycopg.connect(uri) as connection:
        return [key for (key,) in connection.execute("SELECT key FROM prediction ORDER BY request_id, row_number")]


def stored(uri: str, columns: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(uri) as connection:
        return connection.execute(f"SELECT {columns} FROM prediction ORDER BY request_id, row_number").fetchall()
