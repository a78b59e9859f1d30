"""Both arms of a rollout on the same labelled rows of an interval."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import pyarrow as pa
import pyarrow.compute as pc

from everloop.decide.release.gate.margins import within
from everloop.decide.statistics.clusters import blocks
from everloop.decide.statistics.compare import auc_difference, costs, mean_difference
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome
from everloop.interval import Interval
from everloop.ports import Measurement, Registry
from everloop.steps.monitor.served import champions, moments, numbers
from everloop.use_case import UseCase


def paired(rows: pa.Table, interval: Interval, registry: Registry, use_case: UseCase) -> list[Measurement]:
    """Kind `performance`, subjects `paired_cost` and `paired_auc`: the shadow's value minus that of the champion it shadowed.

    Cost fails when it is shown to be more than the rollout's `cost_margin` above the champion's, and passes when shown not to
    be; the AUC is reported only. Both intervals count blocks of time, so in a window of one block nothing is shown.
    """
    found: list[Measurement] = []
    for champion in champions(rows):
        answered = rows.filter(pc.equal(rows["release"], champion))
        for shadow in sorted(set(answered["shadow_release"].drop_null().to_pylist())):
            both = answered.filter(_complete(answered, shadow))
            found += _compare(both, interval, champion, shadow, registry, use_case)
    return found


def _complete(rows: pa.Table, shadow: str) -> pa.ChunkedArray:
    """Where both scores and the label are there."""
    mask = pc.fill_null(pc.equal(rows["shadow_release"], shadow), False)
    for name in ("score", "shadow_score", "label"):
        mask = pc.and_(mask, pc.is_valid(rows[name]))
    return mask


def _compare(
    rows: pa.Table, interval: Interval, champion: str, shadow: str, registry: Registry, use_case: UseCase
) -> Iterable[Measurement]:
    labels, old, new = numbers(rows["label"]) > 0.5, numbers(rows["score"]), numbers(rows["shadow_score"])
    before = costs(labels, old >= registry.get(champion).manifest.threshold, use_case.cost)
    after = costs(labels, new >= registry.get(shadow).manifest.threshold, use_case.cost)
    days = blocks(moments(rows["as_of"]), use_case.gate.block)
    cost, ranks = mean_difference(after, before, units=days), auc_difference(labels, new, old, units=days)
    if cost is not None:
        yield _row(interval, champion, shadow, "paired_cost", cost, within(cost, use_case.rollout.cost_margin * before.mean()))
    if ranks is not None:
        yield _row(interval, champion, shadow, "paired_auc", ranks, Outcome.INCONCLUSIVE)


def _row(interval: Interval, champion: str, shadow: str, subject: str, found: Estimate, outcome: Outcome) -> Measurement:
    detail = asdict(found) | {"against": champion}
    return Measurement(
        interval=interval, release=shadow, kind="performance", subject=subject, value=found.value, verdict=outcome, detail=detail
    )
