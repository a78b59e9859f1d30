"""The candidate against the champion: newer, and on the same rows no worse."""

from __future__ import annotations

from dataclasses import asdict

from everloop.decide.policy import ExpectedLoss, GatePolicy
from everloop.decide.release.gate.evidence import Candidate, Champion, Difference, Evidence
from everloop.decide.release.gate.expected_loss import decide, sufficient
from everloop.decide.release.gate.margins import AUC_NEEDS, MEAN_NEEDS, measured_on, rows_reason, with_sufficiency, within
from everloop.decide.release.gate.slices import slices
from everloop.decide.statistics.estimate import Estimate, quantile
from everloop.decide.statistics.intervals import Range
from everloop.decide.statistics.sufficiency import sufficiency
from everloop.decide.verdict import Outcome, Reason


def fresh(candidate: Candidate, champion: Champion) -> Reason:
    """Whether the candidate has learnt from anything that the champion has not."""
    ours, theirs = candidate.trained_through, champion.trained_through
    newer = ours > theirs
    text = f"trained through {ours:%Y-%m-%d %H:%M}, champion {champion.release} through {theirs:%Y-%m-%d %H:%M}"
    numbers = {"candidate": ours.isoformat(), "champion": theirs.isoformat()}
    return Reason("gate.stale", Outcome.PASS if newer else Outcome.FAIL, text if newer else f"stale: {text}", numbers)


def against_champion(evidence: Evidence, policy: GatePolicy) -> list[Reason]:
    """AUC and cost, non-inferior within their margins or by expected loss, and no slice shown to be worse."""
    found, per_week = evidence.comparison, evidence.rows_per_week
    if found is None:
        return [Reason("gate.comparison", Outcome.ERROR, evidence.problem or "candidate and champion were not compared")]
    shared = measured_on(found.rows, found.blocks, policy)
    enough = rows_reason("gate.comparison", found.rows, found.blocks, policy, per_week)
    if policy.decide_by is None:
        compared = [enough, _auc(found.auc, shared, policy, per_week), _cost(found.overall, shared, policy, per_week)]
    else:
        expected = _expected(found.overall, shared, policy, policy.decide_by, per_week)
        compared = [enough, _blocks(found.blocks, policy.decide_by), _auc_unharmed(found.auc, shared, policy), expected]
    return [*compared, *slices(found.slices, policy)]


def _auc(found: Estimate | None, shared: str, policy: GatePolicy, per_week: float | None) -> Reason:
    check, margin = "gate.auc", policy.auc_margin
    if found is None:
        return _no_auc(shared)
    text = f"AUC minus champion's {found} on {shared}, at least {-margin:g} wanted"
    reason = Reason(check, within(Range(-found.high, -found.low), margin), text, {**asdict(found), "margin": margin})
    able = sufficiency(found.rows, found.value - found.low, margin, policy.confidence, per_week=per_week)
    return with_sufficiency(reason, able, lambda margin: f"a margin of {margin:.3g}")


def _auc_unharmed(found: Estimate | None, shared: str, policy: GatePolicy) -> Reason:
    """By expected loss the cost decides, and the AUC stops what is shown to rank worse."""
    check, margin = "gate.auc", policy.auc_margin
    if found is None:
        return _no_auc(shared)
    worse = within(Range(-found.high, -found.low), margin) is Outcome.FAIL
    text = f"AUC minus champion's {found} on {shared}, {'' if worse else 'not '}shown to be below {-margin:g}"
    return Reason(check, Outcome.FAIL if worse else Outcome.PASS, text, {**asdict(found), "margin": margin})


def _no_auc(shared: str) -> Reason:
    return Reason("gate.auc", Outcome.INCONCLUSIVE, f"no AUC difference on {shared}: {AUC_NEEDS}")


def _cost(found: Difference, shared: str, policy: GatePolicy, per_week: float | None) -> Reason:
    check, margin = "gate.cost", policy.cost_margin
    if found.cost is None or found.champion_cost is None:
        return _no_cost(shared)
    limit = margin * found.champion_cost
    allowed = f"at most {limit:.4f} wanted ({margin:.0%} of {found.champion_cost:.4f})"
    text = f"cost per row minus champion's {found.cost} on {shared}, {allowed}"
    reason = Reason(check, within(found.cost, limit), text, {**asdict(found.cost), "limit": limit, "margin": margin})
    if not found.champion_cost:
        return reason
    reach = (found.cost.high - found.cost.value) / found.champion_cost
    able = sufficiency(found.cost.rows, reach, margin, policy.confidence, per_week=per_week)
    return with_sufficiency(reason, able, lambda margin: f"a margin of {margin:.1%}")


def _no_cost(shared: str) -> Reason:
    return Reason("gate.cost", Outcome.INCONCLUSIVE, f"no cost difference on {shared}: {MEAN_NEEDS}")


def _blocks(found: int, by: ExpectedLoss) -> Reason:
    """Whether the rows are of blocks of time enough to tell how sure a difference is."""
    outcome = Outcome.PASS if found >= by.minimum_blocks else Outcome.INCONCLUSIVE
    text = f"rows of {found} blocks of time to judge on, at least {by.minimum_blocks} wanted"
    return Reason("gate.blocks", outcome, text, {"blocks": found, "minimum": by.minimum_blocks})


def _expected(found: Difference, shared: str, policy: GatePolicy, by: ExpectedLoss, per_week: float | None) -> Reason:
    check = "gate.cost"
    if found.cost is None or found.champion_cost is None:
        return _no_cost(shared)
    if not found.champion_cost:
        return Reason(check, Outcome.INCONCLUSIVE, "the champion costs nothing on the shared rows: no share of it can be lost")
    difference = found.cost.value / found.champion_cost
    error = (found.cost.high - found.cost.low) / (2 * quantile(policy.confidence) * found.champion_cost)
    loss = decide(difference, error, policy, by)
    share = f"{difference:+.1%} of {found.champion_cost:.4f}"
    text = f"cost per row minus champion's {found.cost} on {shared} ({share}): {loss}"
    numbers = {**asdict(found.cost), "difference": difference, "error": error, **loss.numbers()}
    if loss.outcome is not Outcome.INCONCLUSIVE:
        return Reason(check, loss.outcome, text, numbers)
    able = sufficient(found.cost.rows, error, policy, by, per_week)
    more = "" if able.enough else f", one of {able.margin:.1%} takes {able.takes}"
    text += f"; {able.rows:,} rows let on an improvement of {able.shows:.1%}{more}"
    return Reason(check, loss.outcome, text, numbers | able.numbers())
