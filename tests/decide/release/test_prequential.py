from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from everloop.decide.policy import CostMatrix, RecalibrationPolicy
from everloop.decide.release.prequential import Forecasts, judge
from everloop.decide.verdict import Outcome, Verdict

DAYS, A_DAY = 20, 200
COST = CostMatrix(false_positive=1, false_negative=3)
POLICY = RecalibrationPolicy()


def world(off: float = 0.0, days: int = DAYS, seed: int = 5) -> tuple[Forecasts, np.ndarray]:
    """Days with a level of their own; everything is forecast by the truth plus `off` in log odds, and the chances themselves."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), A_DAY)
    odds = rng.normal(-1.1, 1, len(day)) + rng.normal(0, 0.3, days)[day]
    labels = rng.random(len(day)) < expit(odds)
    asked = np.datetime64("2013-04-01", "us") + day * np.timedelta64(1, "D")
    return Forecasts(labels, expit(odds), expit(odds + off), expit(odds + off), asked), expit(odds)


def judged(found: Forecasts, policy: RecalibrationPolicy = POLICY) -> Verdict:
    return judge(found, COST.threshold, COST, policy)


def outcome(verdict: Verdict, check: str) -> Outcome:
    (found,) = [reason.outcome for reason in verdict.reasons if reason.check == f"recalibration.{check}"]
    return found


def test_forecasts_that_mend_what_was_served_pass() -> None:
    verdict = judged(world(off=0.8)[0])
    assert verdict.passed
    assert [reason.check.partition(".")[2] for reason in verdict.reasons] == ["labels", "log_loss", "trained", "cost"]


def test_the_same_forecasts_as_were_served_pass() -> None:
    assert judged(world()[0]).passed


def test_forecasts_that_are_worse_than_what_was_served_fail() -> None:
    found, truth = world()
    verdict = judged(Forecasts(found.labels, expit(np.log(truth / (1 - truth)) + 1.5), truth, found.trained, found.asked))
    assert verdict.outcome is Outcome.FAIL
    assert outcome(verdict, "log_loss") is Outcome.FAIL


def test_one_that_is_shown_to_forecast_worse_than_none_at_all_fails_though_the_served_was_as_bad() -> None:
    found, truth = world()
    off = expit(np.log(truth / (1 - truth)) + 0.8)
    verdict = judged(Forecasts(found.labels, off, off, truth, found.asked))
    assert (verdict.outcome, outcome(verdict, "trained"), outcome(verdict, "log_loss")) == (
        Outcome.FAIL,
        Outcome.FAIL,
        Outcome.PASS,
    )


def test_cost_that_is_shown_to_rise_fails_though_log_loss_is_better() -> None:
    found, truth = world()
    # What was served decides as well as can be and knows nothing else; the new one knows all but what lies above the threshold.
    new = np.where((truth >= 0.25) & (truth < 0.6), 0.2499, truth)
    old = np.where(truth >= 0.25, 0.3, 0.2)
    verdict = judged(Forecasts(found.labels, new, old, old, found.asked))
    assert (outcome(verdict, "log_loss"), outcome(verdict, "cost"), verdict.outcome) == (Outcome.PASS, Outcome.FAIL, Outcome.FAIL)


def test_what_days_cannot_show_is_inconclusive_though_rows_alone_would() -> None:
    """Half of the days one is right, half of the days the other: as many rows as one likes show nothing."""
    rng = np.random.default_rng(2)
    day = np.repeat(np.arange(6), 5_000)
    labels = rng.random(len(day)) < np.where(day % 2, 0.2, 0.4)
    asked = np.datetime64("2013-04-01", "us") + day * np.timedelta64(1, "D")
    new, old = np.full(len(day), 0.4), np.full(len(day), 0.2)
    verdict = judged(Forecasts(labels, new, old, old, asked))
    assert outcome(verdict, "log_loss") is Outcome.INCONCLUSIVE
    assert not verdict.passed


@pytest.mark.parametrize(("rows", "blocks"), [(DAYS * A_DAY + 1, 3), (100, DAYS + 1)])
def test_few_labels_or_days_are_inconclusive(rows: int, blocks: int) -> None:
    policy = RecalibrationPolicy(minimum_labels=rows, minimum_blocks=blocks)
    verdict = judged(world(off=0.8)[0], policy)
    assert (verdict.outcome, outcome(verdict, "labels")) == (Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE)
    assert verdict.because() == (
        f"{DAYS * A_DAY} labels of {DAYS} blocks of time to judge on, at least {rows} of {blocks} wanted"
    )


def test_just_enough_labels_and_days_are_enough() -> None:
    assert judged(world(off=0.8)[0], RecalibrationPolicy(minimum_labels=DAYS * A_DAY, minimum_blocks=DAYS)).passed


def test_no_label_at_all_never_passes() -> None:
    nothing = np.empty(0)
    found = Forecasts(nothing.astype(bool), nothing, nothing, nothing, nothing.astype("datetime64[us]"))
    assert judged(found).outcome is Outcome.INCONCLUSIVE


def test_the_margin_is_a_share_of_the_served_log_loss() -> None:
    found, truth = world()
    slightly = Forecasts(found.labels, expit(np.log(truth / (1 - truth)) + 0.25), truth, found.trained, found.asked)
    assert judged(slightly, RecalibrationPolicy(margin=0.2)).reasons[1].outcome is Outcome.PASS
    assert judged(slightly, RecalibrationPolicy(margin=0.001)).reasons[1].outcome is not Outcome.PASS
    numbers = judged(slightly, RecalibrationPolicy(margin=0.2)).reasons[1].numbers
    assert numbers["limit"] == pytest.approx(0.2 * numbers["other"])
    assert numbers["other"] == pytest.approx(-np.log(np.where(found.labels, truth, 1 - truth)).mean())
