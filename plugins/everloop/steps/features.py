"""Feature views: computed into the lake, checked, offered to the online store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from everloop.errors import DataError
from everloop.interval import Interval
from everloop.ports import Checks, Failure, Features, Lake
from everloop.use_case import UseCase


def compute(
    features: Features,
    checks: Checks,
    lake: Lake,
    use_case: UseCase,
    intervals: Sequence[Interval],
    run: str,
    *,
    known_at: datetime | None = None,
    last_asked: datetime | None = None,
) -> dict[str, Any]:
    """Compute every view for `intervals`, and again for the published later ones whose windows reach back into them.

    `known_at`: now in data time, from which on a corrected value counts; without it what stood is replaced. `last_asked`: the
    latest moment as of which anything was served: what is of later intervals nobody has seen (see `ports.Features.compute`).
    Each interval is then checked as the model would see it: the use case's examples of that interval, joined as of its end,
    against the feature suite. Nothing is offered to the online store when a blocking expectation fails: `DataError` names it.
    Returns `{"intervals", "rows": by view, "warnings": [...]}`.
    """
    features.apply()
    worked = touched(features, intervals)
    counts: Counter[str] = Counter()
    warnings: list[str] = []
    for interval in worked:
        unseen = last_asked is None or last_asked < interval.end
        counts.update(features.compute(interval, known_at, unseen=unseen))
        warnings += _checked(features, checks, lake, use_case, interval, run)
    return {"intervals": [interval.label for interval in worked], "rows": dict(counts), "warnings": warnings}


def materialize(features: Features, intervals: Sequence[Interval]) -> dict[str, Any]:
    """Offer what `compute` made to the online store. Returns `{"intervals", "changed": rows by view}`."""
    worked = touched(features, intervals)
    changed: Counter[str] = Counter()
    for interval in worked:
        changed.update(features.materialize(interval))
    return {"intervals": [interval.label for interval in worked], "changed": dict(changed)}


def touched(features: Features, intervals: Iterable[Interval]) -> list[Interval]:
    """`intervals` and those that depend on them, each once, oldest first."""
    return sorted({other for interval in intervals for other in features.touched(interval)})


def _checked(features: Features, checks: Checks, lake: Lake, use_case: UseCase, interval: Interval, run: str) -> list[str]:
    """The warnings of the feature suite; `DataError` when an expectation blocks."""
    if use_case.feature_suite is None:
        return []
    rows = _examples(lake, use_case, interval)
    if not rows.num_rows:
        return []
    validation = checks.validate(features.history(rows), use_case.feature_suite, f"{run}/{interval.label}")
    if validation.blocking:
        raise DataError(
            f'Features of {interval} break the suite "{use_case.feature_suite}": {_told(validation.blocking)}. Nothing was '
            "offered to the online store: correct the source and ingest the interval again, or correct the suite"
        )
    return [f"{interval.label}: {_told([failure])}" for failure in validation.failures]


def _examples(lake: Lake, use_case: UseCase, interval: Interval) -> pa.Table:
    """The interval's examples, asked as of its end, when what it made is known."""
    tables = use_case.examples.tables
    if any(lake.version(table) is None for table in tables):
        return pa.table({})
    bounds = {"start": interval.start, "end": interval.end}
    rows = lake.query(use_case.examples.sql, dict.fromkeys(tables), bounds)
    moment = pa.repeat(pa.scalar(interval.end, pa.timestamp("us", "UTC")), rows.num_rows)
    return rows.set_column(rows.column_names.index("event_timestamp"), "event_timestamp", moment)


def _told(failures: Iterable[Failure]) -> str:
    return "; ".join(f"{failure.text} ({len(failure.rows)} rows)" if failure.rows else failure.text for failure in failures)
