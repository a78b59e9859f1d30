"""The candidate against the champion: newer, and on the same rows no worse."""

from __future__ import annotations

from dataclasses import asdict

from everloop.decide.policy import GatePolicy
from everloop.decide.release.gate.evidence import Candidate, Champion, Difference, Evidence
from everloop.decide.release.gate.margins import AUC_NEEDS, MEAN_NEEDS, measured_on, rows_reason, within
from everloop.decide.release.gate.slices import slices
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.statistics.intervals import Range
from everloop.decide.verdict import Outcome, Reason


def fresh(candidate: Candidate, champion: Champion) -> Reason:
    """Whether the candidate has learnt from anything that the champion has not."""
    ours, theirs = candidate.trained_through, champion.trained_through
    newer = ours > theirs
    text = f"trained through {ours:%Y-%m-%d %H:%M}, champion {champion.release} through {theirs:%Y-%m-%d %H:%M}"
    numbers = {"candidate": ours.isoformat(), "champion": theirs.isoformat()}
    return Reason("gate.stale", Outcome.PASS if newer else Outcome.FAIL, text if newer else f"stale: {text}", numbers)


def against_champion(evidence: Evidence, policy: GatePolicy) -> list[Reason]:
    """AUC and cost, non-inferior within their margins, and no slice shown to be worse."""
    found = evidence.comparison
    if found is None:
        return [Reason("gate.comparison", Outcome.ERROR, evidence.problem or "candidate and champion were not compared")]
    shared = measured_on(found.rows, found.blocks, policy)
    return [
        rows_reason("gate.comparison", found.rows, found.blocks, policy),
        _auc(found.auc, shared, policy),
        _cost(found.overall, shared, policy),
        *slices(found.slices, policy),
    ]


def _auc(found: Estimate | None, shared: str, policy: GatePolicy) -> Reason:
    check, margin = "gate.auc", policy.auc_margin
    if found is None:
        return Reason(check, Outcome.INCONCLUSIVE, f"no AUC difference on {shared}: {AUC_NEEDS}")
    text = f"AUC minus champion's {found} on {shared}, at least {-margin:g} wanted"
    return Reason(check, within(Range(-found.high, -found.low), margin), text, {**asdict(found), "margin": margin})


def _cost(found: Difference, shared: str, policy: GatePolicy) -> Reason:
    check, margin = "gate.cost", policy.cost_margin
    if found.cost is None or found.champion_cost is None:
        return Reason(check, Outcome.INCONCLUSIVE, f"no cost difference on {shared}: {MEAN_NEEDS}")
    limit = margin * found.champion_cost
    allowed = f"at most {limit:.4f} wanted ({margin:.0%} of {found.champion_cost:.4f})"
    text = f"cost per row minus champion's {found.cost} on {shared}, {allowed}"
    return Reason(check, within(found.cost, limit), text, {**asdict(found.cost), "limit": limit, "margin": margin})
