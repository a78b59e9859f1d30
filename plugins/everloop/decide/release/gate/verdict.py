"""The verdict on a candidate, of all its reasons."""

from __future__ import annotations

from collections.abc import Iterable

from everloop.decide.policy import GatePolicy
from everloop.decide.release.gate.behaviour import behaves
from everloop.decide.release.gate.comparison import against_champion, fresh
from everloop.decide.release.gate.evidence import Evidence
from everloop.decide.release.gate.floors import floors
from everloop.decide.release.gate.leakage import leaks
from everloop.decide.verdict import Reason, Verdict, combine


def judge(evidence: Evidence, policy: GatePolicy, others: Iterable[Reason] = ()) -> Verdict:
    """The verdict on a candidate; `others` are reasons of further checks, such as fairness.

    A first release (no champion) is held to the floors and to its behaviour alone. Against a champion, AUC and cost must be shown
    to be no worse than the margins allow (non-inferiority: the whole interval lies within), or with `policy.decide_by` the cost
    must promise to lose no more than is risked; a slice fails when it is shown to be worse by more than its margin, since few
    slices are large enough to show the opposite.
    """
    reasons = [*floors(evidence.candidate, policy, evidence.rows_per_week), *leaks(evidence.candidate, evidence.alone, policy)]
    reasons += [*behaves(evidence.behaviour, policy), *others]
    if evidence.champion:
        reasons += [fresh(evidence.candidate, evidence.champion), *against_champion(evidence, policy)]
    return combine(reasons)
