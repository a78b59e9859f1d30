"""What the verdict on a recalibration says: its sentences and numbers, worked by hand on rows without chance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from everloop.decide.policy import CostMatrix, RecalibrationPolicy
from everloop.decide.release.prequential import Forecasts, judge
from everloop.decide.verdict import Outcome, Reason

COST = CostMatrix(false_positive=1, false_negative=3)
POLICY = RecalibrationPolicy(minimum_labels=8, minimum_blocks=4)
LABELS = np.tile([True, False], 4)
ASKED = np.datetime64("2013-04-01", "us") + np.repeat(np.arange(4), 2) * np.timedelta64(1, "D")


def reasons(recalibrated: float, served: float, trained: float, policy: RecalibrationPolicy = POLICY) -> dict[str, Reason]:
    """Of four days with one late flight each and one that is not, all with the same scores."""
    found = Forecasts(LABELS, *(np.full(8, score) for score in (recalibrated, served, trained)), ASKED)
    return {reason.check: reason for reason in judge(found, COST.threshold, COST, policy).reasons}


def log_loss(score: float) -> float:
    return -(math.log(score) + math.log(1 - score)) / 2


def test_the_labels_are_told_with_what_the_policy_asks_for() -> None:
    found = reasons(0.5, 0.5, 0.5)["recalibration.labels"]
    assert found.text == "8 labels of 4 blocks of time to judge on, at least 8 of 4 wanted"
    assert found.numbers == {"rows": 8, "blocks": 4, "minimum_rows": 8, "minimum_blocks": 4}


def test_log_loss_is_told_against_what_was_served() -> None:
    found = reasons(0.5, 0.2, 0.3)["recalibration.log_loss"]
    better = log_loss(0.5) - log_loss(0.2)
    assert found.numbers["value"] == pytest.approx(better)
    assert found.numbers["other"] == pytest.approx(log_loss(0.2))
    assert found.numbers["limit"] == pytest.approx(0.02 * log_loss(0.2))
    assert found.text.startswith(f"log loss minus that of what was served {better:.4f} [")
    assert found.text.endswith(f"at most {0.02 * log_loss(0.2):.4f} wanted (2%)")


def test_log_loss_is_told_against_no_recalibration() -> None:
    found = reasons(0.5, 0.2, 0.3)["recalibration.trained"]
    assert found.numbers["value"] == pytest.approx(log_loss(0.5) - log_loss(0.3))
    assert found.numbers["other"] == pytest.approx(log_loss(0.3))
    assert found.numbers["limit"] == 0.0
    assert found.text.startswith(f"log loss minus that of no recalibration {log_loss(0.5) - log_loss(0.3):.4f} [")
    assert found.text.endswith(", not shown to be above 0.0000")


def test_cost_is_told_against_what_was_served() -> None:
    """Served, every row is an alarm: 1 for each that is not late. Recalibrated none is: 3 for each that is."""
    found = reasons(0.2, 0.3, 0.3)["recalibration.cost"]
    assert found.numbers["value"] == pytest.approx(1.5 - 0.5)
    assert found.numbers["other"] == pytest.approx(0.5)
    assert found.numbers["limit"] == pytest.approx(0.05 * 0.5)
    assert found.text.startswith("cost per row minus the served 1.0000 [")
    assert found.text.endswith(", not shown to be above 0.0250")


def test_what_is_shown_to_be_worse_is_told_as_shown() -> None:
    rng = np.random.default_rng(4)
    asked = np.datetime64("2013-04-01", "us") + np.repeat(np.arange(30), 50) * np.timedelta64(1, "D")
    labels = rng.random(1500) < 0.4
    found = Forecasts(labels, np.full(1500, 0.1), np.full(1500, 0.4), np.full(1500, 0.4), asked)
    for reason in judge(found, COST.threshold, COST, RecalibrationPolicy()).reasons[2:]:
        assert reason.outcome is Outcome.FAIL
        assert f"], shown to be above {reason.numbers['limit']:.4f}" in reason.text


def test_a_score_at_the_threshold_is_an_alarm() -> None:
    numbers = reasons(COST.threshold, COST.threshold, 0.3)["recalibration.cost"].numbers
    assert (numbers["value"], numbers["other"]) == (0.0, 0.5)


def test_what_lies_right_on_the_limit_is_not_shown_to_be_above() -> None:
    assert reasons(0.3, 0.3, 0.3)["recalibration.trained"].outcome is Outcome.PASS


def test_a_sure_score_that_is_wrong_costs_much_and_not_without_end() -> None:
    worst = (-math.log(1e-15) - math.log(1e-15)) / 2
    sure = Forecasts(LABELS, np.full(8, 0.5), np.where(LABELS, 0.0, 1.0), np.full(8, 0.5), ASKED)
    numbers = judge(sure, COST.threshold, COST, POLICY).reasons[1].numbers
    assert numbers["other"] == pytest.approx(worst, rel=1e-2)
    right = Forecasts(LABELS, np.full(8, 0.5), np.where(LABELS, 1.0, 0.0), np.full(8, 0.5), ASKED)
    assert judge(right, COST.threshold, COST, POLICY).reasons[1].numbers["other"] == pytest.approx(0.0, abs=1e-14)


def test_without_a_label_the_intervals_have_no_end() -> None:
    nothing = np.empty(0)
    found = judge(
        Forecasts(nothing.astype(bool), nothing, nothing, nothing, nothing.astype("datetime64[us]")), 0.25, COST, POLICY
    ).reasons
    for reason in found[1:]:
        assert {name: reason.numbers[name] for name in ("value", "low", "high", "rows", "other")} == {
            "value": 0.0, "low": -math.inf, "high": math.inf, "rows": 0, "other": 0.0,
        }  # fmt: skip


def test_intervals_count_blocks_at_the_policys_confidence() -> None:
    """Days that differ: a wider level is a wider interval, and longer blocks are fewer units."""
    rng = np.random.default_rng(4)
    asked = np.datetime64("2013-04-01", "us") + np.repeat(np.arange(12), 20) * np.timedelta64(1, "D")
    labels = rng.random(240) < 0.3
    found = Forecasts(labels, np.full(240, 0.3), np.full(240, 0.2), np.full(240, 0.25), asked)
    told = {level: judge(found, 0.25, COST, RecalibrationPolicy(confidence=level)).reasons[1].numbers for level in (0.8, 0.95)}
    assert told[0.95]["high"] - told[0.95]["low"] > told[0.8]["high"] - told[0.8]["low"]
    assert told[0.8]["units"] == 12
