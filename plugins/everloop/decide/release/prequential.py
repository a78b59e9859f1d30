"""The verdict on a recalibration: its forecasts of labels that have come, day by day, against the scores that were served.

Each block of time is forecast by the fit of the labels known before it, so nothing is judged by what has learnt from it (Dawid
1984, Present position and potential developments: some personal views, statistical theory, the prequential approach, J. R.
Statist. Soc. A 147(2); with labels that come late: Gama, Sebastião & Rodrigues 2013, On evaluating stream learning algorithms,
Machine Learning 90(3)). What is judged is thus the way of recalibrating, of which the candidate is the latest outcome. Booster
and ranking are those that serve, and are not judged again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from everloop.decide.policy import CostMatrix, RecalibrationPolicy
from everloop.decide.release.gate.margins import within
from everloop.decide.statistics.clusters import Codes, blocks, clustered
from everloop.decide.statistics.compare import costs
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason, Verdict, combine

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]

LEAST = 1e-15
"""Log loss takes no score to be nearer to 0 or 1."""


@dataclass(frozen=True)
class Forecasts:
    """Labelled rows (n) with what each was scored before its label was known, and when it was asked for (UTC).

    `recalibrated`: by the fits; `served`: by the releases of this booster that scored it; `trained`: as the booster was released.
    """

    labels: Labels
    recalibrated: Floats
    served: Floats
    trained: Floats
    asked: npt.NDArray[np.datetime64]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A loss per row, recalibrated less another's, with its interval by block of time; and `other`, that one's own."""

    loss: Estimate
    other: float


def judge(found: Forecasts, threshold: float, cost: CostMatrix, policy: RecalibrationPolicy) -> Verdict:
    """Pass when log loss is shown to be no worse than what was served, beyond `margin`, and nothing is shown to be worse.

    Log loss is a proper score of all rows. Cost moves with the few near the threshold, so it stops what is shown to cost more by
    `cost_margin`. A recalibration that is shown to forecast worse than none at all is stopped too.
    """
    units = blocks(found.asked, policy.block)
    ours, served, trained = (_log_losses(found.labels, each) for each in (found.recalibrated, found.served, found.trained))
    spent, before = (costs(found.labels, each >= threshold, cost) for each in (found.recalibrated, found.served))
    return combine(
        [
            _enough(len(found.labels), len(np.unique(units)), policy),
            _no_worse(_difference(ours, served, units, policy), policy),
            _unharmed("trained", "log loss minus that of no recalibration", _difference(ours, trained, units, policy), 0.0),
            _unharmed("cost", "cost per row minus the served", _difference(spent, before, units, policy), policy.cost_margin),
        ]
    )


def _difference(ours: Floats, others: Floats, units: Codes, policy: RecalibrationPolicy) -> Difference:
    if not len(ours):
        return Difference(loss=Estimate(value=0.0, low=-np.inf, high=np.inf, rows=0), other=0.0)
    apart = ours - others
    mean = float(apart.mean())
    return Difference(loss=clustered(mean, (apart - mean) / len(apart), units, policy.confidence), other=float(others.mean()))


def _log_losses(labels: Labels, scores: Floats) -> Floats:
    sure = np.clip(scores, LEAST, 1 - LEAST)
    found: Floats = -np.log(np.where(labels, sure, 1 - sure))
    return found


def _enough(rows: int, found: int, policy: RecalibrationPolicy) -> Reason:
    sufficient = rows >= policy.minimum_labels and found >= policy.minimum_blocks
    text = (
        f"{rows} labels of {found} blocks of time to judge on, at least {policy.minimum_labels} of {policy.minimum_blocks} wanted"
    )
    numbers = {"rows": rows, "blocks": found, "minimum_rows": policy.minimum_labels, "minimum_blocks": policy.minimum_blocks}
    return Reason("recalibration.labels", Outcome.PASS if sufficient else Outcome.INCONCLUSIVE, text, numbers)


def _no_worse(found: Difference, policy: RecalibrationPolicy) -> Reason:
    limit = policy.margin * found.other
    text = f"log loss minus that of what was served {found.loss}, at most {limit:.4f} wanted ({policy.margin:.0%})"
    return Reason("recalibration.log_loss", within(found.loss, limit), text, _numbers(found, limit))


def _unharmed(name: str, what: str, found: Difference, margin: float) -> Reason:
    limit = margin * found.other
    worse = found.loss.low > limit
    text = f"{what} {found.loss}, {'' if worse else 'not '}shown to be above {limit:.4f}"
    return Reason(f"recalibration.{name}", Outcome.FAIL if worse else Outcome.PASS, text, _numbers(found, limit))


def _numbers(found: Difference, limit: float) -> dict[str, float]:
    return {**asdict(found.loss), "other": found.other, "limit": limit}
