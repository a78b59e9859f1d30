"""Rows of the prediction log, asked of history again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from everloop.decide.parity import Pair
from everloop.flags import statuses, store_was_away
from everloop.kinds import ARROW_TYPES
from everloop.ports import Features
from everloop.release import FeaturePlan


def replayed(features: Features, rows: pa.Table) -> list[Pair]:
    """Each row's features as they were served and as history gives them, as of the moment it was answered for."""
    plan, logged = features.plan(), [json.loads(text) for text in rows["features"].to_pylist()]
    entities = _entities(plan, [entry["request"] for entry in logged], rows["as_of"])
    history = features.history(entities).drop_columns(entities.column_names).to_pylist()
    times, views = _times(plan), [view.name for view in plan.views]
    columns = (rows[name].to_pylist() for name in ("request_id", "key", "as_of", "flags"))
    return [
        Pair(
            request_id=request_id,
            key=key,
            as_of=as_of,
            served={name: _moment(value) if name in times else value for name, value in entry["vector"].items()},
            replayed={name: _logged(value) for name, value in again.items()},
            statuses=statuses(flags, views),
            unavailable=store_was_away(flags),
        )
        for request_id, key, as_of, flags, entry, again in zip(*columns, logged, history, strict=True)
    ]


def _entities(plan: FeaturePlan, requests: Sequence[Mapping[str, Any]], as_of: pa.ChunkedArray) -> pa.Table:
    columns = {
        name: pa.array([_typed(request.get(name), kind) for request in requests], ARROW_TYPES[kind])
        for name, kind in plan.request.items()
    }
    return pa.table({**columns, "event_timestamp": as_of})


def _times(plan: FeaturePlan) -> set[str]:
    """The features that are moments, which the log keeps as text."""
    kinds = [(view.name, view.features) for view in plan.views] + [(call.name, call.features) for call in plan.functions]
    return {f"{part}__{name}" for part, features in kinds for name, kind in features.items() if kind == "timestamp"}


def _typed(value: Any, kind: str) -> Any:
    """A JSON value as its column's type wants it."""
    return datetime.fromisoformat(value) if kind == "timestamp" and value is not None else value


def _moment(value: str | None) -> Any:
    return None if value is None else _logged(datetime.fromisoformat(value))


def _logged(value: Any) -> Any:
    """A value as JSON can hold it: moments as text in UTC, numbers that are not finite as null, as the prediction log does."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value
