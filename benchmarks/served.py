"""What a scoring service would have left of a day: a release with reference statistics, and the prediction log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
from psycopg.types.json import Jsonb

from everloop.decide.statistics.clusters import blocks
from everloop.decide.watch.performance import measure
from everloop.interval import Interval
from everloop.learn.encode import model_columns
from everloop.learn.reference import describe
from everloop.ports import Features, Lake
from everloop.release import REFERENCE, Bundle, Calibrator, FeaturePlan, Manifest, sha256
from everloop.use_case import UseCase

THRESHOLD = 0.25
RATES = tuple(f"{name}_delay__rate_28d" for name in ("carrier", "origin", "route", "aircraft"))
"""The served score is the mean of these: of no great skill, but it moves with the world as a model's would."""


def joined(lake: Lake, features: Features, case: UseCase, span: Interval) -> pa.Table:
    """The examples whose outcome became known in `span`, with their features as of the moment they were asked about."""
    bounds = {"start": span.start, "end": span.end}
    rows = lake.query(case.examples.sql, dict.fromkeys(case.examples.tables), bounds).sort_by("key")
    found = features.history(rows.drop_columns(["key", "label", "label_time"]))
    for name in ("key", "label"):
        found = found.append_column(name, rows[name])
    return found


def release(lake: Lake, features: Features, case: UseCase, span: Interval) -> Bundle:
    """A release that has learnt what became known in `span`: everything that the monitor reads of one, but no model."""
    rows, plan = joined(lake, features, case, span), features.plan()
    labels = rows["label"].to_numpy(zero_copy_only=False).astype(bool)
    given, columns = scores(rows), model_columns(plan, case.categories)
    categories = {name: tuple(sorted(set(rows[name].to_pylist()))) for name in case.categories}
    days = blocks(rows["event_timestamp"].cast(pa.timestamp("us", "UTC")).to_numpy(), case.gate.block)
    found = measure(labels, given, given >= THRESHOLD, case.cost, days)
    told = describe(rows, columns, categories, labels, labels, given, {name: one.value for name, one in found.items()})
    content = json.dumps(told).encode()
    return Bundle(_manifest(case, plan, columns, categories, span, sha256(content)), {REFERENCE: content})


def serve(uri: str, case: UseCase, rows: pa.Table, release_id: str, at: datetime) -> None:
    """Put `rows` into the prediction log as the champion's answers, each its own request, answered from `at` on."""
    statement = (
        "COPY prediction (use_case, request_id, row_number, key, entity, at, as_of, arm, release, score, decision, features, "
        "flags, latency_ms) FROM STDIN"
    )
    with psycopg.connect(uri) as connection, connection.cursor().copy(statement) as copy:
        for record in _records(case, rows, release_id, at):
            copy.write_row(record)


def scores(rows: pa.Table) -> npt.NDArray[np.float64]:
    """The mean of the delay rates that are there; 0.22, the year's rate, where none is."""
    rates = np.column_stack([rows[name].to_numpy(zero_copy_only=False).astype(float) for name in RATES])
    known = np.isfinite(rates)
    mean: npt.NDArray[np.float64] = np.where(known, rates, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), mean, 0.22)


def _records(case: UseCase, rows: pa.Table, release_id: str, at: datetime) -> Iterator[tuple[Any, ...]]:
    requested = [name for name in rows.column_names if "__" not in name and name not in ("label", "event_timestamp")]
    vectors = [name for name in rows.column_names if "__" in name]
    for number, (row, score) in enumerate(zip(rows.to_pylist(), scores(rows).tolist(), strict=True)):
        served = {
            "request": {name: _plain(row[name]) for name in requested if name != "key"},
            "vector": {name: _plain(row[name]) for name in vectors},
        }
        entity = "|".join(str(row[name]) for name in case.entity)
        asked = at + timedelta(milliseconds=number)
        key, as_of = row["key"], row["event_timestamp"]
        yield (
            case.name, f"{release_id}-{key}", 0, key, entity, asked, as_of, "champion", release_id, score, score >= THRESHOLD,
            Jsonb(served), [], 2.0 + number % 7,
        )  # fmt: skip


def _plain(value: Any) -> Any:
    """As JSON has it."""
    return value.isoformat() if isinstance(value, datetime) else value


def _manifest(
    case: UseCase,
    plan: FeaturePlan,
    columns: tuple[str, ...],
    categories: dict[str, tuple[str, ...]],
    span: Interval,
    reference: str,
) -> Manifest:
    return Manifest(
        use_case=case.name,
        columns=columns,
        categories=categories,
        calibrator=Calibrator(x=(0.0, 1.0), y=(0.0, 1.0)),
        threshold=THRESHOLD,
        plan=plan,
        entity=case.entity,
        service=case.service,
        request_suite=case.sources[0].suite,
        shadow_share=0.0,
        snapshot={},
        trained_from=span.start,
        trained_through=span.end,
        parameters={},
        metrics={},
        lineage={},
        files={REFERENCE: reference},
    )
