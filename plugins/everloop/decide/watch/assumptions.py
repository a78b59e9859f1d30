"""Whether an estimate without labels may be believed: what it assumes, checked against what is known of the window.

Scores stand for chances only while they are calibrated. That is known for inputs and scores like those that calibration was
checked on, under the relation that labels last showed. Where one of these is broken the estimate may be right or wrong, and
nobody knows which: its verdict is inconclusive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide.verdict import Outcome, Reason, Verdict, combine
from everloop.decide.watch.concept import FEW

OUTSIDE = 0.01
"""Share of the scores beyond all held-out ones from which the window is not the one that calibration was checked on. Of rows like
the n held-out ones, 2 in n + 1 are expected to lie there; a release has thousands. It is the share of the very rows that are
estimated, so it has no sampling error, nor has that of unknown values."""


def checked(
    scores: npt.NDArray[np.float64],
    span: Sequence[float] | None,
    drift: Verdict | None,
    strangers: Mapping[str, float],
    relation: Verdict | None,
) -> tuple[Reason, ...]:
    """What the estimate of `scores` (rows,) assumes, each passed or inconclusive.

    `span`: the lowest and highest held-out score; `drift`: the verdict on the same window's inputs and scores; `strangers`: the
    share of rows with unknown values, of each column where it reaches the policy's limit; `relation`: the verdict on the latest
    labels' residuals. `None` where it is not known, which is no support.

    Labels that do not show whether scores are off are no doubt beyond the estimate's own: by how much they may be off, from
    window to window and from block to block, is in its interval.
    """
    return (
        _range(scores, span),
        _judged("estimate.inputs", drift, "the window's drift was not measured", "inputs and scores are those that were learnt"),
        _strangers(strangers),
        _relation(relation),
    )


def weigh(measured: Verdict, assumed: Sequence[Reason]) -> Verdict:
    """The verdict on what was estimated, if all that it assumes holds; else inconclusive, failing or not."""
    if all(reason.outcome is Outcome.PASS for reason in assumed):
        return combine([*assumed, *measured.reasons])
    return combine([*assumed, *(replace(reason, outcome=Outcome.INCONCLUSIVE) for reason in measured.reasons)])


def _range(scores: npt.NDArray[np.float64], span: Sequence[float] | None) -> Reason:
    name = "estimate.range"
    if span is None:
        text = "the release does not say which scores its calibration was checked on: train it again"
        return Reason(name, Outcome.INCONCLUSIVE, text)
    low, high = span
    share = float(np.mean((scores < low) | (scores > high))) if len(scores) else 1.0
    text = f"{share:.1%} of the scores lie outside of [{low:.3f}, {high:.3f}], where calibration was checked; {OUTSIDE:.0%} may"
    numbers = {"share": share, "low": low, "high": high, "limit": OUTSIDE}
    return Reason(name, Outcome.INCONCLUSIVE if share > OUTSIDE else Outcome.PASS, text, numbers)


def _relation(verdict: Verdict | None) -> Reason:
    """Broken where labels show that scores are off by more than the policy allows, and where labels are too few."""
    name = "estimate.relation"
    if verdict is None:
        return Reason(name, Outcome.INCONCLUSIVE, "no label shows the relation yet")
    against = [reason.text for reason in verdict.reasons if reason.outcome is Outcome.FAIL or reason.check == FEW]
    numbers: dict[str, Any] = {"outcome": str(verdict.outcome)}
    if against:
        return Reason(name, Outcome.INCONCLUSIVE, "; ".join(against), numbers)
    return Reason(name, Outcome.PASS, "the latest labels do not speak against the scores", numbers)


def _judged(name: str, verdict: Verdict | None, absent: str, sound: str) -> Reason:
    """Somebody else's verdict as an assumption: anything but a pass supports nothing."""
    if verdict is None:
        return Reason(name, Outcome.INCONCLUSIVE, absent)
    numbers: dict[str, Any] = {"outcome": str(verdict.outcome)}
    if verdict.passed:
        return Reason(name, Outcome.PASS, sound, numbers)
    return Reason(name, Outcome.INCONCLUSIVE, verdict.because(), numbers)


def _strangers(rates: Mapping[str, float]) -> Reason:
    told = ", ".join(f"{name} {rate:.0%}" for name, rate in rates.items())
    text = f"values that the model does not know: {told}" if told else "the model knows the values of every category"
    outcome = Outcome.INCONCLUSIVE if told else Outcome.PASS
    return Reason("estimate.categories", outcome, text, {"unknown": dict(rates)})
