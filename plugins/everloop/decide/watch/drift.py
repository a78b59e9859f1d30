"""Whether a window of served rows has moved from what the release learnt from: its columns, its scores and its labels.

An ordinary window fails with probability `DriftPolicy.false_alarms` at most, half of it by the columns and half by the scores.
Where k of m columns must move, each is judged at k / m times the columns' half: the rule of Rüger (1978, Das maximale
Signifikanzniveau des Tests "Lehne H0 ab, wenn k unter n gegebenen Tests zur Ablehnung führen", Metrika 25), which holds whatever
the columns have to do with each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from everloop.decide.policy import DriftPolicy
from everloop.decide.statistics.clusters import Clusters, correlation
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason, Verdict, combine
from everloop.decide.watch import distances
from everloop.decide.watch.limits import either_way
from everloop.decide.watch.measures import limits
from everloop.decide.watch.shift import Shift


@dataclass(frozen=True, kw_only=True)
class LabelShift:
    """The label rate of a window's labelled rows against the reference's: `effect` is Cohen's h, with its interval."""

    rate: float
    reference_rate: float
    effect: Estimate


def compare_labels(reference: Mapping[str, Any], labels: Clusters, confidence: float = 0.95) -> LabelShift | None:
    """The shift of a window's labels, counted by block of time, from those learnt from; `None` without a label on either side.

    A day's labels move together, so both sides count for as many independent labels as they are worth, by the likeness that
    both show. A release from before its labels were kept by block says nothing of that.
    """
    learnt = reference.get("rows")
    if not labels.trials or not learnt:
        return None
    known = Clusters(**reference["labels"]) if "labels" in reference else None
    arms = [labels, *([known] if known else [])]
    alike, freedom = correlation(arms), sum(arm.units - 1 for arm in arms)
    before = (reference["label_rate"], known.effective(alike)[1] if known else learnt)
    after = (labels.rate, labels.effective(alike)[1])
    effect = Estimate.around(
        distances.cohen_h(before[0], after[0]), 1 / before[1] + 1 / after[1], int(labels.trials), confidence,
        units=labels.units, freedom=freedom,
    )  # fmt: skip
    return LabelShift(rate=labels.rate, reference_rate=before[0], effect=effect)


def judge(columns: Mapping[str, Shift], score: Shift | None, policy: DriftPolicy) -> Verdict:
    """Fail when the score, or `share` of the watched columns, moved. Ignored columns are not watched.

    The shifts are effect sizes, so above `minimum_rows` more rows make the verdict surer, not stricter.
    """
    rows = max((shift.rows for shift in (*columns.values(), *([score] if score else []))), default=0)
    if rows < policy.minimum_rows:
        text = f"{rows} rows were served in the window, {policy.minimum_rows} wanted to judge drift"
        return combine([Reason("drift.rows", Outcome.INCONCLUSIVE, text, {"rows": rows})])
    return combine([_columns(columns, policy), _score(score, policy)])


def judge_labels(shift: LabelShift | None, policy: DriftPolicy) -> Reason:
    """Fail when the label rate has moved by `label` and is shown to have moved. Apart from the columns: labels ripen later."""
    rows = shift.effect.rows if shift else 0
    if shift is None or rows < policy.minimum_rows:
        text = f"{rows} labels are too few to judge their rate: {policy.minimum_rows} wanted"
        return Reason("drift.label", Outcome.INCONCLUSIVE, text, {"rows": rows})
    found = shift.effect
    numbers = {"rate": shift.rate, "reference": shift.reference_rate, "limit": policy.label, **asdict(found)}
    told = f"{shift.rate:.1%} of {found.on} are positive, {shift.reference_rate:.1%} of those learnt"
    text = f"{told} (h {found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"
    if policy.label is None:
        return Reason("drift.label", Outcome.INCONCLUSIVE, f"{text}; no limit is set)", numbers)
    return Reason("drift.label", either_way(found, policy.label), f"{text}, limit {policy.label:g})", numbers)


def column_level(columns: Mapping[str, Shift], policy: DriftPolicy) -> float:
    """How often an ordinary window may move one column: so many that the window fails do so half as often as it may err."""
    watched = max(1, len(_watched(columns, policy)))
    return policy.false_alarms / 2 * max(1, math.ceil(policy.share * watched - 1e-9)) / watched


def score_level(policy: DriftPolicy) -> float:
    """How often an ordinary window may move the score: half as often as the verdict may err."""
    return policy.false_alarms / 2


def strangers(columns: Mapping[str, Shift], policy: DriftPolicy) -> dict[str, float]:
    """The columns in which values that the model does not know reach `unknown_rate`, ignored ones too, with their rates."""
    return {name: shift.unknown_rate for name, shift in columns.items() if "unknown_rate" in shift.beyond(policy)}


def unknown_ignored(columns: Mapping[str, Any], policy: DriftPolicy) -> list[str]:
    """The names in `policy.ignore` that no column has: most likely misspelt."""
    return [name for name in policy.ignore if name not in columns]


def moved(columns: Mapping[str, Shift], policy: DriftPolicy) -> dict[str, dict[str, float]]:
    """The watched columns that moved, by falling PSI, each with the measures by which it did."""
    level = column_level(columns, policy)
    found = {name: shift.moved(policy, level) for name, shift in _watched(columns, policy).items()}
    return {name: found[name] for name in sorted(found, key=lambda name: -columns[name].psi) if found[name]}


def moved_share(columns: Mapping[str, Shift], policy: DriftPolicy) -> float:
    """Share of the watched columns that moved; 0 when none is watched."""
    watched = _watched(columns, policy)
    return len(moved(columns, policy)) / len(watched) if watched else 0.0


def _watched(columns: Mapping[str, Shift], policy: DriftPolicy) -> dict[str, Shift]:
    return {name: shift for name, shift in columns.items() if name not in policy.ignore}


def _columns(columns: Mapping[str, Shift], policy: DriftPolicy) -> Reason:
    watched, found = _watched(columns, policy), moved(columns, policy)
    share, level = moved_share(columns, policy), column_level(columns, policy)
    ordinary = {name: watched[name].usual(policy, level) for name in found}
    numbers = {"share": share, "limit": policy.share, "moved": found, **_judged_by(policy, ordinary, level)}
    if not watched:
        return Reason("drift.columns", Outcome.INCONCLUSIVE, "no column is watched", numbers)
    most = ", ".join(f"{name} {watched[name].told(policy, level)}" for name in list(found)[:3])
    usual = [shift for name, shift in watched.items() if name not in found and shift.ordinary and shift.beyond(policy)]
    as_usual = f", {len(usual)} more only as in {usual[0].ordinary}" if usual else ""
    text = f"{len(found)} of {len(watched)} columns moved{f' (most: {most})' if most else ''}{as_usual}"
    failed = bool(found) and share >= policy.share
    return Reason("drift.columns", Outcome.FAIL if failed else Outcome.PASS, text, numbers)


def _score(score: Shift | None, policy: DriftPolicy) -> Reason:
    if score is None:
        return Reason("drift.score", Outcome.INCONCLUSIVE, "no score to compare")
    level = score_level(policy)
    found, ordinary = score.moved(policy, level), score.usual(policy, level)
    text = f"the scores moved by {score.told(policy, level)}, limit of the PSI {policy.psi:g}"
    numbers = {"psi": score.psi, "limit": policy.psi, "beyond": found, **_judged_by(policy, ordinary, level)}
    return Reason("drift.score", Outcome.FAIL if found else Outcome.PASS, text, numbers)


def _judged_by(policy: DriftPolicy, ordinary: Mapping[str, Any], level: float) -> dict[str, Any]:
    return {"limits": limits(policy), "ordinary": ordinary, "level": level}
