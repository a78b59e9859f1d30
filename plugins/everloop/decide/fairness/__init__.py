"""Whether groups are treated alike: rates of each group against the others, with intervals for one look or for every look."""

from everloop.decide.fairness.gaps import ALWAYS_VALID, ONE_LOOK, Gap, Intervals, gaps
from everloop.decide.fairness.groups import GroupCounts, count, merge
from everloop.decide.fairness.summary import summary
from everloop.decide.fairness.verdict import judge

__all__ = ["ALWAYS_VALID", "ONE_LOOK", "Gap", "GroupCounts", "Intervals", "count", "gaps", "judge", "merge", "summary"]
