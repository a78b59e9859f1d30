"""From the prediction log to what an experiment has shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everloop.decide.experiment.observed import COLUMNS, Observed, Rows, observe
from everloop.decide.policy import ExperimentPlan
from everloop.errors import ConfigurationError
from everloop.ports import Lake, Registry, TrafficLog
from everloop.steps.evolution import TYPES
from everloop.use_case import UseCase

if TYPE_CHECKING:
    import numpy.typing as npt

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class _Logged(msgspec.Struct):
    """What the log keeps of a row's features; the vector is passed over."""

    request: dict[str, Any]


def gather(
    traffic: TrafficLog, registry: Registry, lake: Lake, use_case: UseCase, plan: ExperimentPlan, experiment: str
) -> Observed:
    """All rows of `experiment` with the outcomes that are known by now; each look reads them all, since labels ripen late."""
    columns = (*COLUMNS, "features") if plan.segments else COLUMNS
    rows = traffic.since(use_case.name, experiment, _BEGINNING, columns)
    control = registry.get(plan.control).manifest
    values = _segments(lake, use_case, plan.segments, rows, control.plan.request) if plan.segments else {}
    return observe(arrays(rows), plan.metric, cuped=plan.cuped, cost=use_case.cost, threshold=control.threshold, segments=values)


def arrays(rows: pa.Table) -> Rows:
    """Columns as numpy arrays: names as numbers, which sort fast; absent numbers as NaN, absent text and labels as None."""
    coded = {name: rows[name].combine_chunks().dictionary_encode().indices.to_numpy() for name in ("entity", "request_id")}
    return {name: coded[name] if name in coded else rows[name].to_numpy() for name in rows.column_names}


def check_segments(use_case: UseCase, names: Sequence[str]) -> None:
    """Raise `ConfigurationError` unless all are slices of the use case."""
    if unknown := sorted(set(names) - use_case.slices.keys()):
        raise ConfigurationError(f"{use_case.name} has no slices {unknown}: it has {sorted(use_case.slices)}")


def _segments(
    lake: Lake, use_case: UseCase, names: Sequence[str], rows: pa.Table, fields: Mapping[str, str]
) -> Mapping[str, npt.NDArray[Any]]:
    """The value of each row in each of the use case's slices, as its SQL gives it over the fields of the request."""
    check_segments(use_case, names)
    decode = msgspec.json.Decoder(_Logged).decode
    requests = [decode(text).request for text in rows["features"].to_pylist()]
    columns = {name: _column([request.get(name) for request in requests], kind) for name, kind in fields.items()}
    numbered = pa.table({**columns, "_row": np.arange(len(requests))})
    chosen = ", ".join(f"coalesce(CAST({use_case.slices[name]} AS VARCHAR), '(missing)') AS \"{name}\"" for name in names)
    found = lake.query_rows(f"SELECT {chosen} FROM requests ORDER BY _row", {"requests": numbered})
    return {name: found[name].to_numpy().astype(str) for name in names}


def _column(values: Sequence[Any], kind: str) -> pa.Array:
    """One field of the requests as its type; the log keeps moments as text."""
    return pc.cast(pa.array(values, pa.string()), TYPES[kind]) if kind == "timestamp" else pa.array(values, TYPES[kind])
