"""Sizes: equal to statsmodels', and large enough for a sequence that is looked at often."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from decide.experiment.worlds import arm_of, costs, plan
from everloop.decide.experiment.design import (
    Past,
    chance,
    design,
    detectable,
    explained,
    fixed_boundary,
    proportion_effect,
    sequential_boundary,
    units,
)
from everloop.decide.experiment.effect import effect
from everloop.decide.experiment.sums import Sums
from everloop.decide.policy import ExperimentPlan, Metric
from everloop.decide.statistics.intervals import mean_sequence


def question(**changes: Any) -> ExperimentPlan:
    return plan(**({"metric": Metric.COST, "effect": 0.1} | changes))


def past(count: int = 2_000, **changes: Any) -> Past:
    return Past(**({"sums": arm_of(costs(count, 0.2, 1)), "requests": 2 * count, "days": 7.0} | changes))


@pytest.mark.parametrize(
    ("size", "weight", "alpha", "power"), [(0.1, 0.5, 0.05, 0.8), (0.02, 0.1, 0.01, 0.9), (0.5, 0.3, 0.05, 0.8)]
)
def test_the_size_for_one_look_equals_statsmodels(size: float, weight: float, alpha: float, power: float) -> None:
    ours = units(size, 1.0, question(weight=weight, alpha=alpha, power=power), fixed_boundary(alpha))
    theirs = NormalIndPower().solve_power(size, alpha=alpha, power=power, ratio=(1 - weight) / weight)
    assert ours * weight == pytest.approx(theirs, rel=1e-6)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
@settings(deadline=None)
def test_the_size_of_a_difference_of_shares_equals_statsmodels(first: float, second: float) -> None:
    assert proportion_effect(first, second) == pytest.approx(proportion_effectsize(first, second), abs=1e-12)


def test_a_share_is_sized_by_cohens_h() -> None:
    asked = question(metric=Metric.SELECTION_RATE, effect=0.02, relative=False)
    values = np.zeros(10_000)
    values[:1_000] = 1.0
    found = design(past(sums=arm_of(values)), asked)
    size = proportion_effectsize(0.12, 0.10)
    theirs = 2 * NormalIndPower().solve_power(size, alpha=0.05, power=0.8)
    # One row an entity: the design effect is that of a variance with a degree of freedom less.
    assert found.fixed_rows == pytest.approx(theirs * 10_000 / 9_999, abs=1)


@given(st.floats(0.001, 0.2), st.floats(0.5, 0.95))
@settings(max_examples=25, deadline=None)
def test_looking_at_any_time_costs_the_same_factor_whatever_the_effect(effect: float, power: float) -> None:
    asked = question(power=power)
    more = units(effect, 1.0, asked, sequential_boundary(0.05)) / units(effect, 1.0, asked, fixed_boundary(0.05))
    wanted = units(1.0, 1.0, asked, sequential_boundary(0.05)) / units(1.0, 1.0, asked, fixed_boundary(0.05))
    assert more == pytest.approx(wanted, rel=1e-6)
    assert 1.5 < more < 3.5


def test_the_detectable_effect_is_the_one_that_the_size_was_made_for() -> None:
    asked = question(weight=0.2)
    rows = units(0.07, 1.3, asked, sequential_boundary(0.05))
    assert detectable(rows, 1.3, asked) == pytest.approx(0.07, rel=1e-6)


def test_what_is_planned_for_has_the_power_that_was_asked_for() -> None:
    """Looked at ten times up to the planned number of rows, the effect is shown in the wanted share of experiments."""
    rng, asked = np.random.default_rng(6), question(power=0.8)
    half = math.ceil(units(0.3, 1.0, asked, sequential_boundary(0.05)) / 2)
    shown = 0
    for _ in range(300):
        old, new = rng.normal(0, 1, half), rng.normal(0.3, 1, half)
        arms = ((arm_of(old[:count]), arm_of(new[:count])) for count in range(half // 10, half + 1, half // 10))
        shown += any(effect(*pair, cuped=False).sequence(0.05, 2 * half).low > 0 for pair in arms)
    assert 0.76 < shown / 300 < 0.88


@given(st.floats(0.01, 0.5), st.floats(0.05, 0.5))
@settings(max_examples=25, deadline=None)
def test_a_smaller_effect_never_needs_fewer_rows(effect: float, weight: float) -> None:
    smaller, larger = (design(past(), question(effect=share * effect, weight=weight)) for share in (0.5, 1.0))
    assert smaller.rows > larger.rows
    assert smaller.days > larger.days


def test_labels_that_half_of_the_requests_get_double_the_requests() -> None:
    found = design(past(), question())
    assert found.requests == pytest.approx(2 * found.rows, abs=1)
    assert found.detectable[28] < found.detectable[14] < found.detectable[7]


def test_rows_that_go_together_need_more_of_them() -> None:
    sums = past().sums
    together = Sums(sums.entities, 4 * sums.sums, 16 * sums.products)
    found = design(past(sums=together), question())
    assert found.rows == pytest.approx(4 * design(past(), question()).rows, rel=0.01)


def test_what_cuped_explains_is_taken_off() -> None:
    rng = np.random.default_rng(7)
    covariate = rng.normal(0, 1, 4_000)
    values = np.column_stack([np.ones(4_000), covariate + rng.normal(0, 1, 4_000), covariate, np.ones(4_000)])
    assert explained(Sums.of(values)) == pytest.approx(0.5, abs=0.05)
    assert design(past(explained=0.5), question()).rows == pytest.approx(design(past(), question()).rows / 2, rel=0.01)


def test_a_log_that_shows_nothing_gives_no_design() -> None:
    assert design(past(sums=Sums()), question()) is None
    assert design(past(sums=arm_of(np.zeros(500))), question()) is None
    assert explained(Sums()) == 0


def test_a_larger_effect_is_seen_more_often() -> None:
    powers = [chance(errors, 1.96) for errors in (0.0, 1.0, 2.0, 4.0)]
    assert powers == sorted(powers)
    assert powers[0] == pytest.approx(0.05, abs=1e-4)
    assert chance(1.0, 1.5) == pytest.approx(norm.sf(0.5) + norm.sf(2.5))


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001])
def test_the_boundary_of_a_sequence_is_that_of_any_number_of_rows_where_it_is_tightest(alpha: float) -> None:
    for rows in (3, 50, 10_000):
        high = mean_sequence(0.0, 1.0, rows, alpha, rows).high * math.sqrt(rows)
        assert sequential_boundary(alpha) == pytest.approx(high, rel=1e-12)
    assert fixed_boundary(alpha) == pytest.approx(norm.isf(alpha / 2))


@pytest.mark.parametrize("asks", [sequential_boundary, fixed_boundary])
@pytest.mark.parametrize(("alpha", "power"), [(1e-12, 0.8), (0.3, 0.31), (0.05, 0.999_999)])
def test_a_size_of_any_level_and_power_is_solved_to_the_last_digits(
    asks: Callable[[float], float], alpha: float, power: float
) -> None:
    boundary = asks(alpha)
    rows = units(0.3, 2.0, question(alpha=alpha, power=power, weight=0.3), boundary)
    error = 2.0 * math.sqrt(1 / (0.3 * rows) + 1 / (0.7 * rows))
    assert chance(0.3 / error, boundary) == pytest.approx(power, rel=1e-9)


# Two rows of each of five entities; the mean is 2.
FIVE = Sums.of(np.array([[2, 2, 0, 0], [2, 6, 0, 0], [2, 0, 0, 0], [2, 10, 0, 0], [2, 2, 0, 0]], dtype=float))


def test_a_design_by_hand() -> None:
    asked = question(effect=0.1, alpha=0.05, power=0.8)
    found = design(Past(sums=FIVE, requests=25, days=2.0, explained=0.2), asked)
    # 0.8 of the variance is left, and half of the entities' rows are worth one: a row's variance is 0.8 * variance * 2.
    parts = np.array([2, 6, 0, 10, 2]) / 2
    deviation = math.sqrt(0.8 * parts.var(ddof=1) * 2)
    fixed = 2 * NormalIndPower().solve_power(0.2 / deviation, alpha=0.05, power=0.8)
    inflation = units(1, 1, asked, sequential_boundary(0.05)) / units(1, 1, asked, fixed_boundary(0.05))
    assert (found.mean, found.effect) == (2.0, pytest.approx(0.2))
    assert (found.fixed_rows, found.rows) == (math.ceil(fixed), math.ceil(fixed * inflation))
    assert found.inflation == pytest.approx(inflation)
    # 5 rows a day, and 2.5 requests for each row with a metric.
    assert found.days == pytest.approx(fixed * inflation / 5, rel=1e-6)
    assert found.requests == math.ceil(2.5 * fixed * inflation)
    assert found.detectable == {days: pytest.approx(detectable(5 * days, deviation, asked)) for days in (7, 14, 28)}
    absolute = design(Past(sums=FIVE, requests=25, days=2.0), question(effect=0.1, relative=False, alpha=0.05))
    assert absolute.effect == 0.1


def test_a_share_that_would_exceed_one_is_sized_as_a_mean() -> None:
    sums, sizes = arm_of(np.array([0.0, 1.0] * 50)), {}
    deviation = math.sqrt(25 / 99)
    for effect_size in (0.5, 0.51):
        asked = question(metric=Metric.SELECTION_RATE, effect=effect_size, relative=False)
        sizes[effect_size] = design(past(sums=sums), asked).fixed_rows
    cohen = 2 * NormalIndPower().solve_power(proportion_effectsize(1.0, 0.5), alpha=0.05, power=0.8) * 100 / 99
    plain = 2 * NormalIndPower().solve_power(0.51 / deviation, alpha=0.05, power=0.8)
    assert sizes == {0.5: math.ceil(cohen), 0.51: math.ceil(plain)}


def test_two_entities_are_enough_for_a_design_and_one_is_not() -> None:
    two = np.array([[1, 0, 0, 0], [1, 2, 0, 0]], dtype=float)
    assert design(past(sums=Sums.of(two)), question()).mean == 1
    assert design(past(explained=1.0), question()) is None
    with np.errstate(all="raise"):
        assert design(past(sums=Sums.of(two[1:])), question()) is None
        assert design(past(sums=Sums.of(np.zeros((5, 4)))), question()) is None
