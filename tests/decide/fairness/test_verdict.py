from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.fairness import ALWAYS_VALID, GroupCounts, count, judge
from everloop.decide.policy import FairnessPolicy
from everloop.decide.verdict import Outcome

PARITY = FairnessPolicy(columns=("g",), selection_difference=0.1)
RULE = FairnessPolicy.four_fifths("g")
SEVERITY = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.FAIL]
RNG = np.random.default_rng(9)


def selected(**rates) -> dict[str, GroupCounts]:
    """Groups by `name=(selected, rows)`."""
    return {name: GroupCounts(rows=rows, selected=hits) for name, (hits, rows) in rates.items()}


def outcomes(verdict) -> dict[str, Outcome]:
    return {reason.check.rpartition(".")[2]: reason.outcome for reason in verdict.reasons}


def test_a_shown_gap_fails_a_small_one_passes_and_small_groups_are_not_judged():
    groups = selected(a=(900, 3_000), b=(500, 1_000))
    assert judge("g", groups, PARITY).outcome is Outcome.FAIL
    assert judge("g", groups, replace(PARITY, selection_difference=0.3)).outcome is Outcome.PASS
    assert judge("g", groups, replace(PARITY, minimum=5_000)).outcome is Outcome.INCONCLUSIVE


def test_a_gap_that_may_be_chance_is_inconclusive():
    policy = replace(PARITY, selection_difference=0.04)
    assert judge("g", selected(a=(80, 210), b=(100, 210)), policy).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("least", "expected"),
    [(300, Outcome.FAIL), (390, Outcome.INCONCLUSIVE), (400, Outcome.PASS), (430, Outcome.PASS), (0, Outcome.FAIL)],
)
def test_four_fifths_rule(least, expected):
    assert judge("g", selected(a=(500, 1_000), b=(least, 1_000)), RULE).outcome is expected


def test_four_fifths_holds_groups_against_the_one_that_gets_most_of_what_people_want():
    refused = selected(a=(100, 1_000), b=(200, 1_000))
    assert judge("g", refused, RULE).outcome is Outcome.FAIL
    wanted = judge("g", refused, FairnessPolicy.four_fifths("g", favourable=False))
    assert wanted.passed
    assert "g=b is selected 0.89 times as often as g=a" in wanted.reasons[0].text


def test_the_reason_names_group_rates_interval_and_limit():
    (reason,) = judge("g", selected(a=(500, 1_000), b=(100, 1_000)), RULE).reasons
    assert reason.check == "fairness.g.selection_ratio"
    assert "g=b is selected 0.20 times as often as g=a: 0.200 [0.16" in reason.text
    (gap,) = reason.numbers["gaps"]
    assert (gap["group"], gap["against"], gap["rate"], gap["other"], gap["trials"]) == ("b", "a", 0.1, 0.5, 1_000)


def test_nobody_selected_is_no_evidence_of_equal_treatment():
    assert judge("g", selected(a=(0, 1_000), b=(0, 1_000)), RULE).outcome is Outcome.INCONCLUSIVE


def test_equalized_odds_judges_both_error_rates_and_equal_opportunity_only_one():
    labels = (RNG.random(4_000) < 0.5).astype(float)
    groups = np.where(np.arange(4_000) % 2, "a", "b")
    decided = RNG.random(4_000) < np.where(groups == "a", 0.2, 0.4) + 0.3 * labels
    counts = count(groups.tolist(), decided, labels)
    odds = FairnessPolicy(columns=("g",), error_rate_difference=0.05)
    assert outcomes(judge("g", counts, odds)) == {"tpr": Outcome.FAIL, "fpr": Outcome.FAIL}
    opportunity = FairnessPolicy(columns=("g",), opportunity_difference=0.05)
    assert outcomes(judge("g", counts, opportunity)) == {"tpr": Outcome.FAIL}
    both = FairnessPolicy(columns=("g",), error_rate_difference=0.9, opportunity_difference=0.05)
    assert outcomes(judge("g", counts, both)) == {"tpr": Outcome.FAIL, "fpr": Outcome.PASS}


def test_between_groups_the_gap_is_twice_that_to_a_whole_of_equal_halves():
    groups = selected(a=(500, 1_000), b=(420, 1_000))
    assert judge("g", groups, replace(PARITY, selection_difference=0.05)).outcome is Outcome.PASS
    assert not judge("g", groups, replace(PARITY, selection_difference=0.05, against="groups")).passed


def test_without_a_limit_groups_are_reported_and_never_pass():
    policy = FairnessPolicy(columns=("g",))
    assert not policy.judges
    assert judge("g", selected(a=(1, 300), b=(250, 300)), policy).outcome is Outcome.INCONCLUSIVE


def test_among_many_alike_groups_chance_seldom_fails_one():
    failed = 0
    for _ in range(200):
        groups = {str(i): GroupCounts(rows=400, selected=int(RNG.binomial(400, 0.4))) for i in range(20)}
        failed += judge("g", groups, replace(PARITY, selection_difference=0.0)).outcome is Outcome.FAIL
    assert failed / 200 <= 0.09


def test_a_group_that_is_truly_far_off_fails_among_many():
    groups = {str(i): GroupCounts(rows=1_000, selected=400) for i in range(40)} | selected(off=(700, 1_000))
    (reason,) = judge("g", groups, PARITY).reasons
    (off,) = [gap for gap in reason.numbers["gaps"] if gap["group"] == "off"]
    assert reason.outcome is Outcome.FAIL
    assert off["adjusted_low"] < off["low"] < off["value"]
    assert (off["level"], reason.numbers["family"]) == (pytest.approx(0.05 / 41), 41)


def test_looking_after_every_batch_fails_fair_groups_no_more_often_than_said():
    policy, failed = FairnessPolicy(columns=("g",), selection_difference=0.0, minimum=30), 0
    for _ in range(25):
        groups, decided = RNG.choice(["a", "b", "c"], 900), RNG.random(900) < 0.4
        looks = (count(groups[:n].tolist(), decided[:n], np.full(n, np.nan)) for n in range(100, 901, 200))
        failed += any(judge("g", seen, policy, intervals=ALWAYS_VALID).outcome is Outcome.FAIL for seen in looks)
    assert failed / 25 <= 0.05


def test_an_unfair_challenger_is_seen_at_every_look_too():
    assert judge("g", selected(a=(400, 1_000), b=(800, 1_000)), PARITY, intervals=ALWAYS_VALID).outcome is Outcome.FAIL


RATES = st.tuples(st.integers(1, 400), st.just(400))


def never_improves(rates, policy, data):
    least = min(rates, key=lambda name: rates[name])
    worse = rates | {least: (data.draw(st.integers(0, rates[least][0])), 400)}
    before, after = judge("g", selected(**rates), policy), judge("g", selected(**worse), policy)
    assert SEVERITY.index(after.outcome) >= SEVERITY.index(before.outcome)


@given(st.dictionaries(st.sampled_from("abcdef"), RATES, min_size=2), st.data())
def test_selecting_still_fewer_of_those_selected_least_never_improves_the_four_fifths_verdict(rates, data):
    never_improves(rates, RULE, data)


@given(st.dictionaries(st.sampled_from("ab"), RATES, min_size=2, max_size=2), st.data(), st.sampled_from(["whole", "groups"]))
def test_widening_the_gap_of_two_groups_never_improves_the_verdict(rates, data, against):
    never_improves(rates, replace(PARITY, against=against), data)


@given(st.dictionaries(st.sampled_from("abcdef"), RATES, min_size=3), st.data())
def test_widening_the_gap_of_many_groups_never_improves_the_verdict(rates, data):
    never_improves(rates, replace(PARITY, against="groups"), data)


@given(
    st.dictionaries(st.sampled_from("abc"), st.tuples(st.integers(0, 199), st.just(199)), max_size=3),
    st.sampled_from([PARITY, RULE, replace(PARITY, error_rate_difference=0.2)]),
)
def test_no_group_with_enough_rows_never_passes(rates, policy):
    assert judge("g", selected(**rates), policy).outcome is Outcome.INCONCLUSIVE
