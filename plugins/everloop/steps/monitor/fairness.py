"""Whether groups were treated alike in an interval: selection at once, error rates as labels come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everloop.decide import fairness as fairly
from everloop.decide.fairness import RATES, Gap
from everloop.interval import Interval
from everloop.ports import Lake, Measurement, Measurements, Registry, TrafficLog
from everloop.steps.monitor.measuring import write
from everloop.steps.monitor.ripened import ripened
from everloop.steps.monitor.served import Scored, boosters, scored
from everloop.use_case import UseCase

RIPENED = "monitor:fairness"
"""The cursor (the prediction log's clock) of the outcomes that the measured fairness knows of."""

WEEK = timedelta(days=7)

Groups = Mapping[str, Mapping[str, Any]]
"""By column, the group of each key that is known."""


def fairness(
    lake: Lake,
    traffic: TrafficLog,
    registry: Registry,
    measurements: Measurements,
    use_case: UseCase,
    intervals: Sequence[Interval],
) -> dict[str, Any]:
    """Kind `fairness`: by group column, the largest gap of a group's selection rate to the whole, and all groups' counts.

    A column that requests do not carry is taken from the use case's examples, once the row's label is in the lake; rows of which
    the group is not known yet are left out and counted. Earlier intervals of which labels came or were corrected since they were
    measured are measured again. The units are entities: many requests of one are worth fewer.
    """
    again, looked = ripened(traffic, measurements, use_case, intervals, RIPENED)
    found: list[Measurement] = []
    for interval in (*again, *intervals) if use_case.fairness.columns else ():
        rows = traffic.served(use_case.name, interval)
        bundles = {releases[-1]: scored(rows, interval, releases, registry) for releases in boosters(rows, registry)}
        known = _groups(lake, use_case, interval, rows, _unsent(use_case, bundles.values()))
        found += [_measured(one, column, known, use_case) for one in bundles.values() for column in use_case.fairness.columns]
    written = write(measurements, use_case, found)
    measurements.advance(use_case.name, RIPENED, looked)
    return written


def _unsent(use_case: UseCase, releases: Iterable[Scored]) -> list[str]:
    """The group columns that some release's requests do not carry."""
    return [column for column in use_case.fairness.columns if any(column not in one.request_fields for one in releases)]


def _groups(lake: Lake, use_case: UseCase, interval: Interval, rows: pa.Table, columns: Sequence[str]) -> Groups:
    """The groups of the labelled rows of an interval, by `columns` of the use case's examples.

    Only the time in which their labels became known is read: from the interval on, to an interval after the last of them, since a
    business system may have told it before the lake did.
    """
    labelled = rows.filter(pc.is_valid(rows["label"]))
    if not columns or not labelled.num_rows:
        return {column: {} for column in columns}
    end = pc.max(labelled["known_at"]).as_py() + use_case.interval
    selected = ", ".join(f'"{column}"' for column in columns)
    examples = lake.query(
        f"SELECT key, {selected} FROM ({use_case.examples.sql})",
        dict.fromkeys(use_case.examples.tables),
        {"start": interval.start, "end": end},
    )
    wanted = examples.filter(pc.is_in(examples["key"], value_set=labelled["key"].combine_chunks()))
    keys = wanted["key"].to_pylist()
    return {column: dict(zip(keys, wanted[column].to_pylist(), strict=True)) for column in columns}


def _measured(rows: Scored, column: str, groups: Groups, use_case: UseCase) -> Measurement:
    if column in rows.request_fields:
        of, known = [request.get(column) for request in rows.requests], np.ones(len(rows.scores), dtype=bool)
    else:
        known = np.array([key in groups[column] for key in rows.keys], dtype=bool)
        of = [groups[column][key] for key in rows.keys if key in groups[column]]
    counts = fairly.count(of, rows.decisions[known], rows.labels[known], np.array(rows.entities, dtype=str)[known])
    verdict = fairly.judge(column, counts, use_case.fairness, weeks=(rows.interval.end - rows.interval.start) / WEEK)
    compared = fairly.considered(counts, use_case.fairness)
    gaps = {rate: fairly.gaps(compared, rate, use_case.fairness.minimum) for rate in RATES}
    detail = verdict.to_json() | {
        "groups": {name: asdict(group) for name, group in counts.items()},
        "gaps": {rate: [_numbers(gap) for gap in found] for rate, found in gaps.items()},
        "summary": fairly.summary(compared, use_case.fairness.minimum),
        "unknown": int((~known).sum()),
    }
    largest = max((abs(gap.difference) for gap in gaps["selection"]), default=None)
    return rows.measured("fairness", column, largest, verdict.outcome, detail)


def _numbers(gap: Gap) -> dict[str, Any]:
    span = gap.span(0.05)
    return {
        "group": gap.group, "rate": gap.rate, "whole": gap.other, "difference": gap.difference,
        "low": span.low, "high": span.high, "trials": gap.ours[1],
    }  # fmt: skip
