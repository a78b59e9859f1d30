"""Whether both releases decide the same rows alike, and put them in the same order."""

from __future__ import annotations

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.evidence import DecisionPairs
from everloop.decide.statistics.clusters import Clusters, cautious_effects
from everloop.decide.statistics.intervals import rate_sequence, wilson
from everloop.decide.verdict import Outcome, Reason

DECISIONS, RANKING = "rollout.decisions", "rollout.ranking"


def decision_shift(pairs: DecisionPairs, policy: RolloutPolicy, alpha: float) -> Reason:
    """The share of the same rows that both releases decide differently, against `decision_shift`. Entities are the units.

    Decisions are what changes for whoever asks; scores alone differ by the steps of two calibrators, whatever the models are
    worth. Fails when the share's confidence sequence at `alpha` lies above the limit. Passes with `shadow_requests` rows, unless
    one look alone says more than the limit at `policy.margin_alpha`.
    """
    limit = policy.decision_shift
    text = f"{pairs.different.rate:.1%} of {pairs.count} same rows are decided differently, limit {limit:.0%}"
    return _share(DECISIONS, pairs.different, limit, text, pairs, policy, alpha)


def ranking_shift(pairs: DecisionPairs, policy: RolloutPolicy, alpha: float) -> Reason:
    """The share of pairs of rows that the release on trial orders the other way round, against `ranking_shift`.

    Couples of entities are the units (`statistics.concordance`). How strict a threshold is, and how high scores are, changes with
    season and calibrator; who is likelier than whom does not: a release that orders rows like a coin has learnt nothing, or
    something else. Fails and passes as `decision_shift`.
    """
    found, limit = pairs.disordered, policy.ranking_shift
    text = f"{found.rate:.1%} of {found.trials:.0f} pairs of rows are in the other order, limit {limit:.0%}"
    return _share(RANKING, found, limit, text, pairs, policy, alpha)


def _share(
    name: str, found: Clusters, limit: float, text: str, pairs: DecisionPairs, policy: RolloutPolicy, alpha: float
) -> Reason:
    """A share against its limit, by its confidence sequence and, before it passes, by one look."""
    if not pairs.count:
        return Reason(name, Outcome.INCONCLUSIVE, "no row was scored by both releases yet", {"pairs": 0})
    (effect,) = cautious_effects([found])
    hits, trials = found.hits / effect, found.trials / effect
    low = rate_sequence(hits, trials, alpha).low
    numbers = {
        "different": found.hits, "pairs": int(found.trials), "share": found.rate, "low": low, "limit": limit,
        "effective_pairs": trials, "rows": pairs.count,
    }  # fmt: skip
    if low > limit:
        return Reason(name, Outcome.FAIL, text, numbers)
    doubted = wilson(hits, trials, 1 - 2 * policy.margin_alpha).low > limit
    enough = pairs.count >= max(1, policy.shadow_requests)
    return Reason(name, Outcome.PASS if enough and not doubted else Outcome.INCONCLUSIVE, text, numbers)
