"""How far a window of served rows has moved from what the release learnt from: effect sizes over fixed bins, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from everloop.decide.policy import DriftPolicy
from everloop.decide.statistics.clusters import Clusters, correlation
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason, Verdict, combine
from everloop.decide.watch import distances
from everloop.decide.watch.limits import either_way
from everloop.decide.watch.sketch import Counts, cells


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One column's distance from its reference, over `rows` rows, each measure less what sampling alone gives.

    `psi`: population stability index. `jensen_shannon`: distance, 0 to 1. `wasserstein`: in shares of the range between the
    outer cut points, `None` for categories. Rates are shares of the rows; unknown ones are category values that the model
    does not know.
    """

    rows: int
    psi: float
    jensen_shannon: float
    wasserstein: float | None
    missing_rate: float
    reference_missing_rate: float
    unknown_rate: float
    reference_unknown_rate: float = 0.0

    def beyond(self, policy: DriftPolicy) -> dict[str, float]:
        """The measures that reach a limit of the policy, with their values; of the two rates, the rise over the reference."""
        measured = {
            "psi": (self.psi, policy.psi),
            "jensen_shannon": (self.jensen_shannon, policy.jensen_shannon),
            "wasserstein": (self.wasserstein, policy.wasserstein),
            "missing_rate": (self.missing_rate - self.reference_missing_rate, policy.missing_rate),
            "unknown_rate": (self.unknown_rate - self.reference_unknown_rate, policy.unknown_rate),
        }
        return {
            name: value for name, (value, limit) in measured.items() if value is not None and limit is not None and value >= limit
        }


@dataclass(frozen=True, kw_only=True)
class LabelShift:
    """The label rate of a window's labelled rows against the reference's: `effect` is Cohen's h, with its interval."""

    rate: float
    reference_rate: float
    effect: Estimate


def compare(column: Mapping[str, Any], counts: Counts) -> Shift | None:
    """The shift of a window's counts from the reference `column`; `None` when either holds no row."""
    before, after = cells(column), cells(counts)
    if not before.sum() or not after.sum():
        return None
    edges, bins = column.get("edges"), len(column["counts"])
    return Shift(
        rows=int(after.sum()),
        psi=distances.stability(before, after),
        jensen_shannon=distances.jensen_shannon(before, after),
        wasserstein=None if edges is None else distances.wasserstein(np.asarray(edges), before[:bins], after[:bins]),
        missing_rate=float(counts["missing"] / after.sum()),
        reference_missing_rate=float(column.get("missing", 0) / before.sum()),
        unknown_rate=float(counts.get("other", 0) / after.sum()),
        reference_unknown_rate=float(column.get("other", 0) / before.sum()),
    )


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
    """Fail when the score, or `share` of the watched columns, reach a limit. Ignored columns are not watched.

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


def strangers(columns: Mapping[str, Shift], policy: DriftPolicy) -> dict[str, float]:
    """The columns in which values that the model does not know reach `unknown_rate`, ignored ones too, with their rates."""
    return {name: shift.unknown_rate for name, shift in columns.items() if "unknown_rate" in shift.beyond(policy)}


def unknown_ignored(columns: Mapping[str, Any], policy: DriftPolicy) -> list[str]:
    """The names in `policy.ignore` that no column has: most likely misspelt."""
    return [name for name in policy.ignore if name not in columns]


def moved(columns: Mapping[str, Shift], policy: DriftPolicy) -> dict[str, dict[str, float]]:
    """The watched columns that reach a limit, by falling PSI, each with the measures that do."""
    found = {name: shift.beyond(policy) for name, shift in columns.items() if name not in policy.ignore}
    return {name: found[name] for name in sorted(found, key=lambda name: -columns[name].psi) if found[name]}


def moved_share(columns: Mapping[str, Shift], policy: DriftPolicy) -> float:
    """Share of the watched columns that reach a limit; 0 when none is watched."""
    watched = [name for name in columns if name not in policy.ignore]
    return len(moved(columns, policy)) / len(watched) if watched else 0.0


def _columns(columns: Mapping[str, Shift], policy: DriftPolicy) -> Reason:
    watched, found = [name for name in columns if name not in policy.ignore], moved(columns, policy)
    share = moved_share(columns, policy)
    numbers = {"share": share, "limit": policy.share, "limits": limits(policy), "moved": found}
    if not watched:
        return Reason("drift.columns", Outcome.INCONCLUSIVE, "no column is watched", numbers)
    most = ", ".join(f"{name} {_told(measures)}" for name, measures in list(found.items())[:3])
    text = f"{len(found)} of {len(watched)} columns moved{f' (most: {most})' if most else ''}"
    failed = bool(found) and share >= policy.share
    return Reason("drift.columns", Outcome.FAIL if failed else Outcome.PASS, text, numbers)


def _score(score: Shift | None, policy: DriftPolicy) -> Reason:
    if score is None:
        return Reason("drift.score", Outcome.INCONCLUSIVE, "no score to compare")
    found = score.beyond(policy)
    text = f"the scores moved by {_told(found or {'psi': score.psi})}, limit of the PSI {policy.psi:g}"
    numbers = {"psi": score.psi, "limit": policy.psi, "limits": limits(policy), "beyond": found}
    return Reason("drift.score", Outcome.FAIL if found else Outcome.PASS, text, numbers)


def limits(policy: DriftPolicy) -> dict[str, float]:
    """The limits that are set, by measure."""
    names = ("psi", "jensen_shannon", "wasserstein", "missing_rate", "unknown_rate")
    return {name: value for name in names if (value := getattr(policy, name)) is not None}


def _told(measures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in measures.items())
