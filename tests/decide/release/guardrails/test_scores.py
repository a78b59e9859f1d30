from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release import guardrails
from everloop.decide.release.evidence import ScorePairs
from everloop.decide.verdict import Outcome, Reason

POLICY = RolloutPolicy(minimum_requests=100, shadow_requests=200, minimum_labels=200)
RANK = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL]


def test_score_shift_judges_only_with_enough_rows():
    rng = np.random.default_rng(0)
    same, flat = rng.beta(2, 5, 400), np.full(400, 0.28)
    assert guardrails.score_shift(ScorePairs.of(same, same), POLICY).outcome is Outcome.PASS
    assert guardrails.score_shift(ScorePairs.of(flat, same), POLICY).outcome is Outcome.FAIL
    assert guardrails.score_shift(ScorePairs.of(same[:30], same[:30]), POLICY).outcome is Outcome.INCONCLUSIVE
    assert guardrails.score_shift(ScorePairs.of(flat[:20], same[:20]), POLICY).outcome is Outcome.INCONCLUSIVE


def test_a_shift_is_told_with_its_limit_and_what_sampling_explains():
    nothing = guardrails.score_shift(ScorePairs(), POLICY)
    assert (nothing.check, nothing.outcome) == ("rollout.score_shift", Outcome.INCONCLUSIVE)
    assert (nothing.text, nothing.numbers) == ("no row was scored by both releases yet", {"pairs": 0})
    apart = guardrails.score_shift(ScorePairs.of(np.full(200, 0.1), np.full(200, 0.9)), POLICY)
    assert apart.outcome is Outcome.FAIL
    assert apart.text == "scores differ by a Jensen-Shannon distance of 1.000 on 200 same rows, limit 0.350"
    assert apart.numbers == {"distance": 1.0, "limit": 0.35, "sampling": 0.0, "pairs": 200}
    few = guardrails.score_shift(ScorePairs.of(np.full(199, 0.1), np.full(199, 0.9)), POLICY)
    noise = (chi2.ppf(0.999, 19) / (2 * 199 * np.log(2))) ** 0.5
    assert (few.check, few.outcome, few.numbers["sampling"]) == ("rollout.score_shift", Outcome.FAIL, pytest.approx(noise))
    assert (
        guardrails.score_shift(ScorePairs.of(*[np.array([0.1])] * 2), replace(POLICY, shadow_requests=0)).outcome is Outcome.PASS
    )
    half = ScorePairs.of(np.repeat([0.1, 0.9], 150), np.full(300, 0.1))
    distance = jensenshannon(half.candidate, half.baseline, base=2)
    text = f"scores differ by a Jensen-Shannon distance of {distance:.3f} on 300 same rows, limit {distance:.3f}"
    exactly = guardrails.score_shift(half, POLICY).numbers["distance"]
    numbers = {"distance": pytest.approx(distance), "limit": exactly, "sampling": 0.0, "pairs": 300}
    at_the_limit = guardrails.score_shift(half, replace(POLICY, score_shift=exactly))
    assert at_the_limit == Reason("rollout.score_shift", Outcome.PASS, text, numbers)
