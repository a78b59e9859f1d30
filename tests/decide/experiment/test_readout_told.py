"""Readouts in words and numbers: what is compared, at which level, and where each conclusion begins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from decide.experiment.worlds import arm_of, costs, observed, plan
from everloop.decide.experiment.effect import effect
from everloop.decide.experiment.observed import Observed
from everloop.decide.experiment.readout import Comparison, Conclusion, compare, read
from everloop.decide.experiment.sums import Sums
from everloop.decide.policy import Covariate, ExperimentPlan, RolloutPolicy
from everloop.decide.release import guardrails
from everloop.decide.release.evidence import Assigned
from everloop.decide.verdict import Outcome

POLICY = RolloutPolicy(alpha=0.06)
OLD, NEW = costs(2_000, 0.5, 1), costs(2_000, 0.1, 2)


def told(plan: ExperimentPlan, given: Observed) -> tuple[str, str, str]:
    found = read(plan, given, POLICY)
    return str(found.verdict.outcome), str(found.verdict.reasons[0].outcome), found.verdict.reasons[0].text


def test_a_comparison_is_told_with_its_means_its_sequence_and_what_matters() -> None:
    shown = (
        "cost 0.2775 against 1.503, difference -1.225 (always-valid 95%: -1.343 to -1.108; 0.1503 matters), "
        "2000 rows of 2000 entities against 2000 of 2000"
    )
    assert told(plan(), observed(OLD, NEW)) == ("pass", "pass", f"the treatment is better: {shown}")
    assert told(plan(), observed(OLD, NEW, errors=200)) == ("fail", "inconclusive", f"not known yet: {shown}")
    assert told(plan(), observed(OLD, NEW, crossed=3)) == ("error", "inconclusive", f"not comparable: {shown}")
    assert told(plan(), observed(NEW, OLD))[:2] == ("fail", "fail")
    assert told(plan(), observed(NEW, OLD))[2].startswith("the treatment is worse: cost 1.503 against 0.2775, difference +1.225 ")
    alike = told(plan(effect=0.5), observed(costs(4_000, 0.2, 1), costs(4_000, 0.2, 2)))
    assert alike[:2] == ("pass", "pass")
    assert alike[2].startswith("no difference that matters: cost 0.")


def test_a_comparison_without_an_effect_says_what_is_wanted() -> None:
    text = "not known yet: 30 rows of 30 entities against 40 of 40 with a cost, 50 entities of each arm wanted"
    assert told(plan(), observed(costs(40, 0.2, 1), costs(30, 0.2, 2))) == ("inconclusive", "inconclusive", text)
    treated = Sums.of(np.tile([3.0, 1.0, 0.0, 0.0], (7, 1)))
    assert "21 rows of 7 entities against 0 of 0" in compare(plan(), Sums(), treated, alpha=0.05, tightest_at=9).text(plan())


def test_one_of_many_comparisons_is_told_at_its_own_level() -> None:
    found = read(plan(), observed(OLD, NEW), POLICY).overall
    assert "(always-valid 95%:" in found.text(plan())
    assert "(always-valid 99.75%:" in found.text(plan(), 20)
    assert "(always-valid 90%:" in found.text(plan(alpha=0.1))


def test_the_worst_of_what_is_watched_decides_and_an_error_before_a_failure() -> None:
    harm = read(plan(), observed(NEW, OLD, errors=200, crossed=1), POLICY)
    assert (harm.conclusion, harm.verdict.outcome, harm.trusted) == (Conclusion.ERROR, Outcome.ERROR, False)
    fine = read(plan(), observed(OLD, NEW), POLICY)
    assert (fine.conclusion, fine.verdict.outcome, fine.trusted) == (Conclusion.BETTER, Outcome.PASS, True)
    assert fine.verdict.passed


def test_the_overall_comparison_is_at_the_plans_level_and_tightest_at_its_rows() -> None:
    asked = plan(rows=700, alpha=0.01)
    low, high = effect(arm_of(OLD), arm_of(NEW), cuped=True).sequence(0.01, 700)
    assert read(asked, observed(OLD, NEW), POLICY).overall == Comparison(
        rows=(2_000, 2_000),
        entities=(2_000, 2_000),
        means=(OLD.mean(), pytest.approx(NEW.mean())),
        difference=pytest.approx(NEW.mean() - OLD.mean()),
        low=low,
        high=high,
        margin=pytest.approx(0.1 * OLD.mean()),
        explained=0.0,
        conclusion=Conclusion.BETTER,
    )
    absolute = compare(plan(effect=0.2, relative=False), arm_of(OLD), arm_of(NEW), alpha=0.05, tightest_at=9)
    assert absolute.margin == 0.2


def test_the_covariate_is_taken_out_where_the_plan_asks_for_it() -> None:
    rng = np.random.default_rng(3)
    arms = [
        Sums.of(np.column_stack([np.ones(400), x + rng.normal(0, 1, 400), x, np.ones(400)])) for x in rng.normal(1, 1, (2, 400))
    ]
    for covariate, cuped in ((Covariate.NONE, False), (Covariate.CONTROL, True), (Covariate.BEFORE, True)):
        found = compare(plan(covariate=covariate), *arms, alpha=0.05, tightest_at=800)
        assert found.explained == effect(*arms, cuped=cuped).explained
        assert (found.explained > 0.3) is cuped


def test_just_enough_entities_of_each_arm_are_compared() -> None:
    for sizes, enough in (((50, 50), True), ((49, 50), False), ((50, 49), False)):
        found = compare(plan(), arm_of(OLD[: sizes[0]]), arm_of(NEW[: sizes[1]]), alpha=0.05, tightest_at=100)
        assert (found.means is not None) is enough


def test_what_is_watched_is_judged_by_the_guardrails_of_a_rollout() -> None:
    given = observed(OLD, NEW[:1_900], errors=30, crossed=2)
    given = replace(given, treatment=replace(given.treatment, answers=replace(given.treatment.answers, incomplete=90)))
    arms = given.treatment.answers, given.control.answers
    shown, split, crossed, *others = read(plan(weight=0.45), given, POLICY).verdict.reasons
    assert shown.check == "experiment.effect"
    expected = guardrails.sample_ratio(Assigned(candidate=1_900, baseline=2_000), 0.45, 0.001)
    assert (split.numbers, split.text, split.check) == (expected.numbers, expected.text, "experiment.sample_ratio")
    assert (crossed.check, crossed.outcome, crossed.numbers) == ("experiment.assignment", Outcome.ERROR, {"crossed": 2})
    assert crossed.text == "2 entities met both arms: the assignment does not hold, so nothing can be compared"
    rules = ((guardrails.error_rate, 0.024), (guardrails.missing_features, 0.012), (guardrails.latency, 0.024))
    judged = [rule(*arms, POLICY, level) for rule, level in rules]
    assert [one.numbers.get("alpha") for one in judged[:2]] == pytest.approx([0.024, 0.012])
    assert others == [replace(one, check=one.check.replace("rollout.", "experiment.")) for one in judged]
    assert [one.check for one in others] == ["experiment.errors", "experiment.missing", "experiment.latency"]


def test_what_both_releases_read_is_missing_for_both() -> None:
    given = observed(OLD, NEW)
    given = replace(given, treatment=replace(given.treatment, answers=replace(given.treatment.answers, incomplete=900)))
    assert read(plan(), given, POLICY).verdict.outcome is Outcome.FAIL
    found = read(plan(), replace(given, same_views=True), POLICY)
    assert found.verdict.passed
    assert found.verdict.reasons[-2].text == "both releases read the same feature views, so what is missing is missing for both"


def segments(control: dict[str, int], treatment: dict[str, int]) -> Observed:
    sides = [
        {("colour", name): arm_of(costs(count, 0.3, seed)) for seed, (name, count) in enumerate(arm.items())}
        for arm in (control, treatment)
    ]
    given = observed(OLD, NEW)
    return replace(
        given, control=replace(given.control, segments=sides[0]), treatment=replace(given.treatment, segments=sides[1])
    )


def test_segments_share_the_level_and_the_rows_of_the_plan() -> None:
    given = segments({"red": 400, "blue": 90}, {"red": 300, "blue": 300, "green": 120})
    found = read(plan(segment_limit=4, rows=1_003), given, POLICY).segments
    assert [(one.name, one.value, one.entities) for one in found] == [
        ("colour", "red", (400, 300)), ("colour", "blue", (90, 300)), ("colour", "green", (0, 120)),
    ]  # fmt: skip
    arms = (side.segments["colour", "red"] for side in (given.control, given.treatment))
    assert (found[0].low, found[0].high) == effect(*arms, cuped=False).sequence(0.05 / 4, 250)
    least = read(plan(segment_limit=4, rows=3), given, POLICY).segments[0]
    arms = (side.segments["colour", "red"] for side in (given.control, given.treatment))
    assert (least.low, least.high) == effect(*arms, cuped=False).sequence(0.05 / 4, 2)
    tie = segments({"b": 60, "a": 60, "c": 60}, {"c": 60, "b": 60, "a": 60})
    assert [one.value for one in read(plan(segment_limit=2), tie, POLICY).segments] == ["a", "b"]


def test_segments_are_no_result_where_all_rows_are_none() -> None:
    given = segments({"red": 400}, {"red": 300})
    for changes, instead in (({"crossed": 1}, Conclusion.ERROR), ({"errors": 400}, Conclusion.INCONCLUSIVE)):
        bad = observed(OLD, NEW, **changes)
        bad = replace(
            bad,
            control=replace(bad.control, segments=given.control.segments),
            treatment=replace(bad.treatment, segments=given.treatment.segments),
        )
        found = read(plan(segment_limit=1, effect=5.0), bad, POLICY)
        assert [one.conclusion for one in (found.overall, *found.segments)] == [instead] * 2
    assert read(plan(segment_limit=1, effect=5.0), given, POLICY).segments[0].conclusion is Conclusion.ALIKE


def test_a_readout_as_json() -> None:
    found = read(plan(), segments({"red": 400}, {"red": 300}), POLICY)
    data = found.to_json()
    assert data.keys() == {"conclusion", "overall", "segments", "outcome", "reasons"}
    assert (data["conclusion"], data["outcome"]) == ("better", "pass")
    assert data["overall"]["entities"] == (2_000, 2_000)
    assert [(one["name"], one["value"], one["entities"]) for one in data["segments"]] == [("colour", "red", (400, 300))]
    assert data["reasons"] == found.verdict.to_json()["reasons"]


N = 1024
UNEVEN = Sums.of(np.column_stack([np.ones(N), 1 + np.tile([-1.0, 1.0], N // 2), np.zeros(N), np.zeros(N)]))
"""Entities of a mean of 1; held against arms that do not vary, so that the interval lies where it is put, to the last bit."""


def level(mean: float) -> Sums:
    return Sums(N, N * np.array([1.0, mean, 0, 0]), N * np.outer([1.0, mean, 0, 0], [1.0, mean, 0, 0]))


def concluded(mean: float, alpha: float = 0.05, **changes: Any) -> Conclusion:
    return compare(plan(**changes), UNEVEN, level(mean), alpha=alpha, tightest_at=2 * N).conclusion


def half(alpha: float, factor: float = 1.0) -> float:
    return effect(UNEVEN, level(factor), cuped=False).sequence(alpha, 2 * N, factor).high


def where(factor: float, sign: int) -> tuple[float, float]:
    """A level and a mean at which an end of the sequence of `treatment - factor * control` is nought to the last bit."""
    for alpha in np.linspace(0.04, 0.06, 500):
        mean = factor + sign * half(alpha, factor)
        if mean - factor == sign * half(alpha, factor):
            return float(alpha), mean
    raise AssertionError("no level puts an end at nought")


def test_a_difference_counts_once_its_interval_lies_beyond_nought() -> None:
    alpha, mean = where(1.0, 1)
    assert concluded(mean, alpha, effect=0.001) is Conclusion.INCONCLUSIVE
    assert concluded(mean + 1e-9, alpha, effect=0.001) is Conclusion.WORSE
    assert concluded(mean + 1e-9, alpha, effect=0.001, higher_is_better=True) is Conclusion.BETTER
    alpha, mean = where(1.0, -1)
    assert concluded(mean, alpha, effect=0.001) is Conclusion.INCONCLUSIVE
    assert concluded(mean - 1e-9, alpha, effect=0.001) is Conclusion.BETTER
    assert concluded(mean - 1e-9, alpha, effect=0.001, higher_is_better=True) is Conclusion.WORSE


@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_alike_lies_within_what_matters_on_both_sides(sign: int) -> None:
    mean = 1 + sign * 0.015625
    high = abs(sign * 0.015625) + half(0.05)
    assert concluded(mean, effect=high, relative=False) is Conclusion.INCONCLUSIVE
    assert concluded(mean, effect=high + 1e-9, relative=False) is Conclusion.ALIKE


@pytest.mark.parametrize(("factor", "sign"), [(1.125, -1), (0.875, 1)])
def test_what_is_alike_as_a_share_lies_within_both_shares_of_the_control(factor: float, sign: int) -> None:
    alpha, mean = where(factor, sign)
    assert concluded(mean, alpha, effect=0.125) is Conclusion.INCONCLUSIVE
    assert concluded(mean + sign * 1e-9, alpha, effect=0.125) is Conclusion.ALIKE
