"""Readouts: honest about what is known, silent about what cannot be compared, and right at every look."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tea_tasting
from hypothesis import given, settings
from hypothesis import strategies as st

from decide.experiment.worlds import arm_of, costs, observed, plan
from everloop.decide.chain import canonical
from everloop.decide.experiment.observed import Observed
from everloop.decide.experiment.readout import Conclusion, compare, read
from everloop.decide.experiment.sums import Sums
from everloop.decide.policy import Metric, RolloutPolicy
from everloop.decide.release.evidence import Assigned
from everloop.decide.verdict import Outcome

POLICY = RolloutPolicy()
RANK = {Conclusion.WORSE: 0, Conclusion.BETTER: 2}


def conclusion(given: Observed, **changes: object) -> Conclusion:
    return read(plan(**changes), given, POLICY).conclusion


def test_a_lower_cost_is_better_and_a_higher_one_worse() -> None:
    low, high = costs(2_000, 0.1, 1), costs(2_000, 0.2, 2)
    assert conclusion(observed(high, low)) is Conclusion.BETTER
    assert conclusion(observed(low, high)) is Conclusion.WORSE
    assert conclusion(observed(low, high), metric=Metric.SELECTION_RATE, higher_is_better=True) is Conclusion.BETTER


def test_a_difference_shown_to_be_smaller_than_what_matters_is_alike() -> None:
    same = costs(4_000, 0.2, 1), costs(4_000, 0.2, 2)
    assert conclusion(observed(*same), effect=0.5) is Conclusion.ALIKE
    assert conclusion(observed(*same), effect=0.5, relative=False) is Conclusion.ALIKE
    assert conclusion(observed(*same), effect=0.01) is Conclusion.INCONCLUSIVE


@pytest.mark.parametrize("sizes", [(0, 0), (0, 2_000), (2_000, 0), (49, 2_000)])
def test_too_few_entities_conclude_nothing(sizes: tuple[int, int]) -> None:
    given = observed(costs(sizes[0], 0.5, 1), costs(sizes[1], 0.01, 2))
    found = read(plan(), replace(given, entities=Assigned()), POLICY)
    assert found.conclusion is Conclusion.INCONCLUSIVE
    assert not found.verdict.passed


def test_numbers_that_do_not_vary_claim_no_certainty() -> None:
    assert conclusion(observed(np.zeros(900), np.zeros(900)), relative=False) is Conclusion.INCONCLUSIVE


def test_a_sample_ratio_mismatch_is_an_error_whatever_the_metric_says() -> None:
    found = read(plan(), observed(costs(2_000, 0.5, 1), costs(1_700, 0.1, 2)), POLICY)
    assert (found.conclusion, found.verdict.outcome, found.trusted) == (Conclusion.ERROR, Outcome.ERROR, False)
    assert "sample ratio mismatch" in found.verdict.because()
    assert found.overall.conclusion is Conclusion.ERROR


@given(st.integers(200, 4_000), st.integers(200, 4_000), st.sampled_from([0.1, 0.3, 0.5]))
@settings(max_examples=30, deadline=None)
def test_the_split_is_judged_as_tea_tasting_does_but_for_looking_often(treated: int, others: int, weight: float) -> None:
    found = read(plan(weight=weight), observed(np.zeros(others), np.zeros(treated)), POLICY)
    (split,) = (reason for reason in found.verdict.reasons if reason.check == "experiment.sample_ratio")
    frame = pd.DataFrame({"variant": [1] * treated + [0] * others})
    metric = tea_tasting.SampleRatio(weight / (1 - weight), method="norm", correction=False)
    theirs = tea_tasting.Experiment({"m": metric}).analyze(frame)["m"].pvalue
    assert split.numbers["p"] == pytest.approx(theirs, abs=1e-6)
    assert (split.outcome is Outcome.ERROR) <= (theirs < 0.001)


def test_an_entity_that_met_both_arms_is_an_error() -> None:
    found = read(plan(), observed(costs(900, 0.2, 1), costs(900, 0.1, 2), crossed=1), POLICY)
    assert found.conclusion is Conclusion.ERROR
    assert "met both arms" in found.verdict.because()


def test_errors_and_slow_answers_leave_no_result() -> None:
    base = costs(2_000, 0.5, 1), costs(2_000, 0.1, 2)
    for harm in ({"errors": 200}, {"latency_ms": 500.0}):
        found = read(plan(), observed(*base, **harm), POLICY)
        assert (found.conclusion, found.verdict.outcome, found.trusted) == (Conclusion.INCONCLUSIVE, Outcome.FAIL, False)


@given(st.integers(0, 50), st.lists(st.floats(0.0, 3.0), min_size=2, max_size=2), st.booleans())
@settings(max_examples=40, deadline=None)
def test_more_harm_never_improves_the_verdict(seed: int, harms: list[float], relative: bool) -> None:
    """Harm is added to the treatment's every row; "better" may turn into no claim, and no claim into "worse", never back."""
    rng = np.random.default_rng(seed)
    control, treatment = rng.gamma(2, 1, 300), rng.gamma(2, 1, 300)
    ranks = [
        RANK.get(conclusion(observed(control, treatment + harm - 1.5), relative=relative, effect=0.2), 1)
        for harm in sorted(harms)
    ]
    assert ranks == sorted(ranks, reverse=True)


@given(st.permutations(range(5)))
@settings(max_examples=10, deadline=None)
def test_the_order_of_batches_does_not_change_the_readout(order: list[int]) -> None:
    control, treatment = costs(2_000, 0.2, 1), costs(2_000, 0.15, 2)
    batches = [observed(control[i::5], treatment[i::5]) for i in order]
    found = read(plan(), sum(batches, Observed()), POLICY).overall
    whole = read(plan(), observed(control, treatment), POLICY).overall
    assert (found.low, found.high) == pytest.approx((whole.low, whole.high))
    assert found.conclusion is whole.conclusion


def test_a_release_against_itself_is_seldom_found_to_differ_however_often_one_looks() -> None:
    """300 experiments of entities of one to four alike rows each, looked at 17 times, with what the control's score explains."""
    rng, asked, alarms = np.random.default_rng(11), plan(rows=10_000, minimum_entities=355), 0
    for _ in range(300):
        rows = rng.integers(1, 5, (2, 2_000))
        expected = rng.beta(2, 6, (2, 2_000))
        cost = 3.0 * rows * (rng.random((2, 2_000)) < expected)
        values = np.stack([rows, cost, rows * expected, rows], axis=2)
        looks = ([Sums.of(arm[:count]) for arm in values] for count in range(400, 2_001, 100))
        found = {compare(asked, *arms, alpha=asked.alpha, tightest_at=asked.rows).conclusion for arms in looks}
        alarms += bool(found & {Conclusion.BETTER, Conclusion.WORSE})
    assert alarms <= 0.05 * 300


def test_entities_that_come_back_raise_no_more_alarms() -> None:
    """The same 400 entities an arm, each with its own rate, once more at every look."""
    rng, asked, alarms = np.random.default_rng(12), plan(rows=8_000), 0
    for _ in range(150):
        rates, rows, cost = rng.beta(1, 4, (2, 400)), np.zeros((2, 400)), np.zeros((2, 400))
        found = set()
        for _ in range(20):
            rows, cost = rows + 1, cost + 3.0 * (rng.random((2, 400)) < rates)
            arms = (Sums.of(np.column_stack([n, y, 0 * n, 0 * n])) for n, y in zip(rows, cost, strict=True))
            found.add(compare(asked, *arms, alpha=asked.alpha, tightest_at=asked.rows).conclusion)
        alarms += bool(found & {Conclusion.BETTER, Conclusion.WORSE})
    assert alarms <= 0.05 * 150


def segmented(values: int) -> Observed:
    """Many segments, of which `v0` is really better."""
    given = observed(costs(4_000, 0.2, 1), costs(4_000, 0.2, 2))
    control = {("colour", f"v{i}"): arm_of(costs(400 + i, 0.3, 10 + i)) for i in range(values)}
    treatment = {("colour", f"v{i}"): arm_of(costs(400 + i, 0.05 if i == 0 else 0.3, 90 + i)) for i in range(values)}
    return replace(
        given, control=replace(given.control, segments=control), treatment=replace(given.treatment, segments=treatment)
    )


def test_segments_are_shown_largest_first_at_a_level_that_holds_for_all_and_decide_nothing() -> None:
    found = read(plan(segment_limit=5), segmented(5), POLICY)
    assert [one.value for one in found.segments] == ["v4", "v3", "v2", "v1", "v0"]
    assert [one.conclusion for one in found.segments if one.conclusion is Conclusion.BETTER] == [found.segments[-1].conclusion]
    assert found.conclusion is read(plan(), observed(costs(4_000, 0.2, 1), costs(4_000, 0.2, 2)), POLICY).conclusion
    alone = read(plan(segment_limit=1), segmented(1), POLICY).segments[0]
    among = read(plan(segment_limit=20), segmented(1), POLICY).segments[0]
    assert among.high - among.low > alone.high - alone.low
    assert len(read(plan(segment_limit=2), segmented(5), POLICY).segments) == 2


def test_a_readout_is_plain_json_for_the_ledger() -> None:

    assert '"conclusion":"better"' in canonical(
        read(plan(), observed(costs(2_000, 0.3, 1), costs(2_000, 0.1, 2)), POLICY).to_json()
    )
