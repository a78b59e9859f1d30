"""The verdict on a group column: which gaps are shown to be beyond the policy's limits, all of them being compared at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from everloop.decide.fairness.gaps import ONE_LOOK, Gap, Intervals
from everloop.decide.fairness.groups import GroupCounts, considered
from everloop.decide.fairness.limits import Limit, limits
from everloop.decide.policy import FairnessPolicy
from everloop.decide.policy.fairness import WHOLE
from everloop.decide.statistics.intervals import Range
from everloop.decide.statistics.multiplicity import step_down
from everloop.decide.statistics.sufficiency import Sufficiency, in_weeks, sufficiency
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
    weeks: float | None = None,
) -> Verdict:
    """The verdict on one group column, of rows of so many `weeks` where that is known.

    A gap fails when its interval lies beyond the limit, at a level at which any of the column's gaps, of all rates and groups
    together, is failed by chance with probability `alpha` at most (`step_down`). With every gap within its limit it passes, else
    it is inconclusive. Without a limit, or without two groups of `policy.minimum` rows, nothing is judged: inconclusive.
    What is inconclusive says what these rows could show, and how many it takes.
    Where it is asked again as more rows come, take `intervals=ALWAYS_VALID`: `alpha` then holds for all looks together.
    """
    checks = list(limits(considered(by_group, policy), policy))
    if not checks:
        text = f"groups of {column} are reported, not judged: the policy sets no limit"
        return combine([Reason(f"fairness.{column}", Outcome.INCONCLUSIVE, text)])
    compared = [(limit, gap) for limit in checks for gap in limit.gaps]

    def shown(i: int, level: float) -> bool:
        limit, gap = compared[i]
        return limit.shown(limit.span(gap, level, intervals))

    family = sum(limit.family for limit in checks)
    levels = step_down(shown, len(compared), alpha, family)
    by_limit = {limit.name: list[Judged]() for limit in checks}
    for (limit, gap), level in zip(compared, levels, strict=True):
        by_limit[limit.name].append((gap, level))
    look = _Look(column, policy, alpha, alpha / max(1, family), intervals, weeks)
    return combine(_reason(look, limit, by_limit[limit.name]) for limit in checks)


@dataclass(frozen=True)
class _Look:
    """What all limits of a column are judged with. `strictest`: the level of a gap while none is shown."""

    column: str
    policy: FairnessPolicy
    alpha: float
    strictest: float
    intervals: Intervals
    weeks: float | None


def _reason(look: _Look, limit: Limit, judged: Sequence[Judged]) -> Reason:
    check = f"fairness.{look.column}.{limit.name}"
    if not judged:
        return _too_few(look, limit, check)
    shown = [(gap, level) for gap, level in judged if limit.shown(limit.span(gap, level, look.intervals))]
    gap, level = max(shown or judged, key=lambda one: limit.size(one[0]))
    span = limit.span(gap, level, look.intervals)
    text = f"{limit.tell(look.column, gap)}: {limit.value(gap):.3f} [{span.low:.3f}, {span.high:.3f}], limit {limit.limit:g}"
    if len(shown) > 1:
        text += f"; as much for {len(shown) - 1} more"
    rows = [_numbers(limit, *one, look.alpha, look.intervals) for one in _listed(limit, judged, shown)]
    numbers = {"limit": limit.limit, "family": limit.family, "shown": len(shown), "gaps": rows}
    if shown:
        return Reason(check, Outcome.FAIL, text, numbers)
    if all(limit.allows(one) for one, _ in judged):
        return Reason(check, Outcome.PASS, text, numbers)
    found = _sufficiency(look, limit, gap, level)
    text += f"; {found.rows} independent rows of a group show {limit.at(found.shows)}, this one takes {found.takes}"
    return Reason(check, Outcome.INCONCLUSIVE, text, numbers | found.numbers())


def _too_few(look: _Look, limit: Limit, check: str) -> Reason:
    """Why nothing is judged: how many rows the largest groups have, and what they could show."""
    minimum = look.policy.minimum
    text = f"no two groups of {look.column} have {minimum} independent rows to judge {limit.name} on{limit.needs}"
    numbers: dict[str, Any] = {"limit": limit.limit, "minimum": minimum}
    if not limit.seen:
        return Reason(check, Outcome.INCONCLUSIVE, text, numbers)
    sizes = _sizes(limit)
    most = {WHOLE, *list(sizes)[:3]}
    among = [gap for gap in limit.seen if {gap.group, gap.against} <= most] or limit.seen
    able = min((_sufficiency(look, limit, gap, look.strictest) for gap in among), key=lambda one: one.shows)
    # Against the whole one large group is judged, against each other it takes two.
    name, rows = list(sizes.items())[0 if limit.seen[0].against == WHOLE else 1]
    weeks = look.weeks * minimum / rows if look.weeks else None
    largest = ", ".join(f"{group} {size:.0f}" for group, size in list(sizes.items())[:3])
    text += f": {largest} show {limit.at(able.shows)} at best; {minimum} of {look.column}={name} are wanted{in_weeks(weeks)}"
    return Reason(check, Outcome.INCONCLUSIVE, text, numbers | able.numbers() | {"rows": sizes, "weeks_wanted": weeks})


def _sizes(limit: Limit) -> dict[str, float]:
    """As many independent rows as those of each group are worth, the largest first."""
    rows = {name: size for gap in limit.seen for name, size in zip((gap.group, gap.against), gap.sizes, strict=True)}
    rows.pop(WHOLE, None)
    return dict(sorted(rows.items(), key=lambda item: (-item[1], item[0])))


def _sufficiency(look: _Look, limit: Limit, gap: Gap, level: float) -> Sufficiency:
    """What the smaller of two groups' rows can show of a gap, and what this gap takes."""
    rows = min(gap.sizes)
    reach = limit.reach(gap, limit.span(gap, level, look.intervals))
    per_week = rows / look.weeks if look.weeks else None
    return sufficiency(int(rows), reach, limit.beyond(gap), 1 - level, per_week=per_week)


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
        "effective": gap.sizes[0],
        "value": limit.value(gap), **_ends("", raw), "level": level, **_ends("adjusted_", adjusted),
    }  # fmt: skip


def _ends(prefix: str, span: Range) -> dict[str, float | None]:
    """Both ends as JSON takes them."""
    return {f"{prefix}low": span.low, f"{prefix}high": span.high if math.isfinite(span.high) else None}
