import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from everloop.decide.policy import CostMatrix, RetrainPolicy
from everloop.decide.verdict import Outcome
from everloop.decide.watch.performance import judge, measure

COST = CostMatrix(false_positive=1, false_negative=3)
POLICY = RetrainPolicy(auc_drop=0.04, cost_rise=0.25)


def window(rows, signal=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.random(rows) < 0.3
    scores = 1 / (1 + np.exp(-(rng.normal(size=rows) + signal * labels - 1.2)))
    return labels, scores, measure(labels, scores, scores >= COST.threshold, COST)


RELEASED = {name: found.value for name, found in window(50_000)[2].items()}


def test_measures_equal_sklearn_and_the_cost_matrix():
    labels, scores, found = window(3000)
    assert found["auc"].value == pytest.approx(roc_auc_score(labels, scores))
    alarm = scores >= 0.25
    assert found["cost"].value == pytest.approx(((alarm & ~labels).sum() + 3 * (~alarm & labels).sum()) / 3000)
    assert found["cost"].low < found["cost"].value < found["cost"].high


def test_a_window_like_the_release_passes():
    assert judge(window(3000, seed=1)[2], RELEASED, POLICY, 200).passed


def test_a_window_that_ranks_worse_fails_and_says_by_how_much():
    verdict = judge(window(3000, signal=0.5)[2], RELEASED, POLICY, 200)
    assert verdict.outcome is Outcome.FAIL
    assert "AUC 0.6" in verdict.because()
    assert f"{RELEASED['auc']:.4f} at release" in verdict.because()


def test_a_small_unlucky_window_is_inconclusive():
    found = window(60, seed=3)[2]
    released = {"auc": found["auc"].value + 0.05, "cost": found["cost"].value}
    assert judge(found, released, POLICY, 50).outcome is Outcome.INCONCLUSIVE


def test_few_labels_one_class_or_no_released_metrics_never_pass():
    assert judge(window(199)[2], RELEASED, POLICY, 200).outcome is Outcome.INCONCLUSIVE
    assert judge({}, RELEASED, POLICY, 0).outcome is Outcome.INCONCLUSIVE
    assert judge(window(3000)[2], {}, POLICY, 200).outcome is Outcome.INCONCLUSIVE
    one_class = measure(np.zeros(500, bool), np.full(500, 0.2), np.zeros(500, bool), COST)
    assert judge(one_class, RELEASED, POLICY, 200).outcome is Outcome.INCONCLUSIVE


def test_precision_recall_and_f1_equal_sklearn_with_intervals_around_them():
    labels, scores, found = window(3000)
    alarm = scores >= COST.threshold
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert found[name].value == pytest.approx(score(labels, alarm), abs=1e-12)
        assert found[name].low < found[name].value < found[name].high


def test_the_interval_of_f1_covers_about_as_often_as_promised():
    truth = window(500_000, seed=9)[2]
    found = [window(400, seed=seed)[2] for seed in range(400)]
    for name in ("precision", "recall", "f1"):
        covered = np.mean([one[name].low <= truth[name].value <= one[name].high for one in found])
        assert 0.92 <= covered <= 0.98, name


def test_without_an_alarm_there_is_no_precision_and_without_a_positive_no_recall():
    quiet = measure(np.array([True, False, True]), np.array([0.1, 0.2, 0.1]), np.zeros(3, bool), COST)
    assert ("precision" in quiet, quiet["recall"].value, quiet["f1"].value) == (False, 0, 0)
    nothing = measure(np.zeros(3, bool), np.array([0.1, 0.2, 0.1]), np.zeros(3, bool), COST)
    assert not {"precision", "recall", "f1"} & set(nothing)
