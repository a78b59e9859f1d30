"""How many independent rows pairs of costs are worth: against sums by hand, against a loop over units, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student

from everloop.decide.release.evidence import ExpectedCosts, PairedCosts
from everloop.decide.release.evidence.units import UnitCosts, design_effect

NO_UNITS = UnitCosts()
costs = st.sampled_from([0.0, 1.0, 3.0])


@st.composite
def pairs_of_units(draw):
    rows = draw(st.lists(st.tuples(st.integers(0, 5), costs, costs), min_size=1, max_size=40))
    unit, new, old = np.array(rows).T
    return unit.astype(np.intp), new, old


def test_products_are_those_of_each_units_rows_and_costs():
    found = UnitCosts.of(np.array([7, 2, 7]), np.array([1.0, 3.0, 0.0]), np.array([0.0, 1.0, 3.0]))
    # Unit 2: one row, costs 3 and 1. Unit 7: two rows, costs 1 and 3.
    assert found == UnitCosts(units=2, products=(1 + 4, 3 + 2, 1 + 6, 9 + 1, 3 + 3, 1 + 9))
    assert UnitCosts.of(np.empty(0, dtype=np.intp), np.empty(0), np.empty(0)) == NO_UNITS
    assert NO_UNITS.scatter(1.0, 1.0) == 0.0


def test_units_of_two_batches_add_up_unit_by_unit():
    first, second = UnitCosts(units=2, products=(1, 2, 3, 4, 5, 6)), UnitCosts(units=3, products=(10, 20, 30, 40, 50, 60))
    assert first + second == UnitCosts(units=5, products=(11, 22, 33, 44, 55, 66))
    with pytest.raises(ValueError, match="zip"):
        first + UnitCosts(products=(1.0,))


@given(pairs_of_units(), st.floats(-2, 2), st.floats(0, 2))
def test_scatter_is_that_of_a_loop_over_units(rows, mean, factor):
    unit, new, old = rows
    sums = [sum(c - factor * b - mean for c, b in zip(new[unit == u], old[unit == u], strict=True)) for u in set(unit.tolist())]
    assert UnitCosts.of(unit, new, old).scatter(mean, factor) == pytest.approx(sum(s * s for s in sums), abs=1e-9)


def test_scatter_is_never_below_zero_whatever_rounding_does():
    assert UnitCosts(units=1, products=(1.0, 1.0, 0.0, 0.9, 0.0, 0.0)).scatter(1.0, 1.0) == 0.0


def of_rows(new, factor=1.0):
    """Mean and squared deviations of rows whose baseline costs nothing."""
    return float(new.mean()), float(((new - new.mean()) ** 2).sum()), factor


def effect(new, entity=None, block=None, alpha=0.01):
    mean, scatter, factor = of_rows(new)
    sums = [NO_UNITS if unit is None else UnitCosts.of(unit, new, np.zeros(len(new))) for unit in (entity, block)]
    return design_effect(*sums, len(new), scatter, mean, factor, alpha)


def test_rows_that_are_their_units_are_worth_themselves():
    new = np.random.default_rng(1).choice([0.0, 1.0, 3.0], 500)
    assert effect(new, entity=np.arange(500)) == pytest.approx(1.0)
    assert effect(new) == 1.0


def test_rows_that_repeat_their_unit_are_worth_one_of_them():
    new = np.repeat(np.random.default_rng(1).choice([0.0, 1.0, 3.0], 200), 5)
    # Both variances take a degree of freedom off: of 200 units, and of 1,000 rows.
    assert effect(new, entity=np.repeat(np.arange(200), 5)) == pytest.approx(5 * (200 / 199) / (1000 / 999))


def test_units_that_balance_each_other_are_never_worth_more_than_their_rows():
    new, pair, four = np.tile([0.0, 2.0], 50), np.repeat(np.arange(50), 2), np.repeat(np.arange(25), 4)
    assert effect(new, entity=pair) == effect(new, entity=pair, block=four) == 1.0


def test_the_larger_effect_of_entities_and_blocks_counts():
    new = np.repeat([0.0, 1.0, 0.0, 1.0], 10)
    day, alternating = np.repeat(np.arange(4), 10), np.arange(40) % 20
    by_day = 10 * (4 / 3) / (40 / 39)
    assert effect(new, entity=day) == pytest.approx(by_day)
    few = (student.ppf(0.99, 3) / norm.ppf(0.99)) ** 2
    assert effect(new, block=day) == pytest.approx(by_day * few)
    assert effect(new, entity=alternating, block=day) == pytest.approx(by_day * few)
    assert effect(new, entity=day, block=alternating) == pytest.approx(by_day)


@pytest.mark.parametrize(("blocks", "alpha"), [(2, 0.05), (5, 0.01), (50, 0.001)])
def test_few_blocks_are_trusted_as_little_as_students_quantile_says(blocks, alpha):
    new, day = np.repeat(np.arange(blocks) % 2, 40).astype(float), np.repeat(np.arange(blocks), 40)
    wider = effect(new, block=day, alpha=alpha) / effect(new, entity=day, alpha=alpha)
    assert wider == pytest.approx((student.ppf(1 - alpha, blocks - 1) / norm.ppf(1 - alpha)) ** 2)


def test_all_rows_in_one_block_tell_nothing_and_one_entity_alone_changes_nothing():
    new = np.random.default_rng(1).choice([0.0, 1.0], 50)
    one = np.zeros(50, dtype=np.intp)
    assert effect(new, block=one) == math.inf
    assert effect(np.ones(50), block=one) == math.inf
    assert effect(new[:1], block=one[:1]) == math.inf
    assert effect(new, entity=one) == 1.0


def test_one_row_and_rows_that_are_all_alike_have_no_effect():
    two = UnitCosts.of(np.array([0, 1]), np.ones(2), np.zeros(2))
    assert design_effect(two, two, 1, 5.0, 1.0, 1.0, 0.01) == 1.0
    assert design_effect(two, two, 2, 0.0, 9.0, 1.0, 0.01) == 1.0
    for alike in (np.ones(80), np.zeros(80)):
        assert effect(alike, np.arange(80) // 4, np.arange(80) // 20) == 1.0


def test_what_is_alike_is_told_from_the_size_of_costs_and_the_number_of_rows():
    """A hundred rows of 1,000 each, but for a ten-millionth of that."""
    half = np.repeat([0, 1], 50)
    assert effect(1_000 + 1e-4 * np.where(half, 1, -1), entity=half) == 1.0


@pytest.mark.parametrize("costs", [(0.3, 0.7), (0.7, 0.3), (1.1, 0.1), (0.1, 0.3)])
@pytest.mark.parametrize("factor", [1.0, 1.02, 1.1])
def test_what_rounding_leaves_of_rows_that_are_all_alike_is_no_scatter(costs, factor):
    """A mean of 700 times -0.4 is not quite -0.4: its deviations are not zero, and units that should have none have more."""
    rows = np.arange(700)
    for kind in (PairedCosts, ExpectedCosts):
        found = kind.of(*(np.full(700, cost) for cost in costs), entities=rows // 3, blocks=rows // 100)
        assert found.design_effect(factor, 0.01) == 1.0


def test_little_scatter_is_scatter():
    new = np.where(np.arange(400) // 20 % 2, 1.0, 1.0 + 1e-5)
    assert effect(new, entity=np.arange(400) // 20) > 15


def test_two_rows_in_two_units_are_enough():
    new, apart = np.array([0.0, 1.0]), np.array([0, 1])
    assert effect(new, entity=apart) == pytest.approx(1.0)
    assert effect(new, block=apart, alpha=0.1) == pytest.approx((student.ppf(0.9, 1) / norm.ppf(0.9)) ** 2)
    assert effect(np.repeat(new, 10), entity=np.repeat(apart, 10)) == pytest.approx(10 * 2 / (20 / 19))


def test_days_that_move_together_are_found_to_do_so():
    """40 days of 100 rows; a tenth of the variance is the day's: 1 + 99 / 10 times the variance of independent rows."""
    rng, day = np.random.default_rng(2), np.repeat(np.arange(40), 100)
    draws = (np.sqrt(0.1) * rng.normal(size=40)[day] + np.sqrt(0.9) * rng.normal(size=4_000) for _ in range(100))
    found = [effect(new, block=day) for new in draws]
    wider = (student.ppf(0.99, 39) / norm.ppf(0.99)) ** 2
    assert np.mean(found) / wider == pytest.approx(1 + 99 * 0.1, rel=0.05)
