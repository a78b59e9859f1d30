"""Whether both releases decide the same rows alike."""

from __future__ import annotations

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.evidence import DecisionPairs
from everloop.decide.statistics.clusters import cautious_effects
from everloop.decide.statistics.intervals import rate_sequence, wilson
from everloop.decide.verdict import Outcome, Reason

NAME = "rollout.decisions"


def decision_shift(pairs: DecisionPairs, policy: RolloutPolicy, alpha: float) -> Reason:
    """The share of the same rows that both releases decide differently, against `decision_shift`. Entities are the units.

    Decisions are what changes for whoever asks; scores alone differ by the steps of two calibrators, whatever the models are
    worth. Fails when the share's confidence sequence at `alpha` lies above the limit. Passes with `shadow_requests` rows, unless
    one look alone says more than the limit at `policy.margin_alpha`.
    """
    if not pairs.count:
        return Reason(NAME, Outcome.INCONCLUSIVE, "no row was scored by both releases yet", {"pairs": 0})
    (effect,) = cautious_effects([pairs.different])
    hits, trials = pairs.different.hits / effect, pairs.different.trials / effect
    low, limit = rate_sequence(hits, trials, 2 * alpha).low, policy.decision_shift
    numbers = {
        "different": int(pairs.different.hits), "pairs": pairs.count, "share": pairs.different.rate, "low": low, "limit": limit,
        "effective_pairs": trials,
    }  # fmt: skip
    text = f"{pairs.different.rate:.1%} of {pairs.count} same rows are decided differently, limit {limit:.0%}"
    if low > limit:
        return Reason(NAME, Outcome.FAIL, text, numbers)
    doubted = wilson(hits, trials, 1 - 2 * policy.margin_alpha).low > limit
    enough = pairs.count >= max(1, policy.shadow_requests)
    return Reason(NAME, Outcome.PASS if enough and not doubted else Outcome.INCONCLUSIVE, text, numbers)
