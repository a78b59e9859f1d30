"""All that a rollout is judged by, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from everloop.decide.fairness import GroupCounts
from everloop.decide.parity_verdict import NOTHING_MEASURED, Standings
from everloop.decide.release.evidence.arms import Arm, Assigned, LoadCheck
from everloop.decide.release.evidence.pairs import DecisionPairs, ExpectedCosts, PairedCosts


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that `rollout.advance` looks at. `traffic`: rows that any release answered in this stage.

    `groups`: by group column and group, what the release on trial decided for the rows that it scored in the whole rollout.
    `same_views`: whether both releases are known to read the same feature views, so that neither can miss more of them.
    """

    check: LoadCheck | None = None
    traffic: int = 0
    candidate: Arm = field(default_factory=Arm)
    baseline: Arm = field(default_factory=Arm)
    pairs: DecisionPairs = field(default_factory=DecisionPairs)
    costs: PairedCosts = field(default_factory=PairedCosts)
    expected: ExpectedCosts = field(default_factory=ExpectedCosts)
    groups: Mapping[str, Mapping[str, GroupCounts]] = field(default_factory=dict)
    assigned: Assigned = field(default_factory=Assigned)
    parity: Standings = NOTHING_MEASURED
    same_views: bool = False
