"""How far the rates of groups lie apart: differences and ratios, with intervals for one look or for every look."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from everloop.decide.fairness.groups import GroupCounts, Rate
from everloop.decide.policy.fairness import WHOLE
from everloop.decide.statistics.clusters import Clusters, correlation
from everloop.decide.statistics.intervals import Range, newcombe, rate_sequence
from everloop.decide.statistics.ratios import ratio


@dataclass(frozen=True)
class Intervals:
    """How sure a difference and a ratio of two independent rates are: `(first, second, alpha)` to the interval at 1 - alpha."""

    difference: Callable[[Rate, Rate, float], Range]
    ratio: Callable[[Rate, Rate, float], Range]


def _both(first: Rate, second: Rate, alpha: float) -> tuple[Range, Range]:
    return rate_sequence(*first, alpha / 2), rate_sequence(*second, alpha / 2)


def _difference_at_every_look(first: Rate, second: Rate, alpha: float) -> Range:
    a, b = _both(first, second, alpha)
    return Range(a.low - b.high, a.high - b.low)


def _ratio_at_every_look(first: Rate, second: Rate, alpha: float) -> Range:
    a, b = _both(first, second, alpha)
    return Range(a.low / b.high, a.high / b.low if b.low > 0 else math.inf)


ONE_LOOK = Intervals(lambda a, b, alpha: newcombe(a, b, 1 - alpha), lambda a, b, alpha: ratio(a, b, 1 - alpha))
"""For rows that are looked at once: Newcombe's interval of a difference, `statistics.ratios` of a ratio."""

ALWAYS_VALID = Intervals(_difference_at_every_look, _ratio_at_every_look)
"""For rows that are looked at again whenever more have come: each rate's confidence sequence at alpha / 2, and the least and the
most that two rates within them can differ (a union bound, so the interval holds at every look together)."""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A group's rate against another one's, `(successes, trials)` each.

    `against` is a group, or "whole". A group is part of the whole, so its interval is made against the rest of the rows and
    shrunk by their `share`: group - whole = share (group - rest). `effects`: the design effects of both rates, by which their
    rows are divided before an interval is made (Rao & Scott 1992, see `Clusters.effective`). What moves all groups alike, a day's
    weather, drops out of the difference, so these intervals are rather too wide than too narrow.
    """

    group: str
    against: str
    ours: Rate
    theirs: Rate
    share: float = 1.0
    effects: tuple[float, float] = (1.0, 1.0)

    @property
    def rate(self) -> float:
        """The group's rate."""
        return self.ours[0] / self.ours[1]

    @property
    def other(self) -> float:
        """The rate that it is held against."""
        return self.rate - self.difference

    @property
    def difference(self) -> float:
        """The group's rate less the other, as fairlearn's differences, signed."""
        return self.share * (self.rate - self.theirs[0] / self.theirs[1])

    @property
    def effective(self) -> tuple[Rate, Rate]:
        """As many independent rows as both rates' rows are worth."""
        (a, n), (b, m) = self.ours, self.theirs
        first, second = self.effects
        return (a / first, n / first), (b / second, m / second)

    @property
    def sizes(self) -> tuple[float, float]:
        """The trials of both, as independent rows."""
        return self.effective[0][1], self.effective[1][1]

    def span(self, alpha: float, intervals: Intervals = ONE_LOOK) -> Range:
        """The interval of the difference at confidence 1 - alpha."""
        low, high = intervals.difference(*self.effective, alpha)
        return Range(low * self.share, high * self.share)

    def span_of_ratio(self, alpha: float, intervals: Intervals = ONE_LOOK) -> Range:
        """The interval of the ratio of both rates at confidence 1 - alpha."""
        return intervals.ratio(*self.effective, alpha)


@dataclass(frozen=True)
class _Group:
    """A group's rate by unit, and how alike two rows of one unit are."""

    name: str
    found: Clusters
    alike: float

    @property
    def rate(self) -> Rate:
        return self.found.hits, self.found.trials

    @property
    def effect(self) -> float:
        """How many times the variance of independent rows its rate has. What only one unit tells is worth a row."""
        return self.found.design_effect(self.alike if self.found.units > 1 else 1.0)


def gaps(by_group: Mapping[str, GroupCounts], rate: str, minimum: int, against: str = WHOLE) -> list[Gap]:
    """The gaps of the groups whose rate is over at least `minimum` independent rows: to the whole, or each two to each other."""
    found = {name: counts.clusters(rate) for name, counts in by_group.items()}
    alike = correlation(list(found.values()))
    groups = [_Group(name, one, alike) for name, one in found.items() if one.trials]
    judged = [one for one in groups if one.found.trials / one.effect >= minimum]
    return list(_to_whole(judged, groups) if against == WHOLE else _to_each_other(judged))


def family(by_group: Mapping[str, GroupCounts], rate: str, against: str = WHOLE) -> int:
    """How many gaps there are of all groups that were seen, those with few rows too.

    So the level at which a group is judged does not change while another one grows past the minimum.
    """
    seen = sum(counts.rate(rate)[1] > 0 for counts in by_group.values())
    return seen if against == WHOLE else math.comb(seen, 2)


def _to_whole(judged: Sequence[_Group], groups: Sequence[_Group]) -> Iterator[Gap]:
    for one in judged:
        others = sum((other.found for other in groups if other is not one), Clusters())
        rest = _Group(WHOLE, others, one.alike)
        if others.trials:
            share = others.trials / (others.trials + one.found.trials)
            yield Gap(
                group=one.name, against=WHOLE, ours=one.rate, theirs=rest.rate, share=share, effects=(one.effect, rest.effect)
            )


def _to_each_other(judged: Sequence[_Group]) -> Iterator[Gap]:
    """Each two groups, the one with the lower rate first."""
    ordered = sorted(judged, key=lambda one: (one.found.rate, one.name))
    for low, high in combinations(ordered, 2):
        yield Gap(group=low.name, against=high.name, ours=low.rate, theirs=high.rate, effects=(low.effect, high.effect))
