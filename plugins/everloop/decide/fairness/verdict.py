"""The verdict on a group column: which gaps are shown to be beyond the policy's limits, all of them being compared at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from everloop.decide.fairness.gaps import ONE_LOOK, Gap, Intervals
from everloop.decide.fairness.groups import GroupCounts
from everloop.decide.fairness.limits import Limit, limits
from everloop.decide.policy import FairnessPolicy
from everloop.decide.statistics.intervals import Range
from everloop.decide.statistics.multiplicity import step_down
from everloop.decide.verdict import Outcome, Reason, Verdict, combine

Judged = tuple[Gap, float]
"""A gap and the level (1 - confidence) at which it was judged."""


def judge(
    column: str,
    by_group: Mapping[str, GroupCounts],
    policy: FairnessPolicy,
    *,
    alpha: float = 0.05,
    intervals: Intervals = ONE_LOOK,
) -> Verdict:
    """The verdict on one group column.

    A gap fails when its interval lies beyond the limit, at a level at which any of the column's gaps, of all rates and groups
    together, is failed by chance with probability `alpha` at most (`step_down`). With every gap within its limit it passes, else
    it is inconclusive. Without a limit, or without two groups of `policy.minimum` rows, nothing is judged: inconclusive.
    Where it is asked again as more rows come, take `intervals=ALWAYS_VALID`: `alpha` then holds for all looks together.
    """
    checks = list(limits(by_group, policy))
    if not checks:
        text = f"groups of {column} are reported, not judged: the policy sets no limit"
        return combine([Reason(f"fairness.{column}", Outcome.INCONCLUSIVE, text)])
    compared = [(limit, gap) for limit in checks for gap in limit.gaps]

    def shown(i: int, level: float) -> bool:
        limit, gap = compared[i]
        return limit.shown(limit.span(gap, level, intervals))

    levels = step_down(shown, len(compared), alpha, sum(limit.family for limit in checks))
    by_limit = {limit.name: list[Judged]() for limit in checks}
    for (limit, gap), level in zip(compared, levels, strict=True):
        by_limit[limit.name].append((gap, level))
    return combine(_reason(column, limit, by_limit[limit.name], policy, alpha, intervals) for limit in checks)


def _reason(
    column: str, limit: Limit, judged: Sequence[Judged], policy: FairnessPolicy, alpha: float, intervals: Intervals
) -> Reason:
    check = f"fairness.{column}.{limit.name}"
    if not judged:
        text = f"no two groups of {column} have {policy.minimum} rows to judge {limit.name} on{limit.needs}"
        return Reason(check, Outcome.INCONCLUSIVE, text, {"limit": limit.limit, "minimum": policy.minimum})
    shown = [(gap, level) for gap, level in judged if limit.shown(limit.span(gap, level, intervals))]
    gap, level = max(shown or judged, key=lambda one: limit.size(one[0]))
    span = limit.span(gap, level, intervals)
    text = f"{limit.tell(column, gap)}: {limit.value(gap):.3f} [{span.low:.3f}, {span.high:.3f}], limit {limit.limit:g}"
    if len(shown) > 1:
        text += f"; as much for {len(shown) - 1} more"
    rows = [_numbers(limit, *one, alpha, intervals) for one in _listed(limit, judged, shown)]
    numbers = {"limit": limit.limit, "family": limit.family, "shown": len(shown), "gaps": rows}
    if shown:
        return Reason(check, Outcome.FAIL, text, numbers)
    within = all(limit.allows(one) for one, _ in judged)
    return Reason(check, Outcome.PASS if within else Outcome.INCONCLUSIVE, text, numbers)


def _listed(limit: Limit, judged: Iterable[Judged], shown: Sequence[Judged]) -> Iterator[Judged]:
    """What is shown, and of every group the largest gap: all pairs of many groups would fill the ledger."""
    largest: dict[str, Judged] = {}
    for gap, level in judged:
        if gap.group not in largest or limit.size(gap) > limit.size(largest[gap.group][0]):
            largest[gap.group] = (gap, level)
    yield from shown
    yield from (one for one in largest.values() if one not in shown)


def _numbers(limit: Limit, gap: Gap, level: float, alpha: float, intervals: Intervals) -> dict[str, Any]:
    """A gap with its interval at `alpha`, and at the level that allows for all that was compared."""
    raw, adjusted = limit.span(gap, alpha, intervals), limit.span(gap, level, intervals)
    return {
        "group": gap.group, "against": gap.against, "rate": gap.rate, "other": gap.other, "trials": gap.ours[1],
        "value": limit.value(gap), **_ends("", raw), "level": level, **_ends("adjusted_", adjusted),
    }  # fmt: skip


def _ends(prefix: str, span: Range) -> dict[str, float | None]:
    """Both ends as JSON takes them."""
    return {f"{prefix}low": span.low, f"{prefix}high": span.high if math.isfinite(span.high) else None}
