"""Whether entities were split as the weight says."""

from __future__ import annotations

from scipy.special import chdtrc

from everloop.decide.release.evidence import Assigned
from everloop.decide.statistics.intervals import split_evidence
from everloop.decide.verdict import Outcome, Reason


def sample_ratio(assigned: Assigned, weight: float, alpha: float) -> Reason:
    """Whether entities split as the weight says; if not, the arms are not comparable (Fabijan et al. 2019).

    Pearson's chi-squared must fall below `alpha`, and so must the always-valid test, since the split is looked at
    again and again. Below five expected entities an arm the first is not valid and nothing is said.
    """
    name, seen = "rollout.sample_ratio", assigned.candidate + assigned.baseline
    expected = (seen * weight, seen * (1 - weight))
    if min(expected) < 5:
        return Reason(name, Outcome.INCONCLUSIVE, f"{seen} entities are too few to judge the split at weight {weight:g}")
    observed = (assigned.candidate, assigned.baseline)
    off = observed[0] - expected[0]  # the baseline has as many too few as the candidate has too many
    p = float(chdtrc(1, off**2 / expected[0] + off**2 / expected[1]))
    always = 1 / max(1.0, split_evidence(observed, weight))
    numbers = {"candidate": observed[0], "baseline": observed[1], "weight": weight, "p": p, "p_always": always, "alpha": alpha}
    text = f"{observed[0]} of {seen} entities met the challenger, {weight:.1%} expected (p={p:.2g})"
    if p < alpha and always < alpha:
        return Reason(name, Outcome.FAIL, f"sample ratio mismatch: {text}", numbers)
    return Reason(name, Outcome.PASS, text, numbers)
