"""Whether the relation of inputs and label has changed: how far labels lie from the scores that should be their chances.

Inputs may move and labels become more frequent while every score stays right. Once labels are there, residuals `label - score`
tell a moved relation from moved inputs. A model whose scores miss part of what decides the label shows a residual when that part
moves, too: to whoever acts on the scores it is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide.policy import DriftPolicy
from everloop.decide.statistics.clusters import Codes
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason, Verdict, combine
from everloop.decide.watch.dependence import SUMS, Dependence, Residual, moments
from everloop.decide.watch.limits import either_way
from everloop.decide.watch.sketch import bins

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]

Residuals = dict[str, Any]
"""By score bin: `rows`, and the sums over them of `labels`, `scores` and `squares`, those of `label - score`; how they vary from
block to block (`decide.watch.dependence.moments`), but in sketches from before that was kept."""

FEW = "concept.rows"
"""The check that labels are too few to tell anything."""


@dataclass(frozen=True, kw_only=True)
class Relation:
    """Labels against scores over `rows` labelled rows.

    `bias`: mean of `label - score`, the calibration in the large. `error`: root of the mean over the rows of the squared mean
    residual of their score bin, less what label noise alone gives. `bins`: the mean residual in each score bin, `None` where it
    holds fewer than two rows.
    """

    rows: int
    bias: Estimate
    error: Estimate
    bins: tuple[Estimate | None, ...]


def residuals(edges: Sequence[float], labels: Labels, scores: Floats, units: Codes | None = None) -> Residuals:
    """The sketch of labelled rows (n,) in the score bins with these inner cut points (k,), so that k + 1 bins.

    `units` (n,): the block of time that each lies in; `None` where every row counts by itself.
    """
    found, size = bins(edges, scores), len(edges) + 1
    each = {"rows": np.ones(len(scores)), "labels": labels, "scores": scores, "squares": (labels - scores) ** 2}
    sums: Residuals = {name: np.bincount(found, weights=values, minlength=size).tolist() for name, values in each.items()}
    return sums if units is None else sums | moments(units, found, labels - scores, size)


def merge(first: Residuals, second: Residuals) -> Residuals:
    """The sketch of both windows together, which share no block; by block only where both are."""
    merged: Residuals = {name: [a + b for a, b in zip(first[name], second[name], strict=True)] for name in SUMS}
    if "blocks" not in first or "blocks" not in second:
        return merged
    together = np.asarray(first["moments"]) + np.asarray(second["moments"])
    return merged | {"blocks": first["blocks"] + second["blocks"], "moments": together.tolist()}


def measure(sketch: Residuals, known: Residuals | None = None, confidence: float = 0.95) -> Relation | None:
    """What a sketch says, with two-sided intervals; `None` below two labelled rows.

    Rows of a block vary together as the sketch and `known`, that of the release's held-out rows, show (`Dependence`), so a window
    of one block has an interval too. The squared error is unbiased: in each bin the squared mean residual less the variance of
    that mean, weighted by rows (Kumar, Liang & Ma 2019, Verified uncertainty calibration, their debiased estimator, here with the
    residuals' own variance since the scores in a bin differ). Its variance is that of a quadratic form of normal means, `4 m' W V
    W m + 2 tr(W V W V)` with their covariance V and weights W (Searle 1971, Linear Models, sec. 2.5); its root's ends are the
    roots of its ends. So more rows make it surer, not larger or smaller.
    """
    found = Residual.of(sketch)
    total, kept = found.rows.sum(), found.rows >= 2
    if total < 2:
        return None
    dependence = Dependence.of([sketch, known] if known else [sketch])
    spread, blocks = dependence.spread(sketch), sketch.get("blocks")

    def estimate(value: float, variance: float, rows: float) -> Estimate:
        return Estimate.around(value, variance, int(rows), confidence, units=blocks, freedom=dependence.freedom)

    share, covariance = found.rows / total, spread.covariance
    each = [
        estimate(float(mean), float(variance), rows) if enough else None
        for mean, variance, rows, enough in zip(found.mean, covariance.diagonal(), found.rows, kept, strict=True)
    ]
    return Relation(
        rows=int(total),
        bias=estimate(
            float(share @ found.mean), _alone(sketch) + replace(spread, alone=np.zeros(len(share))).variance(share), total
        ),
        error=_error(found.mean[kept], covariance[np.ix_(kept, kept)], found.rows[kept], int(total), estimate),
        bins=tuple(each),
    )


def _alone(sketch: Residuals) -> float:
    """The variance of the mean residual of all bins, of independent rows."""
    rows, labels, scores, squares = (float(np.sum(sketch[name])) for name in SUMS)
    return max(0.0, squares - (labels - scores) ** 2 / rows) / (rows - 1) / rows


def _error(
    mean: Floats, covariance: Floats, rows: Floats, total: int, estimate: Callable[[float, float, float], Estimate]
) -> Estimate:
    """The root of the unbiased mean square of the bins' residuals; 0 where no bin has two rows."""
    weights = rows / max(1.0, rows.sum())
    square = float(weights @ (mean**2 - covariance.diagonal()))
    weighted = weights * mean
    spread = max(0.0, 4 * weighted @ covariance @ weighted) + 2 * weights @ covariance**2 @ weights
    squared = estimate(square, float(spread), total)
    value, low, high = (math.sqrt(max(0.0, one)) for one in (squared.value, squared.low, squared.high))
    return replace(squared, value=value, low=low, high=high)


def judge(relation: Relation | None, policy: DriftPolicy) -> Verdict:
    """Fail when bias or error reach `residual` and are shown to be there at all; pass when they are shown to stay below."""
    rows = relation.rows if relation else 0
    if relation is None or rows < policy.minimum_rows:
        text = f"{rows} labels are too few to tell whether the relation moved: {policy.minimum_rows} wanted"
        return combine([Reason(FEW, Outcome.INCONCLUSIVE, text, {"rows": rows})])
    return combine(
        [
            _reason("bias", relation.bias, "labels lie above the scores by", policy.residual),
            _reason("error", relation.error, "by score, labels and scores lie apart by", policy.residual),
        ]
    )


def _reason(name: str, found: Estimate, what: str, limit: float | None) -> Reason:
    numbers = {**asdict(found), "limit": limit}
    text = f"{what} {found} on {found.on}"
    if limit is None:
        return Reason(f"concept.{name}", Outcome.INCONCLUSIVE, f"{text}; no limit is set", numbers)
    return Reason(f"concept.{name}", either_way(found, limit), f"{text}, limit {limit:g}", numbers)
