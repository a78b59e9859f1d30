"""Whether groups are treated alike: rates of each group against the others, with intervals for one look or for every look."""

from everloop.decide.fairness.gaps import ALWAYS_VALID, ONE_LOOK, Gap, Intervals, gaps
from everloop.decide.fairness.groups import MISSING, RATES, GroupCounts, considered, count, merge
from everloop.decide.fairness.summary import summary
from everloop.decide.fairness.verdict import judge

__all__ = [
    "ALWAYS_VALID",
    "MISSING",
    "ONE_LOOK",
    "RATES",
    "Gap",
    "GroupCounts",
    "Intervals",
    "considered",
    "count",
    "gaps",
    "judge",
    "merge",
    "summary",
]
