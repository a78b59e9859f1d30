"""Whether the relation of inputs and label has changed: how far labels lie from the scores that should be their chances.

Inputs may move and labels become more frequent while every score stays right. Once labels are there, residuals `label - score`
tell a moved relation from moved inputs. A model whose scores miss part of what decides the label shows a residual when that part
moves, too: to whoever acts on the scores it is the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from everloop.decide.policy import DriftPolicy
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason, Verdict, combine
from everloop.decide.watch.sketch import bins

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]

Residuals = dict[str, list[float]]
"""By score bin: `rows`, and the sums over them of `labels`, `scores` and `squares`, those of `label - score`."""

_SUMS = ("rows", "labels", "scores", "squares")


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


def residuals(edges: Sequence[float], labels: Labels, scores: Floats) -> Residuals:
    """The sketch of labelled rows (n,) in the score bins with these inner cut points (k,), so that k + 1 bins."""
    found, size = bins(edges, scores), len(edges) + 1
    each = {"rows": np.ones(len(scores)), "labels": labels, "scores": scores, "squares": (labels - scores) ** 2}
    return {name: np.bincount(found, weights=values, minlength=size).tolist() for name, values in each.items()}


def merge(first: Residuals, second: Residuals) -> Residuals:
    """The sketch of both windows together."""
    return {name: [a + b for a, b in zip(first[name], second[name], strict=True)] for name in _SUMS}


def measure(sketch: Mapping[str, Sequence[float]], confidence: float = 0.95) -> Relation | None:
    """What a sketch says, with two-sided intervals; `None` below two labelled rows.

    The squared error is unbiased: in each bin the squared mean residual less the variance of that mean, weighted by rows
    (Kumar, Liang & Ma 2019, Verified uncertainty calibration, their debiased estimator, here with the residuals' own variance
    since the scores in a bin differ). Its variance is that of a squared normal mean, `4 r^2 v + 2 v^2`; its root's ends are the
    roots of its ends. So more rows make it surer, not larger or smaller.
    """
    rows, labels, scores, squares = (np.asarray(sketch[name]) for name in _SUMS)
    total, sums = rows.sum(), labels - scores
    if total < 2:
        return None
    kept = rows >= 2
    means, noise = _moments(rows[kept], sums[kept], squares[kept])
    weights = rows[kept] / rows[kept].sum()
    squared = float(np.sum(weights * (means**2 - noise)))
    half = float(norm.ppf((1 + confidence) / 2)) * math.sqrt(np.sum(weights**2 * (4 * means**2 * noise + 2 * noise**2)))
    value, low, high = (math.sqrt(max(0.0, each)) for each in (squared, squared - half, squared + half))
    found = iter(Estimate.around(mean, v, int(n), confidence) for mean, v, n in zip(means, noise, rows[kept], strict=True))
    mean, variance = _moments(total, sums.sum(), squares.sum())
    return Relation(
        rows=int(total),
        bias=Estimate.around(float(mean), float(variance), int(total), confidence),
        error=Estimate(value=value, low=low, high=high, rows=int(total)),
        bins=tuple(next(found) if one else None for one in kept),
    )


def judge(relation: Relation | None, policy: DriftPolicy) -> Verdict:
    """Fail when bias or error reach `residual` and their interval shows that there is one at all; in between inconclusive."""
    rows = relation.rows if relation else 0
    if relation is None or rows < policy.minimum_rows:
        text = f"{rows} labels are too few to tell whether the relation moved: {policy.minimum_rows} wanted"
        return combine([Reason("concept.rows", Outcome.INCONCLUSIVE, text, {"rows": rows})])
    return combine(
        [
            _reason("bias", relation.bias, "labels lie above the scores by", policy.residual),
            _reason("error", relation.error, "by score, labels and scores lie apart by", policy.residual),
        ]
    )


def _moments(rows: Any, sums: Any, squares: Any) -> tuple[Any, Any]:
    """Mean residual and the variance of that mean, from two rows on."""
    means = sums / rows
    return means, np.maximum(0.0, squares - rows * means**2) / (rows - 1) / rows


def _reason(name: str, found: Estimate, what: str, limit: float | None) -> Reason:
    numbers = {"value": found.value, "low": found.low, "high": found.high, "rows": found.rows, "limit": limit}
    text = f"{what} {found} on {found.rows} rows"
    if limit is None:
        return Reason(f"concept.{name}", Outcome.INCONCLUSIVE, f"{text}; no limit is set", numbers)
    shown = found.low > 0 or found.high < 0
    beyond = Outcome.FAIL if shown else Outcome.INCONCLUSIVE
    outcome = beyond if abs(found.value) >= limit else Outcome.PASS
    return Reason(f"concept.{name}", outcome, f"{text}, limit {limit:g}", numbers)
