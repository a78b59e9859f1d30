"""What the decisions of the release on trial cost, against the other one's on the same rows: labelled, and before labels."""

from __future__ import annotations

import math

from scipy.special import ndtri

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.evidence import ExpectedCosts, PairedCosts
from everloop.decide.statistics.bets import mean_at_least
from everloop.decide.statistics.intervals import Range, mean_sequence
from everloop.decide.verdict import Outcome, Reason

_UNKNOWN = Range(-math.inf, math.inf)


def labelled_cost(costs: PairedCosts, policy: RolloutPolicy, alpha: float, required: int) -> Reason:
    """Cost per row against the other release's on the same labelled rows; more than `cost_margin` of it more is harm.

    Judged is the mean of "candidate's less (1 + margin) times the baseline's", whose sign says it all: no interval of a ratio is
    needed, and what a row costs is bounded, so that the interval holds at any number of labels (`statistics.bets`; each of `low`
    and `high` at `alpha`). From `required` labels on, no shown harm is a pass: waiting longer is the caller's choice. Rows of one
    entity, and of one block of time, count for as many independent ones as they are worth (`PairedCosts.design_effect`); one
    block alone is no evidence. Labels are taken to ripen equally fast under any outcome.
    """
    name, factor, least = "rollout.cost", 1 + policy.cost_margin, max(2, policy.minimum_labels)
    if costs.count < least:
        text = f"{costs.count} labels of rows that both releases scored, {least} wanted to judge cost"
        return Reason(name, Outcome.INCONCLUSIVE, text, {"labels": costs.count})
    values, counts = costs.excess(factor)
    effect = costs.design_effect(factor, alpha)
    low = mean_at_least(values, counts / effect, -factor * costs.largest, alpha)
    high = -mean_at_least(-values, counts / effect, -costs.largest, alpha)
    numbers = {
        "labels": costs.count, "effective_labels": costs.count / effect, "entities": costs.entities.units, "blocks":
        costs.blocks.units, "required": required, "cost": costs.candidate, "baseline_cost": costs.baseline, "excess":
        costs.candidate - factor * costs.baseline, "low": low, "high": high, "margin": policy.cost_margin, "cells": costs.cells,
    }  # fmt: skip
    text = (
        f"cost {costs.candidate:.4f} a row against {costs.baseline:.4f} on {costs.count} same labelled rows "
        f"({policy.cost_margin:.0%} more allowed; beyond that {low:+.4f} to {high:+.4f})"
    )
    if low > 0:
        return Reason(name, Outcome.FAIL, text, numbers)
    if math.isinf(effect):
        return Reason(name, Outcome.INCONCLUSIVE, f"{text}: all of one block of time, which tells nothing of another", numbers)
    return Reason(name, Outcome.PASS if costs.count >= required else Outcome.INCONCLUSIVE, text, numbers)


def estimated_cost(costs: ExpectedCosts, policy: RolloutPolicy, alpha: float) -> Reason:
    """Cost per row that the mean of both releases' calibrated scores expects, before any label is known.

    Where the releases disagree about a whole season this sides with the surer one, so it is judged only where the policy sets
    `estimated_cost_margin`; else it is told. The interval is asymptotic: expected costs are not few. Entities and blocks of time
    are the units. Passes with `shadow_requests` rows, unless one look alone says more than the margin at `policy.margin_alpha`.
    """
    name, margin = "rollout.estimated_cost", policy.estimated_cost_margin
    if not costs.count:
        return Reason(name, Outcome.INCONCLUSIVE, "no row was scored by both releases yet", {"rows": 0})
    factor = 1 + (margin or 0.0)
    mean, variance = costs.excess(factor)
    spread = variance * costs.design_effect(factor, alpha)
    low, high = mean_sequence(mean, spread, costs.count, alpha, policy.shadow_requests) if spread < math.inf else _UNKNOWN
    numbers = {
        "rows": costs.count, "cost": costs.candidate, "baseline_cost": costs.baseline, "low": low, "high": high, "margin": margin,
    }  # fmt: skip
    text = f"before labels, cost {costs.candidate:.4f} a row is expected against {costs.baseline:.4f} on {costs.count} same rows"
    if margin is None:
        return Reason(name, Outcome.INCONCLUSIVE, f"{text} (told, not judged)", numbers)
    if low > 0:
        return Reason(name, Outcome.FAIL, f"{text}, {margin:.0%} more allowed", numbers)
    doubted = mean > float(ndtri(1 - policy.margin_alpha)) * math.sqrt(spread / costs.count)
    enough = costs.count >= policy.shadow_requests and low > -math.inf
    return Reason(name, Outcome.PASS if enough and not doubted else Outcome.INCONCLUSIVE, text, numbers)
