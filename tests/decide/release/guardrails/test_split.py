import pytest
from scipy.stats import chisquare

from everloop.decide.release import guardrails
from everloop.decide.release.evidence import Assigned
from everloop.decide.statistics.intervals import split_evidence
from everloop.decide.verdict import Outcome


def test_sample_ratio_uses_chi_squared_and_says_nothing_of_few_entities():
    right = guardrails.sample_ratio(Assigned(candidate=52, baseline=948), 0.05, 0.001)
    assert right.outcome is Outcome.PASS
    assert right.numbers["p"] == pytest.approx(chisquare([52, 948], [50, 950]).pvalue)
    assert guardrails.sample_ratio(Assigned(candidate=150, baseline=850), 0.05, 0.001).outcome is Outcome.FAIL
    assert guardrails.sample_ratio(Assigned(candidate=0, baseline=900), 0.05, 0.001).outcome is Outcome.FAIL
    assert guardrails.sample_ratio(Assigned(candidate=9, baseline=3), 0.05, 0.001).outcome is Outcome.INCONCLUSIVE


def test_a_split_is_told_with_both_tests():
    few = guardrails.sample_ratio(Assigned(candidate=9, baseline=90), 0.05, 0.001)
    assert (few.check, few.outcome, few.numbers) == ("rollout.sample_ratio", Outcome.INCONCLUSIVE, {})
    assert few.text == "99 entities are too few to judge the split at weight 0.05"
    assert guardrails.sample_ratio(Assigned(candidate=9, baseline=91), 0.05, 0.001).outcome is Outcome.PASS
    assert guardrails.sample_ratio(Assigned(candidate=91, baseline=9), 0.95, 0.001).outcome is Outcome.PASS
    off = guardrails.sample_ratio(Assigned(candidate=100, baseline=900), 0.05, 0.001)
    p = chisquare([100, 900], [50, 950]).pvalue
    assert (off.check, off.outcome) == ("rollout.sample_ratio", Outcome.FAIL)
    assert off.text == f"sample ratio mismatch: 100 of 1000 entities met the challenger, 5.0% expected (p={p:.2g})"
    assert off.numbers == {
        "candidate": 100, "baseline": 900, "weight": 0.05, "p": pytest.approx(p),
        "p_always": 1 / split_evidence((100, 900), 0.05), "alpha": 0.001,
    }  # fmt: skip
    right = guardrails.sample_ratio(Assigned(candidate=52, baseline=948), 0.05, 0.001)
    p = chisquare([52, 948], [50, 950]).pvalue
    assert right.text == f"52 of 1000 entities met the challenger, 5.0% expected (p={p:.2g})"
    assert (right.check, right.numbers["p_always"]) == ("rollout.sample_ratio", 1.0)


def test_one_look_that_chance_explains_over_many_looks_is_no_mismatch():
    # Chi-squared alone says 0.0007, which among thousands of looks is nothing.
    seldom = guardrails.sample_ratio(Assigned(candidate=560, baseline=440), 0.5067, 0.001)
    assert seldom.numbers["p"] < 0.001 < seldom.numbers["p_always"]
    assert seldom.outcome is Outcome.PASS


def test_both_tests_must_fall_below_alpha_and_not_only_reach_it():
    none, surely = (Assigned(candidate=0, baseline=600), Assigned(candidate=100, baseline=900))
    first, second = (guardrails.sample_ratio(found, 0.05, 0.001).numbers for found in (none, surely))
    assert first["p_always"] < first["p"]
    assert guardrails.sample_ratio(none, 0.05, first["p"]).outcome is Outcome.PASS
    assert second["p"] < second["p_always"]
    assert guardrails.sample_ratio(surely, 0.05, second["p_always"]).outcome is Outcome.PASS
