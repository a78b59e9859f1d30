from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from everloop.decide.policy import CostMatrix, ExpectedLoss, FairnessPolicy, GatePolicy, TrainingPolicy
from everloop.decide.release.gate.sample_size import DISAGREE, Labels, auc_error, held_out, relative_error, warnings
from everloop.decide.statistics.compare import auc_difference

COST = CostMatrix(false_positive=1, false_negative=3)
SMALL = Labels(per_week=750, positive=0.25, groups={"sex": {"f": (300, 40), "m": (440, 148), "x": (10, 1)}})
PLENTY = Labels(per_week=2_000_000, positive=0.25)
FAIR = FairnessPolicy()


def told(
    labels: Labels = SMALL, gate: GatePolicy | None = None, training: TrainingPolicy | None = None, fairness=FAIR
) -> list[str]:
    return list(warnings(labels, gate or GatePolicy(), training or TrainingPolicy(), COST, fairness))


def test_few_labels_are_told_with_what_they_would_show_and_what_to_do() -> None:
    cost, auc = told()
    assert cost == (
        "about 750 labels a week, 25% of them positive: GatePolicy.cost_margin 2.0% takes about 72,000 rows (97 weeks), of which "
        "5,900 (8 weeks) are held out: widen it to 7.0%, hold out more (TrainingPolicy), or let "
        "GatePolicy(decide_by=ExpectedLoss()) decide"
    )
    assert "GatePolicy.auc_margin 0.005 takes about 49,000 rows (65 weeks)" in auc
    assert "widen it to 0.014," in auc


def test_the_wider_margin_that_is_told_is_not_warned_of() -> None:
    assert told(gate=GatePolicy(cost_margin=0.0703, auc_margin=0.0145)) == []
    assert len(told(gate=GatePolicy(cost_margin=0.069, auc_margin=0.0145))) == 1


def test_where_expected_loss_decides_its_own_wants_are_told() -> None:
    by = GatePolicy(decide_by=ExpectedLoss())
    assert told(gate=by) == []
    (few,) = told(replace(SMALL, per_week=100), by)
    assert few.startswith("about 100 labels a week, 25% of them positive: an improvement of 5.0% by ExpectedLoss takes about ")
    assert few.endswith("are held out: hold out more (TrainingPolicy)")
    least, _ = told(replace(SMALL, per_week=30), by)
    assert "ExpectedLoss.minimum_rows takes about 300 rows (10 weeks), of which 230 (8 weeks) are held out" in least


def test_the_least_rows_are_told_where_they_are_not_held_out() -> None:
    rows = told(replace(SMALL, per_week=100))[0]
    assert "GatePolicy.minimum_rows takes about 1,000 rows (10 weeks), of which 780 (8 weeks) are held out: hold out more" in rows


@pytest.mark.parametrize(
    ("training", "weeks"),
    [
        (TrainingPolicy(), 0.15 * 365 / 7),
        (TrainingPolicy(holdout=0.3), 0.3 * 365 / 7),
        (TrainingPolicy(window=timedelta(weeks=20)), 3),
        (TrainingPolicy(part_at_most=timedelta(weeks=4)), 4),
        (TrainingPolicy(window=timedelta(weeks=20), part_at_most=timedelta(weeks=4)), 3),
    ],
)
def test_what_is_held_out_follows_from_how_training_divides(training: TrainingPolicy, weeks: float) -> None:
    assert held_out(training) == pytest.approx(weeks)


def test_many_rows_a_day_move_together_so_a_margin_takes_days_and_not_rows() -> None:
    assert Labels(per_week=7, positive=0.5).design_effect == 1
    assert Labels(per_week=707, positive=0.5).design_effect == pytest.approx(1 + 100 * 0.016)
    assert told(PLENTY) != []
    independent = relative_error(replace(PLENTY, per_week=7), COST, 10_000)
    assert relative_error(PLENTY, COST, 10_000) == pytest.approx(independent * math.sqrt(PLENTY.design_effect))


def test_the_spread_of_a_difference_is_that_of_models_that_decide_differently_near_the_threshold() -> None:
    random = np.random.default_rng(16)
    rows, threshold = 200_000, COST.threshold
    differ = random.random(rows) < DISAGREE
    positive = random.random(rows) < threshold
    apart = np.where(differ, random.choice([-1, 1], rows) * np.where(positive, COST.false_negative, COST.false_positive), 0.0)
    champion = 0.84 * 0.25 * 3
    labels = Labels(per_week=7, positive=0.25)
    assert relative_error(labels, COST, rows) == pytest.approx(apart.std() / champion / math.sqrt(rows), rel=0.02)
    assert relative_error(replace(labels, positive=0.9), COST, rows) > relative_error(replace(labels, positive=0.5), COST, rows)
    assert relative_error(replace(labels, positive=0.0), COST, rows) == math.inf


def test_a_relative_difference_does_not_depend_on_the_currency_nor_on_which_class_is_called_positive() -> None:
    labels = Labels(per_week=7, positive=0.1)
    found = relative_error(labels, COST, 1_000)
    assert relative_error(labels, CostMatrix(false_positive=2, false_negative=6), 1_000) == pytest.approx(found)
    turned = CostMatrix(false_positive=3, false_negative=1)
    assert relative_error(Labels(per_week=7, positive=0.9), turned, 1_000) == pytest.approx(found)


def test_one_row_of_each_class_is_the_least_that_an_auc_is_told_from() -> None:
    half = Labels(per_week=7, positive=0.5)
    assert auc_error(half, 2) == pytest.approx(math.sqrt(2 * 0.07 * 0.7 * 0.3))
    assert auc_error(half, 1.9) == math.inf


def test_labels_that_are_just_enough_are_not_warned_of() -> None:
    month, labels = TrainingPolicy(part_at_most=timedelta(weeks=4)), replace(SMALL, per_week=250, groups={"sex": {"f": (50, 9)}})
    fair = FairnessPolicy(columns=("sex",), minimum=200, selection_ratio=0.8)
    assert not any("minimum" in one for one in told(labels, GatePolicy(minimum_rows=1_000), month, fair))
    more = told(labels, GatePolicy(minimum_rows=1_001), month, replace(fair, minimum=201))
    assert sum("minimum" in one for one in more) == 2


def test_the_error_of_a_difference_of_auc_is_delongs_of_two_alike_models() -> None:
    random = np.random.default_rng(16)
    rows = 20_000
    labels = random.random(rows) < 0.25
    # Normal scores that lie 0.742 apart give an AUC of 0.70.
    common = random.normal(size=rows)
    one, two = (0.742 * labels + math.sqrt(0.93) * common + math.sqrt(0.07) * random.normal(size=rows) for _ in range(2))
    found = auc_difference(labels, one, two)
    assert found is not None
    assert auc_error(Labels(per_week=7, positive=0.25), rows) == pytest.approx((found.high - found.low) / 2 / 1.96, rel=0.1)
    assert auc_error(Labels(per_week=7, positive=0.0), rows) == math.inf
    assert auc_error(Labels(per_week=7, positive=1.0), rows) == math.inf


def test_labels_of_one_kind_take_what_cannot_be_told() -> None:
    cost, auc = told(replace(SMALL, positive=0.0))
    assert cost == "about 750 labels a week, 0% of them positive: GatePolicy.cost_margin 2.0% takes labels of both kinds"
    assert auc.endswith("GatePolicy.auc_margin 0.005 takes labels of both kinds")


def test_small_groups_are_told_by_positives_where_error_rates_are_limited() -> None:
    by = GatePolicy(cost_margin=0.1, auc_margin=0.1)
    assert told(gate=by, fairness=FairnessPolicy(columns=("sex",), minimum=400, opportunity_difference=0.1)) == [
        "FairnessPolicy.minimum 400 positives: 2 of 3 groups of sex have fewer held out, sex=x about 1.0 a week (400 weeks): "
        "lower the minimum, hold out more, or join groups"
    ]
    (rows,) = told(gate=by, fairness=FairnessPolicy(columns=("sex",), selection_ratio=0.8))
    assert rows.startswith(
        "FairnessPolicy.minimum 200 rows: 1 of 3 groups of sex have fewer held out, sex=x about 10.0 a week (20 weeks)"
    )
    assert told(gate=by, fairness=FairnessPolicy(columns=("sex",))) == []
    assert told(gate=by, fairness=FairnessPolicy(columns=("sex",), minimum=5, error_rate_difference=0.2)) == []
    none = replace(SMALL, groups={"sex": {"f": (300, 40), "x": (10, 0)}})
    (never,) = told(none, gate=by, fairness=FairnessPolicy(columns=("sex",), error_rate_difference=0.1))
    assert "sex=x about 0.0 a week (none has come yet)" in never
