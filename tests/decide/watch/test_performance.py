from dataclasses import asdict

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from everloop.decide.policy import CostMatrix, RetrainPolicy
from everloop.decide.statistics.clusters import Clusters, Likeness, clustered_rate
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome
from everloop.decide.watch.performance import alike, judge, measure

COST = CostMatrix(false_positive=1, false_negative=3)
POLICY = RetrainPolicy(auc_drop=0.04, cost_rise=0.25)


def window(rows, signal=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.random(rows) < 0.3
    scores = 1 / (1 + np.exp(-(rng.normal(size=rows) + signal * labels - 1.2)))
    return labels, scores, measure(labels, scores, scores >= COST.threshold, COST, alone(rows))


def alone(rows):
    """Every row a block of its own."""
    return np.arange(rows)


RELEASED = {name: found.value for name, found in window(50_000)[2].items()}


def test_measures_equal_sklearn_and_the_cost_matrix():
    labels, scores, found = window(3000)
    assert found["auc"].value == pytest.approx(roc_auc_score(labels, scores))
    alarm = scores >= 0.25
    assert found["cost"].value == pytest.approx(((alarm & ~labels).sum() + 3 * (~alarm & labels).sum()) / 3000)
    assert found["cost"].low < found["cost"].value < found["cost"].high


def test_a_window_like_the_release_passes():
    assert judge(window(6000, seed=1)[2], RELEASED, POLICY, 200).passed


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
    one_class = measure(np.zeros(500, bool), np.full(500, 0.2), np.zeros(500, bool), COST, alone(500))
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
    quiet = measure(np.array([True, False, True]), np.array([0.1, 0.2, 0.1]), np.zeros(3, bool), COST, alone(3))
    assert ("precision" in quiet, quiet["recall"].value, quiet["f1"].value) == (False, 0, 0)
    nothing = measure(np.zeros(3, bool), np.array([0.1, 0.2, 0.1]), np.zeros(3, bool), COST, alone(3))
    assert not {"precision", "recall", "f1"} & set(nothing)


def reasons(verdict):
    return {reason.check: (str(reason.outcome), reason.text, reason.numbers) for reason in verdict.reasons}


def measured(value, low, high, rows=500):
    return Estimate(value=value, low=low, high=high, rows=rows, units=7, freedom=6)


def test_the_verdict_is_told_in_words_and_numbers():
    found = {"auc": measured(0.65, 0.62, 0.68), "cost": measured(0.6, 0.5, 0.7)}
    assert reasons(judge(found, {"auc": 0.7, "cost": 0.5}, POLICY, 200)) == {
        "performance.auc": (
            "fail",
            "AUC 0.6500 [0.6200, 0.6800] on 500 rows of 7 blocks of time, 0.7000 at release, limit 0.6600",
            asdict(found["auc"]) | {"released": 0.7, "limit": pytest.approx(0.66)},
        ),
        "performance.cost": (
            "inconclusive",
            "cost 0.6000 [0.5000, 0.7000] on 500 rows of 7 blocks of time, 0.5000 at release, limit 0.6250",
            asdict(found["cost"]) | {"released": 0.5, "limit": 0.625},
        ),
    }


def test_the_verdict_tells_why_it_cannot_say():
    few = {"auc": measured(0.6, 0.5, 0.7, rows=199)}
    assert reasons(judge(few, {"auc": 0.7, "cost": 0.5}, POLICY, 200)) == {
        "performance.auc": ("inconclusive", "199 labels are too few to judge AUC: 200 wanted", {"rows": 199}),
        "performance.cost": ("inconclusive", "0 labels are too few to judge cost: 200 wanted", {"rows": 0}),
    }
    found = judge({"auc": measured(0.6, 0.5, 0.7, rows=200), "cost": measured(1, 0, 2)}, {}, POLICY, 200)
    assert reasons(found) == {
        "performance.auc": ("inconclusive", "the release carries no AUC to compare with", {}),
        "performance.cost": ("inconclusive", "the release carries no cost to compare with", {}),
    }
    half = judge(found={"auc": measured(0.7, 0.67, 0.8)}, released={"auc": 0.7}, policy=POLICY, minimum_rows=500)
    assert [reason.outcome for reason in half.reasons] == [Outcome.PASS, Outcome.INCONCLUSIVE]


@pytest.mark.parametrize(
    ("cost", "outcome"),
    [
        (measured(0.6, 0.55, 0.625), Outcome.PASS),
        (measured(0.6, 0.55, 0.626), Outcome.INCONCLUSIVE),
        (measured(0.625, 0.55, 0.7), Outcome.FAIL),
        (measured(0.63, 0.5, 0.7), Outcome.INCONCLUSIVE),
    ],
)
def test_a_cost_fails_at_its_limit_where_its_interval_excludes_that_of_the_release(cost, outcome):
    found = judge({"auc": measured(0.7, 0.67, 0.8), "cost": cost}, {"auc": 0.7, "cost": 0.5}, POLICY, 200)
    assert found.outcome is outcome


def test_ratios_count_the_rows_they_rest_on():
    labels, decisions = np.array([1, 1, 1, 0, 0, 0], bool), np.array([1, 1, 0, 1, 0, 0], bool)
    found = measure(labels, np.linspace(0.9, 0.1, 6), decisions, COST, alone(6))
    assert [(found[name].rows, found[name].value) for name in ("precision", "recall", "f1")] == [
        (3, pytest.approx(2 / 3)), (3, pytest.approx(2 / 3)), (4, pytest.approx(2 / 3)),
    ]  # fmt: skip
    low, high = clustered_rate(Clusters.independent(4, 2), 0.95)
    assert (found["f1"].low, found["f1"].high) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))
    assert (found["precision"].low, found["precision"].high) == clustered_rate(Clusters.independent(3, 2), 0.95)


def test_what_no_drop_and_no_rise_allow_is_nothing_worse_and_anything_better():
    strict, released = RetrainPolicy(auc_drop=0, cost_rise=0), {"auc": 0.7, "cost": 0.5}
    better = judge({"auc": measured(0.8, 0.75, 0.85), "cost": measured(0.3, 0.2, 0.4)}, released, strict, 200)
    worse = judge({"auc": measured(0.6, 0.55, 0.65), "cost": measured(0.7, 0.6, 0.8)}, released, strict, 200)
    assert [reason.outcome for reason in better.reasons] == [Outcome.PASS, Outcome.PASS]
    assert [reason.outcome for reason in worse.reasons] == [Outcome.FAIL, Outcome.FAIL]
    costly = judge({"auc": measured(0.7, 0.67, 0.8), "cost": measured(0.2, 0.1, 0.3)}, {"auc": 0.7, "cost": 0.0}, POLICY, 200)
    assert [reason.outcome for reason in costly.reasons] == [Outcome.PASS, Outcome.FAIL]


@pytest.mark.parametrize(
    ("auc", "outcome"),
    [
        (measured(0.63, 0.6, 0.68), Outcome.FAIL),
        (measured(0.63, 0.6, 0.7), Outcome.INCONCLUSIVE),
        (measured(0.64, 0.6, 0.65), Outcome.INCONCLUSIVE),
        (measured(0.64, 0.6376, 0.65), Outcome.PASS),
    ],
)
def test_an_auc_fails_at_its_limit_where_its_interval_excludes_that_of_the_release(auc, outcome):
    policy = RetrainPolicy(auc_drop=0.0625, cost_rise=0.25)
    assert judge({"auc": auc, "cost": measured(0.5, 0.4, 0.6)}, {"auc": 0.7, "cost": 0.5}, policy, 200).outcome is outcome
    edge = {"auc": measured(0.64, 0.625, 0.65), "cost": measured(0.5, 0.4, 0.625)}
    assert judge(edge, {"auc": 0.6875, "cost": 0.5}, policy, 500).passed


def stormy(days, seed, rows=300):
    """Rows of days on which labels are now more, now less frequent than the scores say."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows)
    scores = rng.beta(2, 5, days * rows)
    logit = np.log(scores / (1 - scores)) + rng.normal(0, 0.8, days)[day]
    return rng.random(days * rows) < 1 / (1 + np.exp(-logit)), scores, day


@pytest.mark.parametrize("days", [1, 7])
def test_intervals_hold_for_windows_of_few_days_that_differ(days):
    def measures(labels, scores, day, known=None):
        return measure(labels, scores, scores >= COST.threshold, COST, day, known)

    truth = {name: one.value for name, one in measures(*stormy(4_000, 99, 50)).items()}
    held = dict.fromkeys(truth, 0)
    for seed in range(200):
        labels, scores, day = stormy(30, seed)
        known = alike(labels, scores, scores >= COST.threshold, COST, day)
        found = measures(*stormy(days, 10_000 + seed), known)
        for name, one in found.items():
            held[name] += one.low <= truth[name] <= one.high
            assert one.freedom == 29 + days - 1
    assert min(held.values()) >= 0.87 * 200, held


def test_how_alike_rows_are_is_told_of_each_measure_that_is_defined():
    labels, scores, day = stormy(30, 3)
    found = alike(labels, scores, scores >= COST.threshold, COST, day)
    assert set(found) == {"auc", "cost", "precision", "recall", "f1"}
    assert {one.freedom for one in found.values()} == {29}
    alarmed = scores >= 0.25
    assert found["precision"] == Likeness.of_rate(Clusters.counted(day[alarmed], labels[alarmed]))
    assert 0.02 < found["precision"].correlation < 0.3
    none = alike(labels[:0], scores[:0], labels[:0], COST, day[:0])
    assert none == dict.fromkeys(("precision", "recall", "f1"), Likeness())


def test_a_day_of_a_release_that_kept_nothing_of_days_is_measured_and_not_judged():
    labels, scores, day = stormy(1, 4)
    found = measure(labels, scores, scores >= COST.threshold, COST, day)
    assert (found["auc"].low, found["cost"].high) == (-np.inf, np.inf)
    assert (found["precision"].low, found["precision"].high) == (0, 1)
    assert judge(found, {"auc": 0.99, "cost": 0.01}, POLICY, 200).outcome is Outcome.INCONCLUSIVE
