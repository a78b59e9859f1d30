from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from everloop.decide.statistics.clusters import (
    NOTHING_KNOWN,
    Clusters,
    Likeness,
    blocks,
    cautious_effects,
    clustered,
    clustered_rate,
    correlation,
)
from everloop.decide.statistics.intervals import Range, wilson

UNITS = st.lists(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=1, max_size=30)


def drawn(units: int, rows: int, alike: float, seed: int, rate: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Hits and units of a beta-binomial with this intraclass correlation."""
    random = np.random.default_rng(seed)
    chances = random.beta(rate * (1 / alike - 1), (1 - rate) * (1 / alike - 1), units) if alike else np.full(units, rate)
    unit = np.repeat(np.arange(units), rows)
    return random.uniform(size=units * rows) < chances[unit], unit


@given(UNITS, UNITS)
def test_clusters_add_up_to_those_of_all_their_units(first, second) -> None:
    one, two = (Clusters.of(*zip(*units, strict=True)) for units in (first, second))
    assert one + two == Clusters.of(*zip(*first, *second, strict=True))


@given(UNITS)
def test_clusters_of_rows_are_those_of_their_units(units) -> None:
    code = np.repeat(np.arange(len(units)) * 7, [n for n, _ in units])
    hits = np.concatenate([np.arange(n) < x for n, x in units])
    mixed = np.random.default_rng(1).permutation(len(code))
    assert Clusters.counted(code[mixed], hits[mixed]) == Clusters.of(*zip(*units, strict=True))


def test_no_row_is_no_cluster() -> None:
    assert Clusters.counted(np.zeros(0, dtype=int), np.zeros(0, dtype=bool)) == Clusters()
    assert (Clusters().rate, Clusters().design_effect(0.5), Clusters().effective(0.5)) == (0.0, 1.0, (0.0, 0.0))


def test_counts_are_divided_by_the_design_effect() -> None:
    found = Clusters.of([10, 30], [2, 6])
    # A row sees (10 * 10 + 30 * 30) / 40 - 1 = 24 others of its unit on average.
    assert found.design_effect(0.5) == 13
    assert found.effective(0.5) == (8 / 13, 40 / 13)
    assert found.rate == 0.2


def test_counts_of_a_narrow_type_and_yes_or_no_are_numbers_like_others() -> None:
    narrow = Clusters.of(np.array([200, 100], dtype=np.uint8), np.array([100, 50], dtype=np.uint8))
    assert narrow == Clusters.of([200, 100], [100, 50])
    assert Clusters.of([1, 1, 1], [True, True, False]) == Clusters.independent(3, 2)


def test_two_units_are_enough_to_tell_how_units_differ() -> None:
    # Hits 1.5 above and below those of a rate of 0.55: a scatter of 9 with the degree of freedom, 4.95 of independent rows.
    found = Clusters.of([10, 10], [4, 7])
    alike = (9 - 4.95) / (0.2475 * 180)
    assert correlation([found]) == pytest.approx(alike)
    assert cautious_effects([found]) == pytest.approx([1 + 9 * alike])
    # Three rows are enough, of which two are one unit.
    assert correlation([Clusters.of([2, 1], [2, 0])]) == 1


@pytest.mark.parametrize("alike", [0.0, 0.05, 0.4])
def test_the_correlation_is_that_which_rows_were_drawn_with(alike: float) -> None:
    found = [correlation([Clusters.counted(*reversed(drawn(15, 20, alike, seed)))]) for seed in range(200)]
    assert np.mean(found) == pytest.approx(alike, abs=0.02 + 0.1 * alike)


def test_each_arm_is_held_against_its_own_rate_and_an_arm_of_one_unit_says_nothing() -> None:
    low, high = Clusters.of([10] * 40, [1] * 40), Clusters.of([10] * 40, [9] * 40)
    assert correlation([low, high]) == 0
    assert correlation([low + high]) > 0.6
    alike = Clusters.of([10, 10, 10, 10], [0, 10, 0, 10])
    assert correlation([alike, Clusters.of([500], [250])]) == correlation([alike]) == 1
    assert correlation([Clusters.of([500], [250])]) == correlation([]) == 0


def test_rows_that_are_all_alike_tell_nothing_of_how_units_differ() -> None:
    none, all_of_them = Clusters.of([10] * 5, [0] * 5), Clusters.of([10] * 5, [10] * 5)
    for arms in ([none], [all_of_them], [none, all_of_them], [Clusters.of([500], [250])], [Clusters()], []):
        assert (correlation(arms), correlation(arms, unknown=1.0)) == (0.0, 1.0)
    alone = Clusters.independent(50, 20)
    assert alone.effective(correlation([alone], unknown=1.0)) == (20, 50)
    assert correlation([Clusters.of([10] * 4, [5] * 4)], unknown=1.0) == 0.0


def test_one_unit_alone_is_worth_one_row() -> None:
    one, others = Clusters.of([40], [30]), Clusters.of([10] * 50, [2] * 50)
    assert cautious_effects([one]) == [40]
    assert cautious_effects([one, others]) == [40, 1]
    assert cautious_effects([one, Clusters()]) == [40, 1]


def test_units_that_are_all_alike_are_worth_a_row_each() -> None:
    failing, sound = Clusters.of([4] * 5, [4] * 5), Clusters.of([20] * 50, [0] * 50)
    assert cautious_effects([failing, sound]) == [4, 20]
    some = Clusters.of([20] * 50, [1] * 50)
    assert cautious_effects([failing, some]) == [1, 1]
    assert cautious_effects([Clusters.independent(9, 9), Clusters.independent(9, 0)]) == [1, 1]


def test_cautious_effects_are_the_design_effects_of_what_arms_have_in_common() -> None:
    arms = [Clusters.of([20] * 9, [0, 0, 8, 0, 4, 0, 0, 12, 0]), Clusters.of([5] * 30, [1] * 30)]
    alike = correlation(arms)
    assert 0 < alike < 1
    assert cautious_effects(arms) == [one.design_effect(alike) for one in arms]


def test_a_unit_with_a_fifth_of_the_rows_makes_all_rows_worth_less() -> None:
    """A thousand entities of eight rows each, and one of two thousand."""
    even, heavy = Clusters.of([8] * 1_000, [1] * 1_000), Clusters.of([2_000], [100])
    assert even.design_effect(0.1) == pytest.approx(1.7)
    assert (even + heavy).design_effect(0.1) == pytest.approx(1 + 0.1 * ((64_000 + 2_000**2) / 10_000 - 1))


def test_the_variance_of_a_rate_is_that_which_its_design_effect_says() -> None:
    """Units of very different size, of which one has a tenth of all rows; what two rows of a unit have in common is 0.2."""
    random, sizes = np.random.default_rng(5), np.repeat([1, 4, 20, 110], [300, 100, 15, 1])
    chances = random.beta(0.3 * 4, 0.7 * 4, (4_000, len(sizes)))
    rates = random.binomial(sizes, chances).sum(axis=1) / sizes.sum()
    effect = Clusters.of(sizes, 0 * sizes).design_effect(0.2)
    assert effect > 4
    assert rates.var() == pytest.approx(effect * 0.3 * 0.7 / sizes.sum(), rel=0.07)


def test_rows_that_are_each_a_unit_are_as_independent_rows() -> None:
    alone = Clusters.independent(400, 40)
    assert alone == Clusters.of(np.ones(400), np.repeat([1, 0], [40, 360]))
    assert correlation([alone]) == 0
    assert clustered_rate(alone, 0.95) == pytest.approx(wilson(40, 400), rel=5e-3)


def test_a_rates_interval_is_wilsons_of_what_the_rows_are_worth() -> None:
    found = Clusters.of([20] * 9, [0, 0, 8, 0, 4, 0, 0, 12, 0])
    alike = correlation([found])
    worth = (stats.norm.ppf(0.95) / stats.t.ppf(0.95, 8)) ** 2 / (1 + 19 * alike)
    assert alike > 0.2
    assert clustered_rate(found, 0.9) == pytest.approx(wilson(24 * worth, 180 * worth, 0.9))
    known = Likeness(0.05, 24)
    both = (alike * 8 + 0.05 * 24) / 32
    worth = (stats.norm.ppf(0.95) / stats.t.ppf(0.95, 32)) ** 2 / (1 + 19 * both)
    assert clustered_rate(found, 0.9, known) == pytest.approx(wilson(24 * worth, 180 * worth, 0.9))


def test_nothing_is_known_of_the_rate_of_units_from_one_unit_alone() -> None:
    one = Clusters.of([500], [50])
    assert clustered_rate(one, 0.95) == clustered_rate(Clusters(), 0.95) == Range(0.0, 1.0)
    low, high = clustered_rate(one, 0.95, Likeness(0.1, 30))
    assert 0 < low < wilson(50, 500).low < wilson(50, 500).high < high < 0.6


def test_ninety_percent_intervals_of_a_rate_hold_it_in_ninety_of_a_hundred() -> None:
    held = 0
    for seed in range(400):
        hits, unit = drawn(20, 50, 0.1, seed)
        low, high = clustered_rate(Clusters.counted(unit, hits), 0.9)
        held += low <= 0.3 <= high
    assert stats.binomtest(held, 400, 0.9).pvalue > 0.001


def test_a_mean_of_units_has_the_interval_of_the_sums_over_them() -> None:
    values, unit = np.array([1.0, 2.0, 6.0, 7.0, 4.0, 4.5]), np.array([3, 3, 8, 8, 5, 5])
    influence = (values - values.mean()) / 6
    found = clustered(values.mean(), influence, unit, 0.9)
    sums = np.array([influence[unit == k].sum() for k in (3, 5, 8)])
    half = stats.t.ppf(0.95, 2) * math.sqrt(1.5 * (sums @ sums))
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), values.mean() - half, values.mean() + half))
    assert (found.rows, found.units, found.freedom) == (6, 3, 2)


def test_units_that_balance_out_are_no_surer_than_independent_rows() -> None:
    influence, unit = np.array([1.0, -1.0] * 10), np.repeat(np.arange(10), 2)
    found = clustered(0.0, influence, unit, 0.9)
    assert found.high == pytest.approx(stats.t.ppf(0.95, 9) * math.sqrt(20 * 20 / 19))
    assert Likeness.of(influence, unit) == Likeness(0.0, 9)


def test_below_two_units_an_interval_has_no_end() -> None:
    found = clustered(0.5, np.array([0.1, -0.1]), np.array([4, 4]), 0.9)
    assert (found.low, found.high, found.units, found.freedom) == (-math.inf, math.inf, 1, 0)


@pytest.mark.parametrize("rows", [0, 1])
def test_below_two_rows_an_interval_has_no_end_whatever_other_units_have_shown(rows: int) -> None:
    found = clustered(0.5, np.zeros(rows), np.zeros(rows, dtype=np.intp), 0.9, Likeness(0.1, 30))
    assert (found.low, found.high, found.rows, found.units) == (-math.inf, math.inf, rows, rows)


def test_two_rows_of_two_units_have_the_variance_of_their_difference() -> None:
    found = clustered(0.0, np.array([1.0, -1.0]), np.array([0, 1]), 0.9)
    assert found.high == pytest.approx(2 * stats.t.ppf(0.95, 1))


def test_likeness_is_how_much_more_sums_over_units_vary() -> None:
    # Two rows a unit, equal within each: the sums vary twice as much, so the rows are the same row.
    influence, unit = np.repeat([1.0, -1.0, 2.0, -2.0], 2), np.repeat(np.arange(4), 2)
    assert Likeness.of(influence, unit).correlation == pytest.approx(2 * 4 / 3 * 7 / 8 - 1)
    assert Likeness.of(influence, unit).freedom == 3
    assert Likeness.of(influence[::2], unit[::2]) == Likeness(0.0, 3)
    assert Likeness.of(np.zeros(8), unit) == Likeness(0.0, 3)
    assert Likeness.of(influence[:2], unit[:2]) == Likeness(0.0, 0)
    # Of two units: sums of 2 and -2 with a degree of freedom, 16, beside four rows' 4 * 4 / 3.
    assert Likeness.of(influence[:4], unit[:4]) == Likeness(pytest.approx(16 / (16 / 3) - 1), 1)


def test_where_influence_is_measured_from_does_not_matter_to_units_of_one_size() -> None:
    influence, unit = np.repeat([1.0, -1.0, 2.0, -2.0], 3), np.repeat(np.arange(4), 3)
    assert Likeness.of(influence + 5, unit) == Likeness(pytest.approx(Likeness.of(influence, unit).correlation), 3)


@given(st.floats(0, 1), st.integers(0, 50), st.floats(0, 1), st.integers(0, 50))
def test_likenesses_are_pooled_by_their_degrees_of_freedom(one: float, few: int, two: float, many: int) -> None:
    found = Likeness(one, few) + Likeness(two, many)
    assert found == Likeness(two, many) + Likeness(one, few)
    assert found.freedom == few + many
    if few + many:
        assert found.correlation == pytest.approx((one * few + two * many) / (few + many))
    assert (Likeness(one, many) + NOTHING_KNOWN).correlation == pytest.approx(one if many else 0)


@pytest.mark.parametrize("windows", [1, 2, 7])
def test_few_units_are_judged_by_what_others_have_shown(windows: int) -> None:
    # Of a single unit the chance is not normally distributed, so a little of the promise is lost.
    held = 0
    for seed in range(400):
        hits, unit = drawn(30, 60, 0.08, seed)
        known = Likeness.of((hits - hits.mean()) / len(hits), unit)
        some, of = drawn(windows, 60, 0.08, 10_000 + seed)
        found = clustered(some.mean(), (some - some.mean()) / len(some), of, 0.9, known)
        assert found.freedom == 29 + windows - 1
        held += found.low <= 0.3 <= found.high
    assert 0.83 <= held / 400 <= 0.94


def test_blocks_begin_at_multiples_of_their_width_of_utc() -> None:
    moments = np.array(["2013-02-08T23:59", "2013-02-09T00:00", "2013-02-08T00:00", "2013-02-20T12:00"], dtype="datetime64[s]")
    assert blocks(moments).tolist() == [0, 1, 0, 2]
    assert blocks(moments, timedelta(hours=12)).tolist() == [1, 2, 0, 3]
    assert blocks(moments, timedelta(days=365)).tolist() == [0, 0, 0, 0]
    assert blocks(moments[:0]).tolist() == []
    assert blocks(moments).dtype == blocks(moments[:0]).dtype == np.intp


def test_a_block_before_1970_is_a_block_too() -> None:
    moments = np.array(["1969-12-31T23:00", "1970-01-01T01:00"], dtype="datetime64[us]")
    assert blocks(moments).tolist() == [0, 1]
