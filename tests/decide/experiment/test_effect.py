"""Sums and effects: equal to tea-tasting's at a fixed horizon, whatever the order of the batches; valid at every look."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import tea_tasting
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from decide.experiment.worlds import Floats, arm_of
from everloop.decide.experiment.effect import effect
from everloop.decide.experiment.sums import Sums
from everloop.decide.statistics.intervals import mean_sequence


def entities(count: int, seed: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """What entities of one to five rows add up to, some rows without a covariate; and which of them are treated."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(1, 6, count).astype(float)
    covered = rng.binomial(rows.astype(int), 0.6).astype(float)
    covariate = covered * rng.normal(1, 0.4, count)
    return np.column_stack([rows, rows * rng.normal(1, 0.3, count) + 0.5 * covariate, covariate, covered]), rng.random(
        count
    ) < 0.3


def fixed(found: object, confidence: float = 0.95) -> tuple[float, float, float]:
    half = norm.ppf((1 + confidence) / 2) * found.variance**0.5
    return found.difference, found.difference - half, found.difference + half


def theirs(metric: object, values: Floats, treated: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    names = ("rows", "metric", "covariate", "covered")
    frame = pd.DataFrame(values, columns=names).assign(variant=treated.astype(int))
    found = tea_tasting.Experiment({"m": metric}).analyze(frame)["m"]
    return found.effect_size, found.effect_size_ci_lower, found.effect_size_ci_upper


def test_a_mean_over_rows_of_assigned_entities_with_cuped_equals_tea_tasting() -> None:
    values, treated = entities(3_000, 1)
    ours = effect(Sums.of(values[~treated]), Sums.of(values[treated]), cuped=True)
    metric = tea_tasting.RatioOfMeans("metric", "rows", numer_covariate="covariate", denom_covariate="covered", use_t=False)
    assert fixed(ours) == pytest.approx(theirs(metric, values, treated), abs=1e-6)
    assert ours.explained > 0.05


def test_entities_of_one_row_each_with_cuped_equal_tea_tastings_mean() -> None:
    values, treated = entities(2_000, 2)
    values[:, [0, 3]] = 1.0
    ours = effect(Sums.of(values[~treated]), Sums.of(values[treated]), cuped=True)
    metric = tea_tasting.Mean("metric", covariate="covariate", use_t=False)
    assert fixed(ours) == pytest.approx(theirs(metric, values, treated), abs=1e-6)


def test_without_cuped_the_effect_is_that_of_plain_means() -> None:
    values, treated = entities(500, 3)
    ours = effect(Sums.of(values[~treated]), Sums.of(values[treated]), cuped=False)
    metric = tea_tasting.RatioOfMeans("metric", "rows", use_t=False)
    assert fixed(ours) == pytest.approx(theirs(metric, values, treated), abs=1e-6)
    assert ours.theta == ours.explained == 0


@given(st.integers(0, 1_000), st.permutations(range(6)))
@settings(max_examples=25, deadline=None)
def test_the_order_of_batches_does_not_matter(seed: int, order: list[int]) -> None:
    values, _ = entities(60, seed)
    whole = Sums.of(values)
    merged = sum((Sums.of(values[i::6]) for i in order), Sums())
    assert merged.entities == whole.entities
    assert merged.spread == pytest.approx(whole.spread, rel=1e-9, abs=1e-12)


def test_rows_of_one_entity_are_no_independent_evidence() -> None:
    once = arm_of(np.random.default_rng(4).normal(1, 1, 400))
    repeated = Sums(once.entities, 10 * once.sums, 100 * once.products)
    plain, dependent = effect(once, once, cuped=False), effect(repeated, repeated, cuped=False)
    assert dependent.variance == pytest.approx(plain.variance)


@pytest.mark.parametrize("count", [0, 1])
def test_without_two_entities_of_each_arm_there_is_no_effect(count: int) -> None:
    assert effect(arm_of(np.ones(count)), arm_of(np.ones(100)), cuped=True) is None
    assert effect(arm_of(np.ones(100)), arm_of(np.ones(count)), cuped=True) is None


def test_a_relative_margin_widens_with_what_is_known_of_the_control() -> None:
    rng = np.random.default_rng(5)
    found = effect(arm_of(rng.normal(1, 1, 900)), arm_of(rng.normal(1, 1, 900)), cuped=False)
    plain, scaled = found.sequence(0.05, 1_800), found.sequence(0.05, 1_800, 1.5)
    assert scaled.high - scaled.low > plain.high - plain.low
    assert (scaled.low + scaled.high) / 2 == pytest.approx(found.treatment.value - 1.5 * found.control.value)


# Rows with a metric, their metric, the covariate and the rows that have one, by entity.
OLD = np.array([[1, 2, 3, 1], [2, 1, 5, 2], [4, 9, 2, 1]], dtype=float)
NEW = np.array([[1, 0, 1, 1], [3, 7, 8, 3], [1, 1, 2, 1], [2, 5, 4, 2]], dtype=float)


def part(values: Floats, numerator: int, denominator: int) -> Floats:
    above, below = values[:, numerator], values[:, denominator]
    return (above - above.sum() / below.sum() * below) / below.mean()


def test_an_effect_by_hand() -> None:
    found = effect(Sums.of(OLD), Sums.of(NEW), cuped=True)
    both = np.vstack([OLD, NEW])
    covariance = np.cov(part(both, 1, 0), part(both, 2, 3))
    theta = covariance[0, 1] / covariance[1, 1]
    centre = both[:, 2].sum() / both[:, 3].sum()
    assert (found.rows, found.theta) == (14, pytest.approx(theta))
    plain = adjusted = 0.0
    for side, values in ((found.control, OLD), (found.treatment, NEW)):
        mean, covariate = values[:, 1].sum() / values[:, 0].sum(), values[:, 2].sum() / values[:, 3].sum()
        assert side.value == pytest.approx(mean - theta * (covariate - centre))
        variance = (part(values, 1, 0) - theta * part(values, 2, 3)).var(ddof=1) / len(values)
        assert side.variance == pytest.approx(variance)
        plain, adjusted = plain + part(values, 1, 0).var(ddof=1) / len(values), adjusted + variance
    assert found.explained == pytest.approx(1 - adjusted / plain)
    assert found.difference == found.treatment.value - found.control.value
    assert found.variance == found.treatment.variance + found.control.variance


def test_a_covariate_of_one_arm_only_or_that_never_varies_changes_nothing() -> None:
    plain = effect(Sums.of(OLD), Sums.of(NEW), cuped=False)
    assert (plain.control.value, plain.treatment.value) == (12 / 7, 13 / 7)
    flat = [1, 1, 0, 1]
    for old, new in ((OLD * [1, 1, 0, 0], NEW), (OLD, NEW * [1, 1, 0, 0]), (OLD * flat, NEW * flat)):
        found = effect(Sums.of(old), Sums.of(new), cuped=True)
        assert (found.theta, found.explained) == (0, 0)
        assert (found.control, found.treatment) == (plain.control, plain.treatment)
        assert found == plain


def test_two_entities_of_each_arm_are_enough_and_rows_are_needed_in_both() -> None:
    old, new, nothing = Sums.of(OLD[:2]), Sums.of(NEW[:2]), Sums.of(np.zeros((2, 4)))
    assert effect(old, new, cuped=True).rows == 7
    assert effect(old, nothing, cuped=True) is None
    assert effect(nothing, new, cuped=True) is None


def test_what_does_not_vary_explains_nothing() -> None:
    still = arm_of(np.full(20, 2.0))
    found = effect(still, still, cuped=True)
    assert (found.difference, found.variance, found.explained) == (0, 0, 0)


def test_a_covariate_that_is_the_metric_itself_explains_all_of_it() -> None:
    rng = np.random.default_rng(8)
    values = np.column_stack([np.ones(50), metric := rng.normal(0.1, 1, 50), metric, np.ones(50)])
    found = effect(Sums.of(values), Sums.of(values), cuped=True)
    assert found.variance == pytest.approx(0, abs=1e-12)
    assert (found.variance >= 0, found.theta, found.explained) == (True, pytest.approx(1), pytest.approx(1))


def test_the_sequence_is_that_of_a_mean_with_the_variance_of_the_difference() -> None:
    found = effect(Sums.of(OLD), Sums.of(NEW), cuped=False)
    old, new = found.control, found.treatment
    plain = mean_sequence(new.value - old.value, 14 * (new.variance + old.variance), 14, 0.1, 200)
    scaled = mean_sequence(new.value - 1.5 * old.value, 14 * (new.variance + 2.25 * old.variance), 14, 0.1, 200)
    assert found.sequence(0.1, 200) == pytest.approx(plain)
    assert found.sequence(0.1, 200, 1.5) == pytest.approx(scaled)
