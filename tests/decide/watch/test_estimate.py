import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_score, recall_score, roc_auc_score

from everloop.decide.policy import CostMatrix
from everloop.decide.statistics.compare import costs
from everloop.decide.watch.estimate import expect, expected_auc

COST = CostMatrix(false_positive=1, false_negative=3)


def brute_force_auc(p):
    pairs = [(p[i] * (1 - p[j]), p[i] > p[j], p[i] == p[j]) for i in range(len(p)) for j in range(len(p)) if i != j]
    weight = sum(w for w, _, _ in pairs)
    return sum(w * (above + tie / 2) for w, above, tie in pairs) / weight if weight > 1e-12 else None


@given(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=1, max_size=12))
def test_expected_auc_is_the_weighted_share_of_ordered_pairs(scores):
    expected = brute_force_auc(scores)
    found = expected_auc(np.array(scores))
    assert found == (None if expected is None else pytest.approx(expected))


def test_expectations_match_what_calibrated_scores_turn_out_to_be():
    rng = np.random.default_rng(0)
    scores = rng.beta(1.5, 4, 60_000)
    labels = rng.random(60_000) < scores
    alarm = scores >= COST.threshold
    found = expect(scores, COST.threshold, COST)
    tn, fp, fn, tp = confusion_matrix(labels, alarm).ravel()
    assert [found.true_negatives, found.false_positives, found.false_negatives, found.true_positives] == pytest.approx(
        [tn, fp, fn, tp], rel=0.03
    )
    assert found.auc.value == pytest.approx(roc_auc_score(labels, scores), abs=0.006)
    assert found.precision == pytest.approx(precision_score(labels, alarm), abs=0.01)
    assert found.recall == pytest.approx(recall_score(labels, alarm), abs=0.01)
    assert found.cost.low <= costs(labels, alarm, COST).mean() <= found.cost.high


def test_the_interval_of_the_expected_cost_covers():
    rng = np.random.default_rng(1)
    scores = rng.beta(2, 5, 400)
    found = expect(scores, 0.25, COST)
    seen = [costs(rng.random(400) < scores, scores >= 0.25, COST).mean() for _ in range(500)]
    assert np.mean([found.cost.low <= value <= found.cost.high for value in seen]) == pytest.approx(0.95, abs=0.03)


def test_expected_auc_equals_sklearn_on_rows_split_by_their_probability():
    scores = np.random.default_rng(2).beta(2, 5, 3000)
    labels, twice = np.repeat([1, 0], 3000), np.tile(scores, 2)
    weighted = roc_auc_score(labels, twice, sample_weight=np.concatenate([scores, 1 - scores]))
    assert expected_auc(scores) == pytest.approx(weighted, abs=1e-3)


def test_nothing_is_expected_of_no_rows_and_no_alarm_has_no_precision():
    assert expect(np.array([]), 0.5, COST) is None
    assert expect(np.array([0.1, 0.2]), 0.5, COST).precision is None


def test_expected_auc_holds_the_true_one_about_as_often_as_promised():
    random = np.random.default_rng(11)
    held = 0
    for _ in range(400):
        scores = random.beta(2, 4, 600)
        found = expect(scores, 0.5, COST).auc
        held += found.low <= roc_auc_score(random.random(600) < scores, scores) <= found.high
    assert 0.92 <= held / 400 <= 0.99
