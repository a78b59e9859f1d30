from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.statistics.bets import STAKES, bounded_mean, log_evidence, mean_at_least
from everloop.decide.statistics.intervals import Range, mean_sequence

VALUES = np.array([-3.0, -1.0, 0.0, 1.0, 3.0])
PAIRED = [0.01, 0.04, 0.9, 0.04, 0.01]
"""The chances of `VALUES` as differences of two good models' costs: most rows are decided alike."""

counted = st.lists(st.integers(0, 200), min_size=5, max_size=5).map(lambda found: np.array(found, dtype=float))


def counts(rows):
    return np.array([(rows == value).sum() for value in VALUES], dtype=float)


def test_log_evidence_is_the_capital_of_a_gambler_who_bets_row_by_row():
    rows = np.random.default_rng(1).choice(VALUES, 300, p=PAIRED)
    capital = np.ones(len(STAKES))
    for row in rows:
        capital *= 1 + STAKES / (0.2 + 3) * (row - 0.2)
    assert log_evidence(VALUES, counts(rows), 0.2, -3) == pytest.approx(math.log(capital.mean()), abs=1e-9)


@pytest.mark.parametrize(
    ("mean", "log_capital"), [(0.3, 21.095693524567917), (0.5, 5.157429012501844), (0.65, 0.5277459694703608)]
)
def test_log_evidence_equals_confseq(mean, log_capital):
    # `diversified_betting_mart` of confseq 0.0.11 (by the papers' authors) on 50 rows, with the same stakes.
    values, found = np.array([0.0, 0.5, 1.0]), np.array([10.0, 5.0, 35.0])
    assert log_evidence(values, found, mean, 0.0) == pytest.approx(log_capital, abs=1e-6)


@given(counted, counted, st.floats(-2.9, 2.9), st.floats(0.001, 0.1))
def test_more_of_the_highest_value_never_lowers_the_bound(before, more, mean, alpha):
    after = before + np.array([0, 0, 0, 0, more.sum()])
    assert log_evidence(VALUES, after, mean, -3) >= log_evidence(VALUES, before, mean, -3) - 1e-9
    assert mean_at_least(VALUES, after, -3, alpha) >= mean_at_least(VALUES, before, -3, alpha) - 1e-6


@given(counted, st.floats(0.001, 0.2))
def test_the_interval_holds_the_average_and_keeps_within_the_bounds(found, alpha):
    low, high = bounded_mean(VALUES, found, Range(-3, 3), alpha)
    assert -3 <= low <= high <= 3
    if found.sum():
        assert low - 1e-6 <= VALUES @ found / found.sum() <= high + 1e-6


def test_nothing_seen_shows_nothing():
    assert bounded_mean(VALUES, np.zeros(5), Range(-3, 3), 0.05) == (-3, 3)
    assert log_evidence(VALUES, np.zeros(5), -3.5, -3) == 0


def test_a_claim_below_all_that_can_be_is_refuted_by_any_higher_row():
    assert log_evidence(VALUES, np.array([0.0, 0, 0, 0, 1]), -3.0, -3.0) == math.inf
    assert log_evidence(VALUES, np.array([1.0, 0, 0, 0, 0]), -3.0, -3.0) == -math.inf


def test_the_bound_is_passed_at_any_of_many_looks_as_seldom_as_promised():
    draws = np.random.default_rng(2).choice(VALUES, size=(200, 2000), p=PAIRED)
    refuted = sum(
        any(log_evidence(VALUES, counts(run[:n]), 0.0, -3) >= math.log(10) for n in range(50, 2001, 50)) for run in draws
    )
    assert refuted / 200 < 0.1


def test_rare_large_losses_are_held_where_the_asymptotic_interval_is_sure_too_soon():
    # Mean 0: many small savings, and a loss of 3 in one of 300 rows, which most short runs have not met yet.
    values, chances = np.array([-0.01, 3.0]), np.array([1 - 0.01 / 3.01, 0.01 / 3.01])
    draws = np.random.default_rng(3).choice(values, size=(400, 400), p=chances)
    wrong = {"bets": 0, "asymptotic": 0}
    for run in draws:
        found = np.array([(run == value).sum() for value in values], dtype=float)
        wrong["bets"] += bounded_mean(values, found, Range(-0.01, 3), 0.05).high < 0
        wrong["asymptotic"] += mean_sequence(run.mean(), run.var(ddof=1), 400, 0.05, 400).high < 0
    assert wrong["bets"] / 400 < 0.05 < wrong["asymptotic"] / 400


def test_it_costs_little_more_rows_than_the_asymptotic_interval():
    rows = np.random.default_rng(4).choice(VALUES, 20_000, p=PAIRED)
    exact = bounded_mean(VALUES, counts(rows), Range(-3, 3), 0.05)
    asymptotic = mean_sequence(rows.mean(), rows.var(), 20_000, 0.05, 8_000)
    assert (exact.high - exact.low) / (asymptotic.high - asymptotic.low) == pytest.approx(1, abs=0.1)


def test_each_side_of_the_interval_has_half_of_alpha():
    found = np.array([3.0, 20.0, 400.0, 60.0, 9.0])
    high = -mean_at_least(-VALUES, found, -4.0, 0.025)
    assert bounded_mean(VALUES, found, Range(-3.5, 4.0), 0.05) == (mean_at_least(VALUES, found, -3.5, 0.025), high)


def test_the_bound_is_where_the_evidence_reaches_alpha():
    found = np.array([3.0, 20.0, 400.0, 60.0, 9.0])
    low = mean_at_least(VALUES, found, -3, 0.05)
    assert -3 < low < VALUES @ found / found.sum()
    assert log_evidence(VALUES, found, low, -3) == pytest.approx(math.log(20), abs=1e-9)


def test_what_lies_within_a_billionth_of_the_bound_is_not_told_from_it():
    rows = np.array([1000.0])
    assert mean_at_least(np.array([0.9e-9]), rows, 0.0, 0.05) == 0.0
    assert 1e-9 < mean_at_least(np.array([1.5e-9]), rows, 0.0, 0.05) < 1.5e-9
    assert mean_at_least(np.array([-1e6 + 5e-4]), rows, -1e6, 0.05) == -1e6
    assert -1e6 + 1e-3 < mean_at_least(np.array([-1e6 + 2e-3]), rows, -1e6, 0.05) < -1e6 + 2e-3


def test_evidence_just_short_of_alpha_refutes_nothing():
    one, rows = np.array([3.0]), np.array([1.0])
    most = log_evidence(one, rows, -3 + 3e-9, -3)
    assert mean_at_least(one, rows, -3, math.exp(-most - 0.5)) == -3
    assert mean_at_least(one, rows, -3, math.exp(-most + 0.5)) > -3
