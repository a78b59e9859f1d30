"""The limits that a policy sets, each with the gaps that it is held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from everloop.decide.fairness.gaps import Gap, Intervals, family, gaps
from everloop.decide.fairness.groups import GroupCounts
from everloop.decide.policy.fairness import GROUPS, WHOLE, FairnessPolicy
from everloop.decide.statistics.intervals import Range


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The largest allowed difference of a rate: `gaps` are judged, of a `family` of comparisons.

    `seen`: the gaps of all groups that have a row, whatever the policy's minimum.
    """

    name: str
    limit: float
    gaps: Sequence[Gap]
    family: int
    needs: str = ""
    seen: Sequence[Gap] = ()

    def value(self, gap: Gap) -> float:
        """What is held against the limit."""
        return gap.difference

    def span(self, gap: Gap, alpha: float, intervals: Intervals) -> Range:
        """Its interval at confidence 1 - alpha."""
        return gap.span(alpha, intervals)

    def size(self, gap: Gap) -> float:
        """How large a gap is."""
        return abs(gap.difference)

    def shown(self, span: Range) -> bool:
        """Whether all of an interval lies beyond the limit."""
        return span.low > self.limit or span.high < -self.limit

    def allows(self, gap: Gap) -> bool:
        """Whether the value itself keeps the limit."""
        return abs(gap.difference) <= self.limit

    def beyond(self, gap: Gap) -> float:
        """How far the value lies beyond the limit; below 0 where it keeps it."""
        return abs(gap.difference) - self.limit

    def reach(self, gap: Gap, span: Range) -> float:
        """How far the interval reaches from the value towards the limit."""
        return gap.difference - span.low if gap.difference > 0 else span.high - gap.difference

    def at(self, distance: float) -> str:
        """A gap at this distance beyond the limit, in words."""
        return f"a difference of {self.limit + distance:.2f}"

    def tell(self, column: str, gap: Gap) -> str:
        """The gap in words."""
        other = "all" if gap.against == WHOLE else f"{column}={gap.against}"
        return f"{self.name} of {column}={gap.group} is {gap.rate:.1%}, of {other} {gap.other:.1%}"


@dataclass(frozen=True, kw_only=True)
class RatioLimit(Limit):
    """The smallest allowed ratio of a lower rate to a higher one."""

    def value(self, gap: Gap) -> float:
        """The lower rate as a share of the higher."""
        return gap.rate / gap.other

    def span(self, gap: Gap, alpha: float, intervals: Intervals) -> Range:
        """Its interval at confidence 1 - alpha."""
        return gap.span_of_ratio(alpha, intervals)

    def size(self, gap: Gap) -> float:
        """The smaller the ratio, the larger the gap."""
        return -self.value(gap)

    def shown(self, span: Range) -> bool:
        """Whether all of an interval lies below the limit."""
        return span.high < self.limit

    def allows(self, gap: Gap) -> bool:
        """Whether the ratio itself keeps the limit."""
        return self.value(gap) >= self.limit

    def beyond(self, gap: Gap) -> float:
        """How far the ratio lies below the limit."""
        return self.limit - self.value(gap)

    def reach(self, gap: Gap, span: Range) -> float:
        """How far the interval reaches above the ratio."""
        return span.high - self.value(gap)

    def at(self, distance: float) -> str:
        """A ratio at this distance below the limit, in words."""
        return f"a ratio of {max(0.0, self.limit - distance):.2f}"

    def tell(self, column: str, gap: Gap) -> str:
        """The gap in words."""
        return f"{column}={gap.group} is selected {self.value(gap):.2f} times as often as {column}={gap.against}"


def limits(by_group: Mapping[str, GroupCounts], policy: FairnessPolicy) -> Iterator[Limit]:
    """Every limit of the policy. A true positive rate has the tighter one of equal opportunity and equalized odds."""
    opportunity = [limit for limit in (policy.opportunity_difference, policy.error_rate_difference) if limit is not None]
    differences = {
        "selection": policy.selection_difference,
        "tpr": min(opportunity, default=None),
        "fpr": policy.error_rate_difference,
    }
    for name, limit in differences.items():
        if limit is not None:
            found, seen = (gaps(by_group, name, minimum, policy.against) for minimum in (policy.minimum, 0))
            yield Limit(name=name, limit=limit, gaps=found, family=family(by_group, name, policy.against), seen=seen)
    if policy.selection_ratio is not None:
        yield _ratio(by_group, policy, policy.selection_ratio)


def _ratio(by_group: Mapping[str, GroupCounts], policy: FairnessPolicy, limit: float) -> RatioLimit:
    """Each two groups: which one is selected most often is itself seen in the data."""
    rate = "selection" if policy.favourable else "rejection"
    found, seen = ([gap for gap in gaps(by_group, rate, least, GROUPS) if gap.theirs[0]] for least in (policy.minimum, 0))
    of = family(by_group, rate, GROUPS)
    return RatioLimit(name="selection_ratio", limit=limit, gaps=found, family=of, needs=" and a selection", seen=seen)
