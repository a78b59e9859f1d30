from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from everloop.decide.policy import ExpectedLoss, GatePolicy
from everloop.decide.release.gate.expected_loss import Posterior, decide, sufficient
from everloop.decide.statistics.sufficiency import POWER
from everloop.decide.verdict import Outcome

BY = ExpectedLoss()
POLICY = GatePolicy(decide_by=BY)
SEVERITY = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL]
DIFFERENCES, ERRORS = st.floats(-0.5, 0.5), st.floats(1e-4, 1.0)


def outcome(difference: float, error: float, policy: GatePolicy = POLICY, by: ExpectedLoss = BY) -> Outcome:
    return decide(difference, error, policy, by).outcome


def test_the_posterior_is_that_of_two_normals() -> None:
    found = Posterior.of(0.03, 0.04, 0.03)
    precision = 1 / 0.03**2 + 1 / 0.04**2
    assert found.mean == pytest.approx(0.03 / 0.04**2 / precision)
    assert found.deviation == pytest.approx(precision**-0.5)


@given(DIFFERENCES, ERRORS, st.floats(0.001, 0.3))
def test_expected_losses_and_harm_are_the_integrals_that_they_stand_for(difference: float, error: float, prior: float) -> None:
    found = Posterior.of(difference, error, prior)
    density = norm(found.mean, found.deviation)
    far = abs(found.mean) + 12 * found.deviation
    loss, _ = quad(lambda x: x * density.pdf(x), 0, far, points=[max(0.0, found.mean)])
    assert found.loss == pytest.approx(loss, abs=1e-7)
    assert found.forgone == pytest.approx(found.loss - found.mean, abs=1e-12)
    assert found.worse_by(0.02) == pytest.approx(density.sf(0.02), abs=1e-12)


@pytest.mark.parametrize("mean", [-0.01, 0.0, 0.03])
def test_what_is_known_for_sure_loses_what_it_is(mean: float) -> None:
    found = Posterior.of(mean, 0.0, 0.05)
    assert (found.loss, found.forgone) == (max(0.0, mean), max(0.0, -mean))
    assert (found.worse_by(0.02), found.worse_by(0.03)) == (float(mean > 0.02), 0.0)


def test_without_evidence_the_prior_stands_and_nothing_is_let_on() -> None:
    found = Posterior.of(-0.4, math.inf, 0.05)
    assert (found.mean, found.deviation) == (0, 0.05)
    assert outcome(-0.4, math.inf) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("difference", "error", "expected"),
    [
        (0.0, 0.001, Outcome.PASS),  # well known to be as good
        (0.01, 0.001, Outcome.FAIL),  # within the margin, and known to lose more than is risked
        (0.0, 0.04, Outcome.INCONCLUSIVE),
        (-0.06, 0.04, Outcome.PASS),
        (-0.03, 0.04, Outcome.INCONCLUSIVE),
        (0.06, 0.04, Outcome.FAIL),
        (0.5, 0.2, Outcome.INCONCLUSIVE),  # five times the prior's spread, on hardly a row
    ],
)
def test_a_candidate_is_let_on_when_it_promises_to_lose_little(difference: float, error: float, expected: Outcome) -> None:
    assert outcome(difference, error) is expected


def test_either_bound_alone_holds_a_candidate_back() -> None:
    found = decide(-0.0336, 0.04, POLICY, BY)
    assert (found.posterior.loss, found.posterior.worse_by(0.02)) == (
        pytest.approx(0.00484, abs=1e-4),
        pytest.approx(0.0973, abs=1e-3),
    )
    assert found.outcome is Outcome.PASS
    assert outcome(-0.0336, 0.04, POLICY, replace(BY, risk=0.0045)) is Outcome.INCONCLUSIVE
    assert outcome(-0.0336, 0.04, POLICY, replace(BY, harm=0.09)) is Outcome.INCONCLUSIVE
    assert outcome(-0.0336, 0.04, replace(POLICY, cost_margin=0.015), BY) is Outcome.INCONCLUSIVE


def test_a_candidate_is_refused_by_harm_or_where_nothing_is_to_be_gained() -> None:
    hardly = decide(0.02, 0.01, POLICY, BY)
    assert hardly.posterior.worse_by(0.02) < 0.9
    assert hardly.posterior.forgone < 0.005
    assert hardly.outcome is Outcome.FAIL
    shown = decide(0.25, 0.08, POLICY, replace(BY, prior=0.5, risk=0.00001))
    assert shown.posterior.worse_by(0.02) > 0.9
    assert shown.posterior.forgone > 0.00001
    assert shown.outcome is Outcome.FAIL


def test_a_bound_that_is_met_exactly_is_kept() -> None:
    better, worse = (Posterior.of(difference, 0.04, BY.prior) for difference in (-0.06, 0.06))
    assert outcome(-0.06, 0.04, by=replace(BY, risk=better.loss)) is Outcome.PASS
    assert outcome(-0.06, 0.04, by=replace(BY, risk=0.04, harm=better.worse_by(0.02))) is Outcome.PASS
    assert outcome(0.06, 0.04, by=replace(BY, risk=worse.forgone, harm=0.01)) is Outcome.FAIL
    assert outcome(0.06, 0.04, by=replace(BY, risk=1e-6, harm=1 - worse.worse_by(0.02))) is Outcome.FAIL
    assert outcome(0.06, 0.04, by=replace(BY, risk=1e-6, harm=1 - worse.worse_by(0.02) - 1e-6)) is Outcome.INCONCLUSIVE


@given(DIFFERENCES, ERRORS, st.floats(0, 0.5))
def test_looking_worse_never_improves_the_outcome(difference: float, error: float, more: float) -> None:
    before, after = outcome(difference, error), outcome(difference + more, error)
    assert SEVERITY.index(after) >= SEVERITY.index(before)


@given(st.floats(0, 0.5), ERRORS, st.floats(1, 10))
def test_what_does_not_look_better_is_never_let_on_by_knowing_less(difference: float, error: float, times: float) -> None:
    if outcome(difference, error) is not Outcome.PASS:
        assert outcome(difference, times * error) is not Outcome.PASS


def test_among_candidates_that_differ_as_the_prior_says_losses_are_within_the_risk() -> None:
    random = np.random.default_rng(16)
    truths = random.normal(0, BY.prior, 4_000)
    promoted = [t for t in truths if outcome(t + random.normal(0, 0.035), 0.035) is Outcome.PASS]
    assert len(promoted) > 400
    assert np.mean(np.maximum(0, promoted)) < BY.risk
    assert np.mean(np.array(promoted) > POLICY.cost_margin) < BY.harm


def test_looking_until_it_is_let_on_keeps_the_promise_too() -> None:
    random = np.random.default_rng(17)
    promoted = []
    for truth in random.normal(0, BY.prior, 800):
        seen = truth + np.cumsum(random.normal(0, 0.12, 20)) / np.arange(1, 21)
        if any(outcome(seen[n], 0.12 / math.sqrt(n + 1)) is Outcome.PASS for n in range(20)):
            promoted.append(truth)
    assert np.mean(np.maximum(0, promoted)) < BY.risk
    assert np.mean(np.array(promoted) > POLICY.cost_margin) < BY.harm


def test_the_ledger_gets_prior_posterior_and_both_bounds() -> None:
    found = decide(-0.06, 0.04, POLICY, BY)
    assert found.numbers() == {
        "prior": 0.05, "posterior_mean": found.posterior.mean, "posterior_deviation": found.posterior.deviation,
        "expected_loss": found.posterior.loss, "forgone": found.posterior.forgone, "risk": 0.005,
        "worse_than_margin": found.posterior.worse_by(0.02), "harm": 0.10, "margin": 0.02,
    }  # fmt: skip
    assert str(found) == (
        "expected loss 0.19% of the champion's cost, at most 0.50% wanted; worse by more than 2% with probability 4%, "
        "at most 10% wanted"
    )


NARROW = ExpectedLoss(prior=1e-4, risk=1e-6)


@pytest.mark.parametrize(("error", "by"), [*((error, BY) for error in (0.0012, 0.01, 0.05, 0.2, 10.0, 200.0)), (0.01, NARROW)])
def test_the_improvement_that_is_shown_is_let_on_as_often_as_said(error: float, by: ExpectedLoss) -> None:
    found = sufficient(750, error, POLICY, by)
    unlucky = norm.ppf(POWER) * error
    apart = 1e-6 * max(1.0, found.shows)
    assert outcome(unlucky - found.shows - apart, error, by=by) is Outcome.PASS
    assert outcome(unlucky - found.shows + apart, error, by=by) is not Outcome.PASS
    assert found.margin == by.prior


@pytest.mark.parametrize("error", [0.04, 0.05, 0.2])
def test_so_many_rows_let_on_an_improvement_of_one_prior(error: float) -> None:
    found = sufficient(750, error, POLICY, BY, 500)
    assert found.wanted is not None
    assert found.weeks == found.wanted / 500
    then = sufficient(found.wanted, error * math.sqrt(750 / found.wanted), POLICY, BY)
    assert then.shows == pytest.approx(BY.prior, rel=2e-3)
    assert found.enough is (found.shows <= BY.prior)


def test_rows_that_tell_nothing_or_everything() -> None:
    nothing = sufficient(750, math.inf, POLICY, BY)
    assert (nothing.shows, nothing.wanted) == (math.inf, None)
    everything = sufficient(750, 0.0, POLICY, BY)
    assert (everything.shows, everything.wanted) == (pytest.approx(-0.005), 750)
