"""Whether a use case's labels are enough for what its policies ask, told before there is any model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from scipy.special import ndtri

from everloop.decide.policy import CostMatrix, FairnessPolicy, GatePolicy, TrainingPolicy
from everloop.decide.release.gate.expected_loss import sufficient
from everloop.decide.statistics.sufficiency import Sufficiency, in_weeks, rounded, sufficiency

DISAGREE, ALIKE, SAVED, COMMON, AUC = 0.18, 0.016, 0.84, 0.93, 0.70
"""What two models are like that a month lies between, on the flights (medians, `benchmarks/results/small_data.json`): the share
of rows that they decide differently, how alike the differences of cost within a day are (intraclass correlation), the cost as a
share of what deciding all rows alike would cost, the correlation of their AUCs, and about what AUC they have."""

YEAR = timedelta(days=365)
"""How long a history is taken to be that a policy sets no end to."""
WEEK = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What is known of a use case's labels: how many come a week, and which share is positive.

    `groups`: by group column, how many rows and how many positives of each group come a week.
    """

    per_week: float
    positive: float
    groups: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)

    @property
    def design_effect(self) -> float:
        """How many times the variance of independent rows a difference has (Kish 1965), as days move together."""
        return max(1.0, 1 + (self.per_week / 7 - 1) * ALIKE)


def warnings(
    labels: Labels, gate: GatePolicy, training: TrainingPolicy, cost: CostMatrix, fairness: FairnessPolicy
) -> Iterator[str]:
    """In words, each thing that the policies ask and that the labels held out will not show, with what to change."""
    weeks = held_out(training)
    known = f"about {rounded(labels.per_week)} labels a week, {labels.positive:.0%} of them positive"
    have = weeks * labels.per_week
    for what, found, form in _asked(labels, gate, cost):
        if not math.isfinite(found.shows):
            yield f"{known}: {what} takes labels of both kinds"
        elif found.weeks is None or found.weeks > weeks:
            able = f" widen it to {found.shows * math.sqrt(found.rows / have):{form}}," if form else ""
            less = "" if gate.decide_by else ", or let GatePolicy(decide_by=ExpectedLoss()) decide"
            held = f"{rounded(have)}{in_weeks(weeks)} are held out"
            yield f"{known}: {what} takes {found.takes}, of which {held}:{able} hold out more (TrainingPolicy){less}"
    yield from _groups(labels, fairness, weeks)


def held_out(training: TrainingPolicy) -> float:
    """How many weeks of labels the gate judges on, of a history of a year where the policy sets no window."""
    longest = training.holdout * ((training.window or YEAR) / WEEK)
    return min(longest, training.part_at_most / WEEK) if training.part_at_most else longest


def relative_error(labels: Labels, cost: CostMatrix, rows: float) -> float:
    """The standard error of a relative difference of cost over so many rows.

    Models decide differently where chances are near the threshold t = fp / (fp + fn), so a row on which they do costs one of them
    fn with chance t, the other fp with chance 1 - t: mean square `t fn^2 + (1 - t) fp^2 = fp fn`. Of pairs of real models of the
    flights it is off by 3 % in the middle, by 27 % at most.
    """
    alike = min(labels.positive * cost.false_negative, (1 - labels.positive) * cost.false_positive)
    if not alike:
        return math.inf
    spread = math.sqrt(DISAGREE * cost.false_positive * cost.false_negative) / (SAVED * alike)
    return spread * math.sqrt(labels.design_effect / rows)


def auc_error(labels: Labels, rows: float) -> float:
    """The standard error of a difference of AUC over so many rows.

    Hanley & McNeil 1982, The meaning and use of the area under a ROC curve, Radiology 143, eq. 1; of the difference of two that
    are correlated, Hanley & McNeil 1983, Radiology 148, eq. 3.
    """
    positives, negatives = rows * labels.positive, rows * (1 - labels.positive)
    if min(positives, negatives) < 1:
        return math.inf
    first, second = AUC / (2 - AUC), 2 * AUC**2 / (1 + AUC)
    one = AUC * (1 - AUC) + (positives - 1) * (first - AUC**2) + (negatives - 1) * (second - AUC**2)
    return math.sqrt(2 * (1 - COMMON) * one / (positives * negatives) * labels.design_effect)


def _asked(labels: Labels, gate: GatePolicy, cost: CostMatrix) -> Iterator[tuple[str, Sufficiency, str]]:
    """What the policy asks of the comparison, with what a week of labels can show of it, and how a margin is written."""
    rows = max(2, round(labels.per_week))
    z = float(ndtri((1 + gate.confidence) / 2))
    error = relative_error(labels, cost, rows)
    least = Sufficiency(rows=rows, margin=0.0, shows=0.0, wanted=gate.least_rows, per_week=labels.per_week)
    if gate.decide_by:
        yield "ExpectedLoss.minimum_rows", least, ""
        able = sufficient(rows, error, gate, gate.decide_by, labels.per_week)
        yield f"an improvement of {able.margin:.1%} by ExpectedLoss", able, ""
        return
    yield "GatePolicy.minimum_rows", least, ""
    able = sufficiency(rows, z * error, gate.cost_margin, gate.confidence, per_week=labels.per_week)
    yield f"GatePolicy.cost_margin {gate.cost_margin:.1%}", able, ".1%"
    able = sufficiency(rows, z * auc_error(labels, rows), gate.auc_margin, gate.confidence, per_week=labels.per_week)
    yield f"GatePolicy.auc_margin {gate.auc_margin:g}", able, ".2g"


def _groups(labels: Labels, fairness: FairnessPolicy, weeks: float) -> Iterator[str]:
    """Groups of which too few rows, or positives where a limit is on error rates, are held out."""
    if not fairness.judges:
        return
    of_positives = fairness.opportunity_difference is not None or fairness.error_rate_difference is not None
    what = "positives" if of_positives else "rows"
    for column, groups in labels.groups.items():
        few = {name: found[of_positives] for name, found in groups.items() if found[of_positives] * weeks < fairness.minimum}
        if few:
            name = min(few, key=few.__getitem__)
            takes = in_weeks(fairness.minimum / few[name] if few[name] else None) or " (none has come yet)"
            yield (
                f"FairnessPolicy.minimum {fairness.minimum} {what}: {len(few)} of {len(groups)} groups of {column} have fewer "
                f"held out, {column}={name} about {few[name]:.1f} a week{takes}: lower the minimum, hold out more, or join groups"
            )
