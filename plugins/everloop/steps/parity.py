"""Served features against history: a sample of the prediction log, replayed through the point-in-time join."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from everloop.decide.parity import Pair, compare, judge
from everloop.interval import Interval
from everloop.ports import Features, Measurement, Measurements, TrafficLog
from everloop.use_case import UseCase

KIND = "parity"
WINDOW = "window"
"""The subject whose verdict is that of the whole interval, as in every measure of the monitor."""

_ARROW = {
    "string": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
}


def measure(
    traffic: TrafficLog, features: Features, measurements: Measurements, use_case: UseCase, intervals: Sequence[Interval]
) -> dict[str, Any]:
    """Kind `parity`, subject `window`: the share of equal rows by interval and release, with what differs.

    An interval without traffic is not measured. Returns `{"measured": rows written, "verdicts": {label: verdict}}`.
    """
    found: list[Measurement] = []
    for interval in intervals:
        rows = traffic.served(use_case.name, interval)
        rows = rows.filter(pc.is_null(rows["error"]))
        for release in sorted(set(rows["release"].to_pylist())):
            answered = rows.filter(pc.equal(rows["release"], release))
            found.append(_measured(features, use_case, interval, release, sample(answered, use_case.parity.sample)))
    measurements.write(use_case.name, found)
    return {"measured": len(found), "verdicts": {f"{m.interval.label} {m.release}": m.verdict for m in found}}


def sample(rows: pa.Table, size: int) -> pa.Table:
    """At most `size` rows, evenly spread over the order of `rows`: the same ones every time."""
    if rows.num_rows <= size:
        return rows
    return rows.take([position * rows.num_rows // size for position in range(size)])


def _measured(features: Features, use_case: UseCase, interval: Interval, release: str, rows: pa.Table) -> Measurement:
    comparison = compare(_pairs(features, rows), use_case.parity.tolerance)
    verdict = judge(comparison, use_case.parity)
    detail = asdict(comparison) | {"because": verdict.because(), "reasons": verdict.to_json()["reasons"]}
    return Measurement(
        interval=interval,
        release=release,
        kind=KIND,
        subject=WINDOW,
        value=comparison.share,
        verdict=verdict.outcome,
        detail=detail,
    )


def _pairs(features: Features, rows: pa.Table) -> list[Pair]:
    logged = [json.loads(text) for text in rows["features"].to_pylist()]
    entities = _entities(features, [entry["request"] for entry in logged], rows["as_of"])
    replayed = features.history(entities).drop_columns(entities.column_names).to_pylist()
    return [
        Pair(key, _plain(entry["vector"]), _plain(again))
        for key, entry, again in zip(rows["key"].to_pylist(), logged, replayed, strict=True)
    ]


def _entities(features: Features, requests: Sequence[dict[str, Any]], as_of: pa.ChunkedArray) -> pa.Table:
    """The requests as entity rows, each as of the moment it was answered for."""
    columns = {
        name: pa.array([_typed(request.get(name), kind) for request in requests], _ARROW[kind])
        for name, kind in features.plan().request.items()
    }
    return pa.table({**columns, "event_timestamp": as_of})


def _typed(value: Any, kind: str) -> Any:
    """A JSON value as its column's type wants it."""
    return datetime.fromisoformat(value) if kind == "timestamp" and value is not None else value


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Values as JSON has them, so that a time compares with its logged text."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
