import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score, roc_auc_score

from everloop.decide.policy import CostMatrix
from everloop.decide.statistics.compare import costs
from everloop.decide.watch.concept import residuals
from everloop.decide.watch.estimate import Calibration, expect, expected_auc
from everloop.decide.watch.performance import measure

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
    assert found.precision.value == pytest.approx(precision_score(labels, alarm), abs=0.01)
    assert found.recall.value == pytest.approx(recall_score(labels, alarm), abs=0.01)
    assert found.f1.value == pytest.approx(f1_score(labels, alarm), abs=0.01)
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


def actual(labels, scores, alarm):
    """Each measure once the labels are known; `test_performance` holds them against scikit-learn."""
    return {name: one.value for name, one in measure(labels, scores, alarm, COST, np.arange(len(labels))).items()}


def coverage(found, seen):
    return {name: np.mean([one.low <= each[name] <= one.high for each in seen]) for name, one in found.measures().items()}


def test_every_interval_holds_the_true_value_about_as_often_as_promised():
    rng = np.random.default_rng(11)
    scores = rng.beta(2, 4, 600)
    found = expect(scores, COST.threshold, COST)
    seen = [actual(rng.random(600) < scores, scores, scores >= COST.threshold) for _ in range(400)]
    held = coverage(found, seen)
    assert set(held) == {"auc", "cost", "precision", "recall", "f1"}
    assert all(0.92 <= share <= 0.98 for share in held.values()), held


def test_values_are_the_means_over_all_labels_that_the_scores_allow():
    """Brute force over every labelling of ten rows, each with its chance."""
    scores = np.array([0.05, 0.1, 0.2, 0.2, 0.3, 0.45, 0.5, 0.6, 0.8, 0.95])
    alarm = scores >= COST.threshold
    found = expect(scores, COST.threshold, COST)
    every = ((np.arange(2**10)[:, None] >> np.arange(10)) & 1).astype(bool)
    chance = np.where(every, scores, 1 - scores).prod(axis=1)
    hits, spent = (every & alarm).sum(axis=1), np.array([costs(labels, alarm, COST).mean() for labels in every])
    assert found.true_positives == pytest.approx(chance @ hits, abs=1e-6)
    assert found.false_negatives == pytest.approx(chance @ (every & ~alarm).sum(axis=1), abs=1e-6)
    assert found.precision.value == pytest.approx(chance @ (hits / alarm.sum()), abs=1e-6)
    assert found.cost.value == pytest.approx(chance @ spent, abs=1e-6)
    spread = np.sqrt(chance @ (spent - chance @ spent) ** 2)
    assert (found.cost.high - found.cost.low) / 2 == pytest.approx(1.959964 * spread, abs=1e-6)


def test_values_are_those_of_rows_split_by_their_probability():
    """Scikit-learn's measures of each row twice, as a positive of weight p and a negative of weight 1 - p."""
    scores = np.random.default_rng(4).beta(2, 5, 300)
    found, labels = expect(scores, COST.threshold, COST), np.repeat([1, 0], 300)
    weights, alarm = np.concatenate([scores, 1 - scores]), np.tile(scores >= COST.threshold, 2)
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert getattr(found, name).value == pytest.approx(score(labels, alarm, sample_weight=weights), abs=1e-9)


def test_values_are_those_of_nannyml():
    """NannyML 0.13.1's own functions gave these of the same scores; its AUC counts each row as a pair with itself, a tie."""
    scores = np.random.default_rng(0).beta(2, 4, 3000)
    found = expect(scores, COST.threshold, COST)
    assert found.precision.value == pytest.approx(0.43738693100619824, abs=1e-12)
    assert found.recall.value == pytest.approx(0.8368673365109675, abs=1e-12)
    assert found.f1.value == pytest.approx(0.5745083148735579, abs=1e-12)
    itself, pairs = np.sum(scores * (1 - scores)), scores.sum() * (1 - scores).sum()
    assert (found.auc.value * (pairs - itself) + itself / 2) / pairs == pytest.approx(0.7250477694958283, abs=1e-6)


def world(rng, rows, off):
    """Scores, and labels whose chance is off by `off` in the logit."""
    scores = rng.beta(2, 4, rows)
    return scores, rng.random(rows) < 1 / (1 + np.exp(-(np.log(scores / (1 - scores)) + off)))


def test_what_the_calibrator_was_off_by_at_release_widens_the_interval():
    """Each time another calibrator, off in its own direction; only the held-out rows show by how much."""
    rng = np.random.default_rng(12)
    edges = [0.15, 0.25, 0.35, 0.5]
    with_it, without = [], []
    for _ in range(200):
        off = rng.normal(0, 0.25)
        held_scores, held_labels = world(rng, 2000, off)
        calibration = Calibration.of(edges, [residuals(edges, held_labels, held_scores)])
        scores, labels = world(rng, 2000, off)
        truth = actual(labels, scores, scores >= COST.threshold)
        with_it.append(coverage(expect(scores, COST.threshold, COST, calibration), [truth]))
        without.append(coverage(expect(scores, COST.threshold, COST), [truth]))
    held, bare = ({name: np.mean([each[name] for each in side]) for name in side[0]} for side in (with_it, without))
    assert min(held.values()) > 0.93, held
    assert max(bare["precision"], bare["f1"]) < 0.6, bare


def test_a_perfect_calibrator_known_by_few_rows_widens_it_too():
    rng = np.random.default_rng(13)
    scores = rng.beta(2, 4, 20_000)
    bare = expect(scores, COST.threshold, COST).cost
    held = rng.beta(2, 4, 300)
    few = Calibration.of([0.3], [residuals([0.3], rng.random(300) < held, held)])
    known = expect(scores, COST.threshold, COST, few).cost
    assert known.value == bare.value
    assert known.high - known.low > 3 * (bare.high - bare.low)


def test_a_score_bin_without_held_out_rows_is_not_taken_as_right():
    empty = Calibration.of([0.5], [{"rows": [100, 0], "labels": [30, 0], "scores": [30, 0], "squares": [20, 0]}])
    low, high = (expect(np.full(50, p), 0.25, COST, empty).cost for p in (0.4, 0.6))
    assert high.high - high.low > 2 * (low.high - low.low)


def test_where_the_scores_are_off_anew_in_each_window_earlier_windows_show_by_how_much():
    rng = np.random.default_rng(14)
    edges = [0.15, 0.25, 0.35, 0.5]
    one, several, widths = [], [], []
    for _ in range(150):
        windows = [world(rng, 1000, rng.normal(0, 0.25)) for _ in range(9)]
        sketches = [residuals(edges, labels, scores) for scores, labels in windows]
        scores, labels = windows[-1]
        truth = actual(labels, scores, scores >= COST.threshold)
        for seen, held in ((one, sketches[:1]), (several, sketches[:-1])):
            found = expect(scores, COST.threshold, COST, Calibration.of(edges, held))
            seen.append(coverage(found, [truth])["precision"])
            widths.append(found.precision.high - found.precision.low)
    assert min(np.mean(one), np.mean(several)) > 0.93
    assert np.median(widths[::2]) > 1.5 * np.median(widths[1::2])


def test_the_error_of_the_calibrator_by_hand():
    """Two windows; in the second nobody fell into the upper bin."""
    first = {"rows": [4, 10], "labels": [2, 6], "scores": [1, 5], "squares": [0.8, 2.5]}
    second = {"rows": [100, 1], "labels": [10, 1], "scores": [20, 1], "squares": [9.0, 0.0]}
    found = Calibration.of([0.5], [first, second])
    variances = [[(0.8 - 4 * 0.25**2) / 3 / 4, (2.5 - 10 * 0.1**2) / 9 / 10], [(9 - 100 * 0.01) / 99 / 100, 0.25]]
    assert found.bias == pytest.approx(np.array([[0.25, 0.1], [-0.1, 0.0]]))
    assert [one.covariance for one in found.known] == [pytest.approx(np.diag(each)) for each in variances]
    scores, gradient = np.array([0.2, 0.5, 0.7]), np.array([1.0, 2.0, -1.0])
    expected = [(3 * b[0] - b[1]) ** 2 + 9 * v[0] + v[1] for b, v in zip(found.bias.tolist(), variances, strict=True)]
    assert found.error(scores, gradient) == pytest.approx(np.mean(expected))


def test_two_rows_of_a_bin_are_enough_to_know_its_spread():
    found = Calibration.of([], [{"rows": [2], "labels": [1], "scores": [1], "squares": [0.5]}])
    assert found.known[0].covariance.tolist() == [[0.25]]
    (known,) = Calibration.of([], [{"rows": [2], "labels": [1], "scores": [1], "squares": [0.1]}]).known
    assert known.covariance.tolist() == [[0.05]]


def test_all_that_is_defined_is_told_with_the_rows_it_rests_on():
    found = expect(np.linspace(0.1, 0.9, 50), 0.5, COST)
    assert list(found.measures()) == ["auc", "cost", "precision", "recall", "f1"]
    assert {one.rows for one in found.measures().values()} == {50} == {found.rows}
    quiet = expect(np.full(40, 0.1), 0.5, COST)
    assert list(quiet.measures()) == ["auc", "cost", "recall", "f1"]
    assert (quiet.recall.value, quiet.f1.value) == (0, 0)
    assert list(expect(np.zeros(5), 0.5, COST).measures()) == ["cost"]
    assert expect(np.array([0.4, 0.5]), 0.5, COST).precision.value == 0.5


def test_fewer_than_one_expected_label_of_a_kind_has_no_auc():
    assert expect(np.full(9, 0.1), 0.5, COST).auc is None
    assert expect(np.full(9, 0.9), 0.5, COST).auc is None
    assert expect(np.full(10, 0.1), 0.5, COST).auc.value == pytest.approx(0.5)


def test_one_row_of_a_bin_tells_its_residual_and_nothing_of_its_spread():
    found = Calibration.of([0.5], [{"rows": [1, 0], "labels": [1, 0], "scores": [0.25, 0], "squares": [0.5625, 0]}])
    assert (found.bias.tolist(), found.known[0].covariance.tolist()) == ([[0.75, 0.0]], [[0.25, 0.0], [0.0, 0.25]])


def test_the_expected_cost_and_its_spread_by_hand():
    """An alarm at 0.6 and 0.8; where scores are too low, misses cost more than alarms save."""
    scores, cost = np.array([0.2, 0.4, 0.6, 0.8]), CostMatrix(false_positive=2, false_negative=5)
    known = Calibration.of([], [{"rows": [10], "labels": [6], "scores": [5], "squares": [1.0]}])
    found = expect(scores, 0.5, cost, known).cost
    assert found.value == pytest.approx((2 * (0.4 + 0.2) + 5 * (0.2 + 0.4)) / 4)
    noise = (25 * (0.16 + 0.24) + 4 * (0.24 + 0.16)) / 16
    error = (6 / 4) ** 2 * (0.1**2 + (1.0 - 10 * 0.01) / 9 / 10)
    freedom = ((noise + error) / error) ** 2
    assert (found.high - found.low) / 2 == pytest.approx(stats.t.ppf(0.975, freedom) * np.sqrt(noise + error), abs=1e-6)
    assert found.freedom == pytest.approx(freedom)


def test_no_row_and_no_pair_have_no_expected_auc():
    assert expected_auc(np.array([])) is None
    assert expected_auc(np.array([0.5])) is None
    assert expected_auc(np.ones(3)) is None
    assert expected_auc(np.array([1e-6, 0.0])) == pytest.approx(1)


def stormy(rng, days, rows=150):
    """Scores of days, labels of which all chances lie now above, now below them, and the days."""
    day = np.repeat(np.arange(days), rows)
    scores = rng.beta(2, 4, days * rows)
    logit = np.log(scores / (1 - scores)) + rng.normal(0, 0.8, days)[day]
    return scores, rng.random(days * rows) < 1 / (1 + np.exp(-logit)), day


def test_days_that_move_together_make_a_window_of_few_days_less_sure():
    rng = np.random.default_rng(15)
    edges = [0.15, 0.25, 0.35, 0.5]
    by_day, by_row = [], []
    for _ in range(150):
        windows = [stormy(rng, 10) for _ in range(8)]
        calibration = Calibration.of(edges, [residuals(edges, labels, scores, day) for scores, labels, day in windows])
        scores, labels, day = stormy(rng, 2)
        truth = actual(labels, scores, scores >= COST.threshold)
        by_day.append(coverage(expect(scores, COST.threshold, COST, calibration, day), [truth]))
        by_row.append(coverage(expect(scores, COST.threshold, COST, calibration), [truth]))
    for name in ("cost", "precision", "f1", "recall"):
        assert np.mean([each[name] for each in by_day]) > 0.9, name
    assert np.mean([each["precision"] for each in by_row]) < 0.87


def test_labels_of_a_day_add_what_they_share_to_the_spread_by_hand():
    # One bin: two windows of two days, whose residuals sum to +1 and -1 on days of 4 rows.
    window = {"rows": [8], "labels": [4], "scores": [4], "squares": [2.0], "blocks": 2, "moments": [[32.0, 0.0], [0.0, 2.0]]}
    calibration = Calibration.of([], [window, window])
    variance = 2.0 / 7
    shared = (2.0 * 2 - 8 * variance) / (32 - 8)
    assert calibration.noise(np.full(3, 0.5), np.array([1.0, 2.0, 4.0]), np.array([5, 5, 9])) == pytest.approx(shared * (9 + 16))
    assert calibration.error(np.full(3, 0.5), np.ones(3)) == pytest.approx(9 * (variance / 8 + (32 - 8) * shared / 64))


def test_what_no_calibration_touches_has_normal_ends():
    sure = Calibration.of([], [{"rows": [1000], "labels": [500], "scores": [500], "squares": [0.0]}])
    found = expect(np.array([0.0, 1.0]), 0.5, COST, sure).cost
    assert (found.low, found.high, found.freedom) == (0, 0, None)
