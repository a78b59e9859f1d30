"""Whether a candidate is too good to be true: an AUC so near 1 that the label is more likely among the inputs than foreseen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from everloop.decide.policy import GatePolicy
from everloop.decide.release.gate.evidence import Candidate
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason

CHECK = "gate.leakage"
NAMED = 3
"""As many inputs are named with what they say alone."""


def leaks(candidate: Candidate, alone: Mapping[str, Estimate], policy: GatePolicy) -> list[Reason]:
    """Fails when the candidate's AUC, or that of one input `alone`, is shown to lie above `GatePolicy.auc_ceiling`.

    Kaufman, Rosset, Perlich & Stitelman (2012), Leakage in data mining, ACM TKDD 6(4), sec. 5: a surprisingly good result is the
    first sign of a leak. What is not shown passes: that a good model's AUC may be higher still says nothing against it.
    No ceiling, no reason; no AUC neither, since its floor is inconclusive then.
    """
    ceiling, found = policy.auc_ceiling, candidate.auc
    if ceiling is None or found is None:
        return []
    ranked = sorted(alone.items(), key=lambda item: -item[1].value)
    strongest, alone_above = ranked[:NAMED], [name for name, estimate in ranked if estimate.low > ceiling]
    numbers = {**asdict(found), "ceiling": ceiling, "alone": {name: asdict(estimate) for name, estimate in strongest}}
    if found.low <= ceiling and not alone_above:
        return [Reason(CHECK, Outcome.PASS, f"AUC {found} not shown above {ceiling:g}, from where on a leak is likely", numbers)]
    who = f"AUC {found}" if found.low > ceiling else f"the AUC of {', '.join(alone_above[:NAMED])} alone"
    most = "; ".join(f"{name} {estimate}" for name, estimate in strongest)
    text = (
        f"{who} is above {ceiling:g}, so near 1 that the label is probably known in an input"
        + (f" (AUC of the strongest alone: {most})" if most else "")
        + ": look which input is only known after the prediction, and leave it out, or raise GatePolicy.auc_ceiling"
    )
    return [Reason(CHECK, Outcome.FAIL, text, numbers)]
