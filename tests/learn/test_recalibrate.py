from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from everloop.decide.policy import RecalibrationPolicy
from everloop.learn.recalibrate import NONE, Labelled, Recalibration, fit, moment, prequential, translated
from everloop.release import Calibrator

START = np.datetime64("2013-04-01", "us")
POLICY = RecalibrationPolicy()
DAY = np.timedelta64(1, "D")
ISOTONIC = Calibrator(x=(0.1, 0.3, 0.5, 0.9), y=(0.02, 0.1, 0.4, 0.8))


def world(
    intercept: float = 0.0, slope: float = 1.0, days: int = 30, a_day: int = 300, spread: float = 0.0, seed: int = 4
) -> Labelled:
    """Rows whose log odds are `intercept + slope * log odds of the score`, days apart by `spread`; labels known in an hour."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), a_day)
    odds = rng.normal(-1.1, 1, len(day))
    labels = rng.random(len(day)) < expit(intercept + slope * odds + rng.normal(0, spread, days)[day])
    asked = START + day * DAY + rng.integers(0, 20 * 3600, len(day)) * np.timedelta64(1, "s")
    return Labelled(expit(odds), labels, asked, asked + np.timedelta64(1, "h"))


def at(day: int) -> np.datetime64:
    return START + day * DAY


@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 1.0), (0.6, 1.0), (-0.4, 0.7), (0.2, 1.3)])
def test_the_fit_finds_what_scores_are_off_by(intercept: float, slope: float) -> None:
    policy = replace(POLICY, half_life=timedelta(days=30), intercept_spread=10, slope_spread=10)
    found = fit(world(intercept, slope, a_day=2_000), at(30), policy)
    assert found.intercept == pytest.approx(intercept, abs=0.05)
    assert found.slope == pytest.approx(slope, abs=0.05)
    assert (found.rows, found.blocks) == (60_000, 30)


def test_the_fit_is_that_of_plain_logistic_regression_where_nothing_is_weighed_nor_shrunk() -> None:
    from sklearn.linear_model import LogisticRegression

    rows = world(0.5, 0.8, days=10)
    policy = replace(POLICY, half_life=timedelta(days=36_500), intercept_spread=1e3, slope_spread=1e3)
    peer = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(rows.scores)[:, None], rows.labels)
    found = fit(rows, at(11), policy)
    assert found.intercept == pytest.approx(float(peer.intercept_[0]), abs=1e-3)
    assert found.slope == pytest.approx(float(peer.coef_[0, 0]), abs=1e-3)


def test_newer_labels_count_more() -> None:
    early, late = world(0.0, days=15), world(1.0, days=15, seed=5)
    rows = Labelled(*(np.concatenate([a, b]) for a, b in (
        (early.scores, late.scores), (early.labels, late.labels), (early.asked, late.asked + 15 * DAY),
        (early.known, late.known + 15 * DAY),
    )))  # fmt: skip
    quick, slow = (fit(rows, at(30), replace(POLICY, half_life=timedelta(days=days))).intercept for days in (2, 60))
    assert quick == pytest.approx(1.0, abs=0.15)
    assert slow < 0.8


def test_labels_that_are_not_known_yet_or_too_old_count_for_nothing() -> None:
    rows = world(days=60)
    found = fit(rows, at(45), POLICY)
    inside = (rows.known < at(45)) & (rows.asked >= at(45) - np.timedelta64(POLICY.window))
    assert found.rows == inside.sum()
    assert fit(rows[inside], at(45), POLICY).intercept == found.intercept
    late = Labelled(rows.scores, rows.labels, rows.asked, np.full(len(rows), at(45)))
    assert fit(late, at(45), POLICY).covariance is None


@pytest.mark.parametrize("changes", [{"minimum_labels": 9_001}, {"minimum_blocks": 31}])
def test_few_labels_or_days_leave_scores_as_they_are(changes: dict[str, int]) -> None:
    found = fit(world(1.0), at(30), replace(POLICY, **changes))
    assert (found.intercept, found.slope, found.covariance, found.rows, found.blocks) == (0.0, 1.0, None, 9_000, 30)


def test_few_labels_change_little_and_many_a_lot() -> None:
    policy = replace(POLICY, minimum_labels=50)
    few, free = (fit(world(1.0, days=5, a_day=10), at(5), each) for each in (policy, replace(policy, intercept_spread=100)))
    many = fit(world(1.0, days=5, a_day=2_000), at(5), policy)
    assert 0 < few.intercept < 0.8 * free.intercept
    assert many.intercept == pytest.approx(1.0, abs=0.1)


def test_days_that_move_together_change_less_and_are_told_less_surely() -> None:
    """With days apart by 0.6 the same rows are worth a few days."""
    policy = replace(POLICY, half_life=timedelta(days=30))
    alone, together = (fit(world(0.5, spread=spread, seed=8), at(30), policy) for spread in (0.0, 0.6))
    assert alone.covariance is not None
    assert together.covariance is not None
    assert together.covariance[0, 0] > 4 * alone.covariance[0, 0]


def test_the_interval_of_the_shift_holds_the_truth_as_often_as_it_says() -> None:
    """200 worlds in which days move together, and no prior to speak of: 90 % of 90 % intervals, give or take."""
    policy = replace(POLICY, half_life=timedelta(days=60), intercept_spread=100, slope_spread=100)
    held = 0
    for seed in range(200):
        found = fit(world(0.3, days=20, a_day=100, spread=0.4, seed=seed), at(20), policy)
        truth = Recalibration(0.3, 1.0)
        estimate = found.shift(0.25, 0.9, truth)
        held += estimate.low <= 0 <= estimate.high
    assert held / 200 == pytest.approx(0.9, abs=0.06)


def test_the_shift_is_what_the_serving_one_is_off_by_where_the_new_one_decides() -> None:
    found = Recalibration(0.5, 1.2, np.diag([0.04, 0.0]), 1_000, 11)
    estimate = found.shift(0.25, 0.9, Recalibration(0.1, 1.0))
    point = (logit(0.25) - 0.5) / 1.2
    assert estimate.value == pytest.approx(0.4 + 0.2 * point)
    assert estimate.high - estimate.value == pytest.approx(1.8125 * 0.2, rel=1e-3)  # Student's 95 % quantile, 10 degrees
    assert (estimate.rows, estimate.units, estimate.freedom) == (1_000, 11, 10)
    assert NONE.shift(0.25, 0.9, NONE).high == np.inf


def test_labels_that_are_all_alike_move_scores_as_far_as_the_prior_lets_them() -> None:
    rows = world(days=5)
    found = fit(replace(rows, labels=np.ones(len(rows), dtype=bool)), at(5), POLICY)
    assert found.intercept > 0
    assert np.isfinite([found.intercept, found.slope]).all()
    assert found.slope > 0


def test_scores_that_are_all_alike_say_nothing_of_the_slope() -> None:
    rows = world(0.5, days=10)
    found = fit(replace(rows, scores=np.full(len(rows), 0.3)), at(10), POLICY)
    assert np.isfinite([found.intercept, found.slope]).all()
    rate = rows.labels[rows.asked >= at(5)].mean()
    assert found.apply(np.array([0.3]))[0] == pytest.approx(rate, abs=0.05)


@given(st.floats(-3, 3), st.floats(0.01, 5), st.lists(st.floats(0.001, 0.999), min_size=2, max_size=30))
def test_the_order_of_scores_stays(intercept: float, slope: float, scores: list[float]) -> None:
    given_scores = np.array(sorted(scores))
    found = Recalibration(intercept, slope).apply(given_scores)
    assert (np.diff(found) >= 0).all()
    assert ((found > 0) & (found < 1)).all()


@given(st.floats(-2, 2), st.floats(0.3, 3))
def test_a_composed_calibrator_gives_the_recalibrated_scores(intercept: float, slope: float) -> None:
    found, raw = Recalibration(intercept, slope), np.linspace(0, 1, 500)
    made = found.compose(ISOTONIC)
    assert (np.diff(made.x) > 0).all()
    assert np.interp(raw, made.x, made.y) == pytest.approx(found.apply(np.interp(raw, ISOTONIC.x, ISOTONIC.y)), abs=2e-3)
    assert (made.x[0], made.x[-1]) == (ISOTONIC.x[0], ISOTONIC.x[-1])


def test_composing_with_nothing_leaves_the_curve() -> None:
    raw = np.linspace(0, 1, 200)
    made = NONE.compose(ISOTONIC)
    assert np.interp(raw, made.x, made.y) == pytest.approx(np.interp(raw, ISOTONIC.x, ISOTONIC.y), abs=1e-9)


@given(st.floats(-2, 2), st.floats(0.3, 3))
def test_scores_are_carried_from_one_calibrator_to_another_and_back(intercept: float, slope: float) -> None:
    scores, made = np.interp(np.linspace(0.1, 0.9, 50), ISOTONIC.x, ISOTONIC.y), Recalibration(intercept, slope).compose(ISOTONIC)
    there = translated(scores, ISOTONIC, made)
    assert there == pytest.approx(Recalibration(intercept, slope).apply(scores), abs=2e-3)
    assert translated(there, made, ISOTONIC) == pytest.approx(scores, abs=1e-6)
    assert translated(scores, ISOTONIC, ISOTONIC) is scores


def test_a_forecast_knows_only_what_was_known_when_its_day_began() -> None:
    """Changing every label that became known from a day's beginning on changes no forecast of that day."""
    rows = world(0.5, days=12)
    forecasts, policy = prequential(rows, POLICY), POLICY
    for day in (4, 8, 11):
        later = rows.known >= at(day)
        turned = replace(rows, labels=np.where(later, ~rows.labels, rows.labels))
        mine = (rows.asked >= at(day)) & (rows.asked < at(day + 1))
        assert (prequential(turned, policy)[mine] == forecasts[mine]).all()
        assert (forecasts[mine] == fit(rows, at(day), policy).apply(rows.scores[mine])).all()


def test_before_labels_are_enough_a_forecast_is_the_score() -> None:
    rows = world(0.5, days=6)
    early = rows.asked < at(3)
    forecasts = prequential(rows, POLICY)
    assert forecasts[early] == pytest.approx(rows.scores[early])
    assert not np.allclose(forecasts[~early], rows.scores[~early])


def test_forecasts_of_chosen_rows_are_those_of_all() -> None:
    rows, chosen = world(0.5, days=8), np.random.default_rng(1).random(8 * 300) < 0.1
    assert (prequential(rows, POLICY, chosen) == prequential(rows, POLICY)[chosen]).all()


def test_forecasting_beats_standing_still_when_the_world_moves() -> None:
    rng = np.random.default_rng(3)
    rows = world(days=60)
    day = ((rows.asked - START) // DAY).astype(int)
    odds = logit(rows.scores) + np.linspace(0, 1.5, 60)[day]
    moved = replace(rows, labels=rng.random(len(rows)) < expit(odds))
    recent = rows.asked >= at(30)

    def loss(scores: np.ndarray) -> float:
        return float(-np.log(np.where(moved.labels, scores, 1 - scores))[recent].mean())

    assert loss(prequential(moved, POLICY)) < loss(rows.scores) - 0.05


def test_a_moment_is_utc_without_a_zone() -> None:
    assert moment(datetime(2013, 4, 1, 6, tzinfo=UTC)) == np.datetime64("2013-04-01T06:00:00")
