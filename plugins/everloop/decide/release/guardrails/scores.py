"""Whether both releases score the same rows alike."""

from __future__ import annotations

import math

from scipy.stats import chi2

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.evidence import ScorePairs
from everloop.decide.statistics.distance import jensen_shannon
from everloop.decide.verdict import Outcome, Reason

NAME = "rollout.score_shift"


def score_shift(pairs: ScorePairs, policy: RolloutPolicy) -> Reason:
    """Jensen-Shannon distance (base 2, 0 to 1) between both releases' scores on the same rows (Lin 1991, eq. 3.10).

    Below `shadow_requests` rows it fails only where the distance exceeds the limit by more than sampling explains. The
    distance is a metric, so each of the two samples adds at most its distance to its own source, and 8 n ln 2 times the
    square of that is asymptotically chi-squared with a degree of freedom less than there are bins.
    """
    n, enough = pairs.count, pairs.count >= max(1, policy.shadow_requests)
    if not n:
        return Reason(NAME, Outcome.INCONCLUSIVE, "no row was scored by both releases yet", {"pairs": 0})
    distance = jensen_shannon(pairs.candidate, pairs.baseline)
    noise = 0.0 if enough else math.sqrt(float(chi2.ppf(0.999, len(pairs.candidate) - 1)) / (2 * n * math.log(2)))
    numbers = {"distance": distance, "limit": policy.score_shift, "sampling": noise, "pairs": n}
    text = f"scores differ by a Jensen-Shannon distance of {distance:.3f} on {n} same rows, limit {policy.score_shift:.3f}"
    if distance > policy.score_shift + noise:
        return Reason(NAME, Outcome.FAIL, text, numbers)
    return Reason(NAME, Outcome.PASS if enough else Outcome.INCONCLUSIVE, text, numbers)
