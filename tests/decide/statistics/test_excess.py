"""Evidence that one rate is higher: against independent formulas, by enumeration where that is exact, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from everloop.decide.statistics.excess import RATIOS, at_least, exceeds, log_evidence
from everloop.decide.statistics.intervals import mean_sequence

NONE = (0.0, 0.0)


@st.composite
def counts(draw, most=60):
    trials = draw(st.integers(1, most))
    return draw(st.integers(0, trials)), trials


def likelihood_ratios(ours, theirs):
    """How much likelier our hits among all are where our rate is so many times as high, of each of `RATIOS`."""
    (hits, trials), (others, other_trials) = ours, theirs
    share = trials / (trials + other_trials)
    higher = RATIOS * share / (RATIOS * share + 1 - share)
    total = hits + others
    return stats.binom.pmf(hits, total, higher) / stats.binom.pmf(hits, total, share)


def test_ratios_are_a_quarter_octave_apart_up_to_sixty_four():
    assert pytest.approx(2 ** (np.arange(1, 25) / 4)) == RATIOS


@given(counts(), counts())
def test_evidence_is_the_mean_likelihood_ratio_of_our_hits_among_all(ours, theirs):
    assert log_evidence(ours, theirs) == pytest.approx(math.log(likelihood_ratios(ours, theirs).mean()), abs=1e-9)


def test_evidence_by_hand():
    # One hit, ours, with half of the trials: 2 r / (1 + r) for each ratio.
    assert math.exp(log_evidence((1, 10), (0, 10))) == pytest.approx((2 * RATIOS / (1 + RATIOS)).mean())
    assert math.exp(log_evidence((0, 10), (1, 10))) == pytest.approx((2 / (1 + RATIOS)).mean())


def test_without_a_trial_or_a_hit_there_is_no_evidence():
    assert log_evidence(NONE, (3, 10)) == log_evidence((3, 10), NONE) == log_evidence(NONE, NONE) == 0.0
    assert log_evidence((0, 10), (0, 500)) == pytest.approx(0.0, abs=1e-12)


def test_many_hits_are_no_overflow():
    assert math.isfinite(log_evidence((900_000, 10**6), (100_000, 10**6)))
    assert log_evidence((900_000, 10**6), (100_000, 10**6)) > 100_000
    assert log_evidence((100_000, 10**6), (900_000, 10**6)) < -50_000


@given(counts(), counts(), st.floats(0.1, 1.0))
def test_more_hits_of_ours_are_more_evidence_and_more_of_theirs_less(ours, theirs, more):
    assert log_evidence((ours[0] + more, ours[1] + 1), theirs) > log_evidence((ours[0], ours[1] + 1), theirs)
    assert log_evidence(ours, (theirs[0] + more, theirs[1] + 1)) < log_evidence(ours, (theirs[0], theirs[1] + 1))


@pytest.mark.parametrize(("trials", "others"), [(1, 1), (3, 5), (8, 2), (20, 60), (50, 3)])
def test_the_expected_evidence_of_equal_rates_is_one_for_rare_hits(trials, others):
    """Of any number of hits in all, ours are binomial with our share of the trials where hits are rare (Poisson)."""
    for total in range(1, 40):
        ours = np.arange(total + 1)
        evidence = np.array([math.exp(log_evidence((k, trials), (total - k, others))) for k in ours])
        assert evidence @ stats.binom.pmf(ours, total, trials / (trials + others)) == pytest.approx(1.0)


@pytest.mark.parametrize(("trials", "others"), [(1, 1), (3, 5), (8, 2), (10, 30), (25, 6)])
def test_the_expected_evidence_of_equal_rates_is_at_most_one_for_frequent_hits(trials, others):
    """Ours are hypergeometric then, which vary less: for each number of hits in all, so for every rate."""
    for total in range(1, trials + others + 1):
        ours = np.arange(max(0, total - others), min(total, trials) + 1)
        evidence = np.array([math.exp(log_evidence((k, trials), (total - k, others))) for k in ours])
        expected = evidence @ stats.hypergeom.pmf(ours, trials + others, total, trials)
        assert expected <= 1 + 1e-9


@pytest.mark.parametrize("ratio", [0.2, 0.8])
def test_the_expected_evidence_of_a_lower_rate_is_at_most_one(ratio):
    for total in range(1, 30):
        ours = np.arange(total + 1)
        evidence = np.array([math.exp(log_evidence((k, 7), (total - k, 3))) for k in ours])
        assert evidence @ stats.binom.pmf(ours, total, 7 * ratio / (7 * ratio + 3)) <= 1


@pytest.mark.parametrize("beside", [True, False])
def test_at_any_of_many_looks_equal_rates_are_seldom_refuted(beside):
    """200 looks; the other side answers beside ours, or has answered before and stands still."""
    rng, alarms, runs = np.random.default_rng(3), 0, 300
    for _ in range(runs):
        ours = np.cumsum(rng.binomial(50, 0.01, 200))
        theirs = np.cumsum(rng.binomial(50, 0.01, 200)) if beside else np.full(200, rng.binomial(2_000, 0.01))
        trials = 50 * np.arange(1, 201)
        others = trials if beside else np.full(200, 2_000)
        evidence = max(log_evidence(*pair) for pair in zip(zip(ours, trials), zip(theirs, others), strict=True))  # noqa: B905
        alarms += evidence >= math.log(1 / 0.05)
    assert alarms <= 0.05 * runs


def test_a_rate_six_times_as_high_is_shown_within_some_hundred_rows():
    """3 % instead of 0.5 %, at the level that a rollout gives errors in one stage."""
    rng, needed = np.random.default_rng(4), []
    for _ in range(60):
        ours, theirs = np.cumsum(rng.binomial(20, 0.03, 100)), np.cumsum(rng.binomial(380, 0.005, 100))
        found = [log_evidence((h, 20 * n), (o, 380 * n)) for n, (h, o) in enumerate(zip(ours, theirs, strict=True), 1)]
        needed.append(20 * (1 + int(np.argmax(np.array(found) >= math.log(1 / 0.0014)))))
    assert np.median(needed) < 800


def score(ours, theirs, difference):
    """Dunnett & Gent (1977): both rates as near to the total of hits as the difference and the ends of [0, 1] let them."""
    (hits, trials), (others, other_trials) = ours, theirs
    theirs_at = (hits + others - trials * difference) / (trials + other_trials) if other_trials else 0.0
    theirs_at = min(max(theirs_at, 0.0, -difference), 1.0, 1.0 - difference)
    ours_at = theirs_at + difference
    variance = ours_at * (1 - ours_at) / trials + (theirs_at * (1 - theirs_at) / other_trials if other_trials else 0.0)
    observed = hits / trials - (others / other_trials if other_trials else 0.0)
    return observed - difference, max(0.0, variance)


@settings(max_examples=60, deadline=None)
@given(counts(), counts() | st.just((0, 0)), st.sampled_from([0.01, 0.1, 0.2, 0.4]), st.sampled_from([2, 30, 500]))
def test_the_lower_end_is_the_least_difference_that_is_not_refuted(ours, theirs, alpha, tightest_at):
    found, trials, floor = at_least(ours, theirs, alpha, tightest_at), ours[1], -1.0 if theirs[1] else 0.0
    grid = np.linspace(floor, 1, 2_001)[1:-1]
    far = [
        mean_sequence(a, v * trials, trials, 2 * alpha, tightest_at).low > 0 for a, v in (score(ours, theirs, d) for d in grid)
    ]
    below, above = (
        grid < found - 1e-6,
        (grid > found + 1e-6) & (grid < ours[0] / trials - (theirs[0] / theirs[1] if theirs[1] else 0)),
    )
    assert np.array(far)[below].all()
    assert not np.array(far)[above].any()


def test_the_lower_end_by_hand():
    # 20 of 100 against none at all: the variance under a rate d is d (1 - d) / 100, and one root of the quadratic is the end.
    trials, alpha = 100, 0.2
    width = mean_sequence(0.0, 1.0, trials, 2 * alpha, 50).high
    a, b, c = 1 + width**2, -(2 * 0.2 + width**2), 0.2**2
    assert at_least((20, trials), NONE, alpha, 50) == pytest.approx((-b - math.sqrt(b * b - 4 * a * c)) / (2 * a))


def test_below_two_trials_of_ours_nothing_is_known():
    assert (at_least(NONE, (3, 10), 0.2, 50), at_least(NONE, NONE, 0.2, 50), at_least((1, 1), NONE, 0.2, 50)) == (-1.0, 0.0, 0.0)
    assert at_least((1, 1), (0, 100), 0.2, 50) == -1.0
    assert at_least((1.9, 1.9), (0, 100), 0.2, 50) == -1.0
    assert at_least((2, 2), (0, 100), 0.2, 50) > 0


def test_the_lower_end_of_no_hit_at_all_is_not_above_nought():
    assert -0.1 < at_least((0, 50), (0, 500), 0.2, 50) < -1e-3
    assert at_least((0, 50), NONE, 0.2, 50) == 0.0
    assert at_least((0, 50), (500, 500), 0.2, 50) == -1.0
    assert at_least((50, 50), (0, 500), 0.2, 50) > 0.8


@given(counts(), counts(), st.sampled_from([0.05, 0.2]))
def test_a_surer_end_lies_lower_and_more_hits_raise_it(ours, theirs, alpha):
    end = at_least(ours, theirs, alpha, 30)
    assert at_least(ours, theirs, alpha / 2, 30) <= end + 1e-9
    if ours[0] < ours[1]:
        assert at_least((ours[0] + 1, ours[1]), theirs, alpha, 30) >= end - 1e-9


@pytest.mark.parametrize(("rate", "margin", "others"), [(0.005, 0.01, 1_900), (0.2, 0.05, 200), (0.0, 0.01, 0)])
def test_a_release_on_the_margin_is_found_beyond_it_at_any_look_no_more_often_than_margin_alpha(rate, margin, others):
    """30 looks after every 100 rows of ours, `others` rows of theirs beside them; none at all where there are none."""
    rng, beyond, runs = np.random.default_rng(8), 0, 120
    for _ in range(runs):
        ours, theirs = np.cumsum(rng.binomial(100, rate + margin, 30)), np.cumsum(rng.binomial(others, rate, 30))
        looks = ((ours[n], 100 * (n + 1)) for n in range(30)), ((theirs[n], others * (n + 1)) for n in range(30))
        beyond += any(at_least(a, b, 0.2, 500) > margin for a, b in zip(*looks, strict=True))
    assert stats.binomtest(beyond, runs, 0.2, alternative="greater").pvalue > 0.01


@settings(max_examples=60)
@given(counts(), counts() | st.just((0, 0)), st.sampled_from([0.0, 0.01, 0.05, 0.5, 1.0]), st.sampled_from([0.01, 0.2, 0.49]))
def test_one_look_exceeds_a_margin_where_the_score_lies_beyond_its_quantile(ours, theirs, margin, alpha):
    apart, variance = score(ours, theirs, margin)
    assert exceeds(ours, theirs, margin, alpha) is bool(apart > stats.norm.ppf(1 - alpha) * math.sqrt(variance))


def test_nothing_exceeds_a_margin_without_a_trial_and_all_of_few_does():
    assert exceeds(NONE, (0, 100), 0.0, 0.2) is False
    assert exceeds((0, 100), (0, 100), 0.0, 0.2) is False
    assert exceeds((1, 100), NONE, 0.0, 0.2) is True
    assert exceeds((100, 100), NONE, 1.0, 0.2) is False


def test_one_look_at_a_release_on_the_margin_exceeds_it_as_often_as_alpha_says():
    rng = np.random.default_rng(9)
    ours, theirs = rng.binomial(2_000, 0.06, 2_000), rng.binomial(5_000, 0.05, 2_000)
    share = np.mean([exceeds((a, 2_000), (b, 5_000), 0.01, 0.2) for a, b in zip(ours, theirs, strict=True)])
    assert share == pytest.approx(0.2, abs=0.03)


@given(counts(), counts(), st.floats(1.0, 20.0))
def test_counts_need_not_be_whole(ours, theirs, effect):
    """Evidence of rows that are worth fewer is less far from none."""
    fewer = [(hits / effect, trials / effect) for hits, trials in (ours, theirs)]
    if (whole := log_evidence(ours, theirs)) > 0:
        assert -1e-9 <= log_evidence(*fewer) + math.log(len(RATIOS)) <= whole + 2 * math.log(len(RATIOS))
    assert at_least(*fewer, 0.2, 30) <= ours[0] / ours[1] - theirs[0] / theirs[1] + 1e-9
