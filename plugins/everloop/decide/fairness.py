"""Whether groups are treated alike: selection and error rates of each group against the whole, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide.policy import FairnessPolicy
from everloop.decide.statistics.intervals import Range, newcombe
from everloop.decide.verdict import Outcome, Reason, Verdict, combine


@dataclass(frozen=True, kw_only=True)
class GroupCounts:
    """A group's sufficient statistics: rows and those decided positive; labelled positives and negatives, and their alarms."""

    rows: int = 0
    selected: int = 0
    positives: int = 0
    true_positives: int = 0
    negatives: int = 0
    false_positives: int = 0

    def __add__(self, other: GroupCounts) -> GroupCounts:
        return GroupCounts(**{name: value + getattr(other, name) for name, value in asdict(self).items()})

    def rate(self, name: str) -> tuple[int, int]:
        """`(successes, trials)` of `selection`, `tpr` (true positive rate) or `fpr` (false positive rate)."""
        return {
            "selection": (self.selected, self.rows),
            "tpr": (self.true_positives, self.positives),
            "fpr": (self.false_positives, self.negatives),
        }[name]


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A group's rate minus that of the whole, with its interval. `trials`: the group's rows that the rate is over."""

    group: str
    rate: float
    whole: float
    difference: float
    low: float
    high: float
    trials: int


def count(groups: Sequence[Any], decisions: npt.NDArray[np.bool_], labels: npt.NDArray[np.float64]) -> dict[str, GroupCounts]:
    """Counts by group; `labels` is 1, 0 or NaN where unknown, all of shape (rows,). A null group is `"(missing)"`."""
    names = np.array(["(missing)" if group is None else str(group) for group in groups], dtype=object)
    positive, negative = labels == 1, labels == 0
    return {
        name: GroupCounts(
            rows=int(inside.sum()),
            selected=int((inside & decisions).sum()),
            positives=int((inside & positive).sum()),
            true_positives=int((inside & positive & decisions).sum()),
            negatives=int((inside & negative).sum()),
            false_positives=int((inside & negative & decisions).sum()),
        )
        for name in sorted(set(names))
        for inside in [names == name]
    }


def gaps(by_group: Mapping[str, GroupCounts], rate: str, minimum: int, confidence: float = 0.95) -> list[Gap]:
    """Each group's gap to the whole, for groups with at least `minimum` rows that the rate is over.

    These are fairlearn's differences "to_overall", signed. A group is part of the whole, so the interval is that of the group
    against the rest (Newcombe 1998, independent), shrunk by the rest's share of the rows: group - whole = (1 - share) (group
    - rest). A group that is the whole has no gap.
    """
    whole = sum(by_group.values(), GroupCounts()).rate(rate)
    found = []
    for name, counts in by_group.items():
        hits, trials = counts.rate(rate)
        rest = (whole[0] - hits, whole[1] - trials)
        if trials < max(1, minimum) or not rest[1]:
            continue
        shrink = rest[1] / whole[1]
        span = newcombe((hits, trials), rest, confidence)
        ours, overall = hits / trials, whole[0] / whole[1]
        found.append(
            Gap(
                group=name, rate=ours, whole=overall, difference=ours - overall,
                low=span.low * shrink, high=span.high * shrink, trials=trials,
            )
        )  # fmt: skip
    return found


def judge(column: str, by_group: Mapping[str, GroupCounts], policy: FairnessPolicy, confidence: float = 0.95) -> Verdict:
    """The verdict on one group column.

    A gap beyond its limit fails when its interval lies beyond it too, else it is inconclusive. With no limit set, or too few
    rows in every group, nothing is judged: inconclusive.
    """
    limits = (
        ("selection", policy.selection_difference),
        ("tpr", policy.error_rate_difference),
        ("fpr", policy.error_rate_difference),
    )
    reasons = [_difference(column, rate, limit, by_group, policy, confidence) for rate, limit in limits if limit is not None]
    if policy.selection_ratio is not None:
        reasons.append(_ratio(column, policy.selection_ratio, by_group, policy.minimum))
    if not reasons:
        text = f"groups of {column} are reported, not judged: the policy sets no limit"
        reasons = [Reason(f"fairness.{column}", Outcome.INCONCLUSIVE, text)]
    return combine(reasons)


def selection_ratio(by_group: Mapping[str, GroupCounts], minimum: int) -> float | None:
    """Lowest over highest selection rate of the groups with at least `minimum` rows: fairlearn's demographic parity ratio."""
    rates = [counts.selected / counts.rows for counts in by_group.values() if counts.rows >= max(1, minimum)]
    return min(rates) / max(rates) if len(rates) > 1 and max(rates) > 0 else None


def _difference(
    column: str, rate: str, limit: float, by_group: Mapping[str, GroupCounts], policy: FairnessPolicy, confidence: float
) -> Reason:
    check = f"fairness.{column}.{rate}"
    found = gaps(by_group, rate, policy.minimum, confidence)
    if not found:
        return Reason(check, Outcome.INCONCLUSIVE, f"no two groups of {column} have {policy.minimum} rows to judge {rate} on")
    worst = max(found, key=lambda gap: abs(gap.difference))
    shown = [gap for gap in found if _beyond(Range(gap.low, gap.high), limit)]
    text = f"{rate} of {column}={worst.group} is {worst.rate:.1%}, of all {worst.whole:.1%} (gap limit {limit:.1%})"
    numbers = {"limit": limit, "gaps": [asdict(gap) for gap in found]}
    if shown:
        return Reason(check, Outcome.FAIL, text, numbers)
    return Reason(check, Outcome.PASS if abs(worst.difference) <= limit else Outcome.INCONCLUSIVE, text, numbers)


def _beyond(span: Range, limit: float) -> bool:
    return span.low > limit or span.high < -limit


def _ratio(column: str, limit: float, by_group: Mapping[str, GroupCounts], minimum: int) -> Reason:
    check, ratio = f"fairness.{column}.selection_ratio", selection_ratio(by_group, minimum)
    if ratio is None:
        return Reason(check, Outcome.INCONCLUSIVE, f"no two groups of {column} have {minimum} rows and a selection")
    text = f"the least selected group of {column} is selected {ratio:.2f} times as often as the most selected, limit {limit:.2f}"
    return Reason(check, Outcome.PASS if ratio >= limit else Outcome.FAIL, text, {"ratio": ratio, "limit": limit})
