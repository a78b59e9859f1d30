from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy.stats import norm, ttest_1samp

from everloop.decide.policy import DriftPolicy
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome
from everloop.decide.watch.concept import Relation, judge, measure, merge, residuals

EDGES = [0.1, 0.2, 0.3, 0.4, 0.5]
SOME = np.array([True, False]), np.array([0.25, 0.75])


def drawn(rng, rows, chance=lambda p: p):
    scores = rng.beta(2, 5, rows)
    return rng.random(rows) < chance(scores), scores


def relation(rng, rows, chance=lambda p: p):
    return measure(residuals(EDGES, *drawn(rng, rows, chance)))


def test_the_bias_and_its_interval_are_the_mean_residual_and_students_at_many_rows():
    labels, scores = drawn(np.random.default_rng(0), 50_000)
    found, expected = measure(residuals(EDGES, labels, scores)).bias, ttest_1samp(labels - scores, 0)
    assert found.value == pytest.approx((labels - scores).mean(), abs=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()), abs=1e-6)


def test_the_error_is_the_debiased_estimator_of_kumar_where_scores_of_a_bin_are_equal():
    """Kumar, Liang & Ma (2019): by bin, (mean label - score)^2 - mean label (1 - mean label) / (n - 1), weighted by rows."""
    rng = np.random.default_rng(2)
    scores = rng.choice([0.05, 0.25, 0.45, 0.8], 3000)
    labels = rng.random(3000) < scores**1.5
    squared = 0.0
    for score in np.unique(scores):
        held = labels[scores == score]
        squared += len(held) / 3000 * ((held.mean() - score) ** 2 - held.mean() * (1 - held.mean()) / (len(held) - 1))
    found = measure(residuals(EDGES, labels, scores)).error.value
    assert found == pytest.approx(np.sqrt(squared), abs=1e-6)
    assert found == pytest.approx(0.10565730626794678, abs=1e-6)  # unbiased_l2_ce of their own uncertainty-calibration 0.1.4


def test_residuals_by_score_are_the_mean_of_each_bin():
    labels, scores = drawn(np.random.default_rng(3), 4000)
    found = measure(residuals(EDGES, labels, scores))
    place = np.searchsorted(EDGES, scores, side="left")
    for i, one in enumerate(found.bins):
        assert one.value == pytest.approx((labels - scores)[place == i].mean())
        assert one.low < one.value < one.high


def test_a_score_that_nobody_had_has_no_residual():
    found = measure(residuals(EDGES, np.array([True, False, True]), np.array([0.05, 0.06, 0.9])))
    assert [one is not None for one in found.bins] == [True, False, False, False, False, False]


def test_right_scores_have_no_error_and_wrong_ones_the_same_at_any_number_of_rows():
    rng = np.random.default_rng(4)
    for rows in (300, 3000, 30_000):
        squares = [relation(rng, rows).error.value ** 2 for _ in range(60)]
        assert np.mean(squares) < 0.0012
    wrong = [
        np.sqrt(np.mean([relation(rng, rows, lambda p: np.clip(p + 0.15, 0, 1)).error.value ** 2 for _ in range(40)]))
        for rows in (300, 3000, 30_000)
    ]
    assert wrong == pytest.approx([0.15] * 3, rel=0.05)


def test_the_intervals_cover_about_as_often_as_promised():
    rng = np.random.default_rng(5)
    found = [relation(rng, 2000, lambda p: p**1.6) for _ in range(300)]
    truth = relation(rng, 4_000_000, lambda p: p**1.6)
    for name in ("bias", "error"):
        value = getattr(truth, name).value
        covered = np.mean([getattr(one, name).low <= value <= getattr(one, name).high for one in found])
        assert 0.92 <= covered <= 0.99


POLICY = DriftPolicy(residual=0.08, minimum_rows=200)


@pytest.mark.parametrize(
    ("rows", "chance", "outcomes"),
    [
        (5000, lambda p: p, {"bias": Outcome.PASS, "error": Outcome.PASS}),
        (5000, lambda p: np.clip(p + 0.12, 0, 1), {"bias": Outcome.FAIL, "error": Outcome.FAIL}),
        (5000, lambda p: np.clip(p - 0.12, 0, 1), {"bias": Outcome.FAIL, "error": Outcome.FAIL}),
        # The relation turned round: right on average, wrong at every score.
        (5000, lambda p: 2 * p.mean() - p, {"bias": Outcome.PASS, "error": Outcome.FAIL}),
        (5000, lambda p: np.clip(p + 0.03, 0, 1), {"bias": Outcome.PASS, "error": Outcome.PASS}),
    ],
)
def test_the_relation_fails_by_as_much_as_the_policy_says(rows, chance, outcomes):
    verdict = judge(relation(np.random.default_rng(6), rows, chance), POLICY)
    assert {reason.check.removeprefix("concept."): reason.outcome for reason in verdict.reasons} == outcomes


def test_inputs_that_move_are_no_moved_relation():
    rng = np.random.default_rng(8)
    scores = rng.beta(6, 3, 4000)
    found = measure(residuals(EDGES, rng.random(4000) < scores, scores))
    assert judge(found, POLICY).passed


def test_few_labels_chance_or_no_limit_are_no_pass():
    rng = np.random.default_rng(7)
    assert judge(None, POLICY).outcome is Outcome.INCONCLUSIVE
    assert judge(relation(rng, 199, lambda p: 0 * p), POLICY).outcome is Outcome.INCONCLUSIVE
    assert judge(relation(rng, 5000), DriftPolicy(residual=None)).outcome is Outcome.INCONCLUSIVE
    few = measure(residuals([], np.array([True] * 3 + [False] * 3), np.full(6, 0.3)))
    assert judge(few, DriftPolicy(residual=0.08, minimum_rows=5)).outcome is Outcome.INCONCLUSIVE
    assert measure(residuals(EDGES, np.array([True]), np.array([0.3]))) is None


def reasons(verdict):
    return {reason.check: (str(reason.outcome), reason.text, reason.numbers) for reason in verdict.reasons}


def estimated(value, low, high):
    return Estimate(value=value, low=low, high=high, rows=500)


def test_the_verdict_is_told_in_words_and_numbers():
    relation = Relation(rows=500, bias=estimated(0.08, 0.01, 0.15), error=estimated(0.07, 0.0, 0.14), bins=())
    assert reasons(judge(relation, POLICY)) == {
        "concept.bias": (
            "fail",
            "labels lie above the scores by 0.0800 [0.0100, 0.1500] on 500 rows, limit 0.08",
            asdict(relation.bias) | {"limit": 0.08},
        ),
        "concept.error": (
            "inconclusive",
            "by score, labels and scores lie apart by 0.0700 [0.0000, 0.1400] on 500 rows, limit 0.08",
            asdict(relation.error) | {"limit": 0.08},
        ),
    }
    unlimited = judge(relation, DriftPolicy(residual=None)).reasons[0]
    assert unlimited.text == "labels lie above the scores by 0.0800 [0.0100, 0.1500] on 500 rows; no limit is set"
    assert (unlimited.check, unlimited.numbers["limit"]) == ("concept.bias", None)


def test_an_interval_that_touches_nought_shows_nothing_yet():
    for low, high in ((0.0, 0.3), (-0.3, 0.0)):
        value = (low + high) / 2
        relation = Relation(rows=500, bias=estimated(value, low, high), error=estimated(0.1, 0.0, 0.2), bins=())
        assert judge(relation, POLICY).outcome is Outcome.INCONCLUSIVE
    below = Relation(rows=500, bias=estimated(-0.1, -0.2, -0.01), error=estimated(0.0, 0.0, 0.01), bins=())
    assert judge(below, POLICY).outcome is Outcome.FAIL


def test_too_few_labels_are_told_and_just_enough_are_judged():
    assert reasons(judge(None, POLICY)) == {
        "concept.rows": ("inconclusive", "0 labels are too few to tell whether the relation moved: 200 wanted", {"rows": 0})
    }
    few = Relation(rows=199, bias=estimated(0, -0.08, 0.08), error=estimated(0, 0, 0.08), bins=())
    assert reasons(judge(few, POLICY))["concept.rows"][2] == {"rows": 199}
    assert judge(replace(few, rows=200), POLICY).passed
    unsure = replace(few, rows=200, bias=estimated(0, -0.081, 0.08))
    assert judge(unsure, POLICY).outcome is Outcome.INCONCLUSIVE


def test_a_relation_by_hand():
    """Two rows at 0.2 with labels 1 and 0, three at 0.6 with 1, 1 and 0."""
    found = measure(residuals([0.5], np.array([True, False, True, True, False]), np.array([0.2, 0.2, 0.6, 0.6, 0.6])))
    low, high = np.array([0.8, -0.2]), np.array([0.4, 0.4, -0.6])
    every = np.concatenate([low, high])
    variances = [each.var(ddof=1) / len(each) for each in (low, high)]
    squared = 0.4 * (low.mean() ** 2 - variances[0]) + 0.6 * (high.mean() ** 2 - variances[1])
    spread = sum(w**2 * (4 * r.mean() ** 2 * v + 2 * v**2) for w, r, v in zip((0.4, 0.6), (low, high), variances, strict=True))
    assert (found.rows, found.bias.rows, found.error.rows, [one.rows for one in found.bins]) == (5, 5, 5, [2, 3])
    assert found.bias.value == pytest.approx(every.mean())
    assert found.bias.high == pytest.approx(every.mean() + 1.959964 * np.sqrt(every.var(ddof=1) / 5), abs=1e-6)
    assert found.bins[0].low == pytest.approx(0.3 - 1.959964 * np.sqrt(variances[0]), abs=1e-6)
    assert found.error.value == np.sqrt(max(0, squared))
    assert found.error.high == pytest.approx(np.sqrt(squared + 1.959964 * np.sqrt(spread)), abs=1e-6)


def test_a_sketch_holds_the_sums_by_bin():
    found = residuals([0.5], np.array([True, False, True]), np.array([0.5, 0.25, 0.75]))
    assert residuals([0.5], np.array([True]), np.array([0.25])) == {
        "rows": [1, 0], "labels": [1, 0], "scores": [0.25, 0], "squares": [0.5625, 0],
    }  # fmt: skip
    assert found == {"rows": [2, 1], "labels": [1, 1], "scores": [0.75, 0.75], "squares": [0.3125, 0.0625]}


def test_rows_of_which_no_two_share_a_bin_tell_the_bias_and_no_error():
    found = measure(residuals([0.5], np.array([True, False]), np.array([0.25, 0.75])))
    assert (found.rows, found.bias.value, found.bins) == (2, 0, (None, None))
    assert (found.error.value, found.error.low, found.error.high) == (0, 0, 0)


def test_the_intervals_are_as_sure_as_was_asked():
    sketch = residuals(EDGES, *drawn(np.random.default_rng(9), 3000, lambda p: p**2))
    sure, less = (measure(sketch, confidence=level) for level in (0.99, 0.8))
    for wide, narrow in ((sure.bias, less.bias), (sure.bins[1], less.bins[1])):
        widths = [(each.high - each.low) / 2 for each in (wide, narrow)]
        assert widths[0] / widths[1] == pytest.approx(norm.ppf(0.995) / norm.ppf(0.9))
    squares = [each.error.high**2 - each.error.value**2 for each in (sure, less)]
    assert squares[0] / squares[1] == pytest.approx(norm.ppf(0.995) / norm.ppf(0.9))


def test_two_sketches_add_up_and_those_over_different_bins_do_not():
    first, second = residuals([0.5], *SOME), residuals([0.5], *SOME)
    assert merge(first, second) == {name: [2 * value for value in values] for name, values in first.items()}
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        merge(first, residuals([], *SOME))


def stormy(days, seed, rows=200):
    """Labels of days on which all chances lie now above, now below the scores, and the days."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows)
    scores = rng.beta(2, 5, days * rows)
    chances = scores + 0.03 + rng.normal(0, 0.1, days)[day] * 4 * scores * (1 - scores)
    return rng.random(days * rows) < np.clip(chances, 0, 1), scores, day


@pytest.mark.parametrize("days", [1, 7, 30])
def test_the_intervals_of_days_that_differ_hold_what_endless_days_show(days):
    truth = measure(residuals(EDGES, *stormy(20_000, 0, 40)))
    held = {"bias": 0, "error": 0, "bin": 0, "by row": 0}
    for seed in range(200):
        known = residuals(EDGES, *stormy(30, seed))
        labels, scores, day = stormy(days, 10_000 + seed)
        found, by_row = measure(residuals(EDGES, labels, scores, day), known), measure(residuals(EDGES, labels, scores))
        held["bias"] += found.bias.low <= truth.bias.value <= found.bias.high
        held["error"] += found.error.low <= truth.error.value <= found.error.high
        held["bin"] += found.bins[2].low <= truth.bins[2].value <= found.bins[2].high
        held["by row"] += by_row.bias.low <= truth.bias.value <= by_row.bias.high
        assert (found.bias.units, found.bias.freedom) == (days, 29 + days - 1)
    assert min(held["bias"], held["error"], held["bin"]) >= 0.9 * 200, held
    assert held["by row"] < 0.7 * 200


def test_one_day_alone_tells_nothing_of_days():
    found = measure(residuals(EDGES, *stormy(1, 5)))
    assert (found.bias.low, found.bias.high, found.error.low, found.error.high) == (-np.inf, np.inf, 0, np.inf)
    assert judge(found, POLICY).outcome is Outcome.INCONCLUSIVE


def test_sketches_of_days_add_up_to_that_of_all_their_days():
    labels, scores, day = stormy(9, 6)
    early = day < 4
    parts = [residuals(EDGES, labels[some], scores[some], day[some]) for some in (early, ~early)]
    merged, whole = merge(*parts), residuals(EDGES, labels, scores, day)
    assert merged["blocks"] == whole["blocks"] == 9
    np.testing.assert_allclose(merged["moments"], whole["moments"])
    assert measure(merged).bias.high == pytest.approx(measure(whole).bias.high)


def test_a_sketch_from_before_blocks_were_kept_is_read_row_by_row():
    labels, scores, day = stormy(9, 7)
    old, new = residuals(EDGES, labels, scores), residuals(EDGES, labels, scores, day)
    found = measure(old)
    assert (found.bias.units, found.bias.freedom) == (None, None)
    assert found.bias.high - found.bias.value < 0.5 * (measure(new).bias.high - found.bias.value)
    assert "blocks" not in merge(old, new)
    assert merge(old, new) == merge(new, old)
