from dataclasses import asdict
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from everloop.decide.policy import DriftPolicy
from everloop.decide.statistics.clusters import Clusters, correlation
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.statistics.prediction import Sample
from everloop.decide.verdict import Outcome, Reason
from everloop.decide.watch.drift import (
    LabelShift,
    column_level,
    compare_labels,
    judge,
    judge_labels,
    moved,
    moved_share,
    score_level,
    strangers,
    unknown_ignored,
)
from everloop.decide.watch.ordinary import Ordinary
from everloop.decide.watch.shift import Shift, compare
from everloop.decide.watch.sketch import count

RNG = np.random.default_rng(5)


def numeric(values):
    edges = np.quantile(values, np.linspace(0.1, 0.9, 9))
    return {"kind": "numeric", "edges": edges.tolist()} | count({"edges": edges}, list(values))


REFERENCE = numeric(RNG.normal(size=20_000))
CARRIERS = {"kind": "category", "values": ["AA", "B6", "UA"], "counts": [500, 300, 200], "other": 0, "missing": 0}


def shift(psi=0.0, rows=1000, **changes):
    still = {"jensen_shannon": 0, "wasserstein": None, "missing_rate": 0, "reference_missing_rate": 0, "unknown_rate": 0}
    return Shift(rows=rows, psi=psi, **(still | changes))


def test_the_same_distribution_has_no_shift_at_any_window_size():
    for rows in (200, 1000, 20_000):
        found = [compare(REFERENCE, count(REFERENCE, list(RNG.normal(size=rows)))).psi for _ in range(20)]
        assert np.mean(found) < 0.02


def test_a_moved_column_has_the_same_shift_at_any_window_size():
    values = [
        np.mean([compare(REFERENCE, count(REFERENCE, list(RNG.normal(0.8, 1, rows)))).psi for _ in range(20)])
        for rows in (300, 3000, 30_000)
    ]
    assert values == pytest.approx([values[-1]] * 3, rel=0.15)
    assert values[-1] > 0.25


def test_the_verdict_does_not_depend_on_how_many_rows_there_are():
    """At a shift a little below or above the limits, from small windows to large ones."""
    for mean, outcome in ((0.35, Outcome.PASS), (0.7, Outcome.FAIL)):
        for rows in (400, 4000, 40_000):
            verdicts = []
            for _ in range(20):
                found = compare(REFERENCE, count(REFERENCE, list(RNG.normal(mean, 1, rows))))
                verdicts.append(judge({"x": found}, found, DriftPolicy()).outcome)
            assert verdicts.count(outcome) >= 19, (mean, rows)


def test_a_rich_category_does_not_drift_because_the_window_is_small():
    names = [f"airport {i}" for i in range(100)]
    weights = RNG.dirichlet(np.ones(100))
    reference = {"kind": "category", "values": names, "other": 0, "missing": 0}
    reference["counts"] = RNG.multinomial(80_000, weights).tolist()
    window = count(reference, list(RNG.choice(names, p=weights, size=400)))
    assert compare(reference, window).psi < 0.1


def test_missing_and_unknown_values_are_a_shift():
    nulls = compare(REFERENCE, count(REFERENCE, [*RNG.normal(size=600), *[None] * 400]))
    assert (nulls.missing_rate, nulls.psi > 0.25) == (0.4, True)
    found = compare(CARRIERS, count(CARRIERS, ["AA"] * 250 + ["B6"] * 150 + ["UA"] * 100 + ["XX"] * 200))
    assert (round(found.unknown_rate, 3), found.psi > 0.25) == (0.286, True)


def test_mass_that_moves_far_is_seen_where_little_of_it_moves():
    reference = {"kind": "numeric", "edges": [0.0, 1.0, 100.0], "counts": [400, 400, 100, 100], "missing": 0}
    found = compare(reference, {"counts": [400, 280, 220, 100], "missing": 0})
    assert found.psi < 0.25
    assert set(found.beyond(DriftPolicy(wasserstein=0.1))) == {"wasserstein"}


def test_an_empty_window_has_no_shift_to_speak_of():
    assert compare(REFERENCE, count(REFERENCE, [])) is None


def test_a_constant_column_is_compared_without_edges():
    constant = {"kind": "numeric", "edges": [], "counts": [100], "missing": 0}
    found = compare(constant, count(constant, [1.0] * 50))
    assert (found.psi, found.wasserstein) == (0, None)


@pytest.mark.parametrize(
    ("changes", "measures"),
    [
        ({"psi": 0.24, "jensen_shannon": 0.9}, set()),
        ({"psi": 0.25}, {"psi"}),
        ({"wasserstein": 0.2}, {"wasserstein"}),
        ({"missing_rate": 0.3, "reference_missing_rate": 0.25}, set()),
        ({"missing_rate": 0.3, "reference_missing_rate": 0.1}, {"missing_rate"}),
        ({"missing_rate": 0.0, "reference_missing_rate": 0.9}, set()),
        ({"unknown_rate": 0.2}, {"unknown_rate"}),
        ({"unknown_rate": 0.2, "reference_unknown_rate": 0.15}, set()),
    ],
)
def test_a_column_moves_by_every_measure_with_a_limit_and_by_no_other(changes, measures):
    found = shift(**changes)
    assert set(found.beyond(DriftPolicy())) == measures
    assert bool(measures) == bool(moved({"x": found}, DriftPolicy()))
    assert judge({"x": shift()}, found, DriftPolicy()).outcome is (Outcome.FAIL if measures else Outcome.PASS)


POLICY = DriftPolicy(psi=0.25, share=0.5, minimum_rows=200, ignore=("season",))


@pytest.mark.parametrize(
    ("columns", "score", "outcome"),
    [
        ({}, None, Outcome.INCONCLUSIVE),
        ({"a": shift(0.9, 199)}, shift(0.9, 199), Outcome.INCONCLUSIVE),
        ({"a": shift(0.1), "b": shift(0.9)}, shift(0.0), Outcome.FAIL),
        ({"a": shift(0.1), "b": shift(0.1), "c": shift(0.9)}, shift(0.0), Outcome.PASS),
        ({"a": shift(0.1), "season": shift(0.9)}, shift(0.0), Outcome.PASS),
        ({"a": shift(0.0)}, shift(0.3), Outcome.FAIL),
        ({"a": shift(0.0)}, None, Outcome.INCONCLUSIVE),
        ({"season": shift(0.9)}, shift(0.0), Outcome.INCONCLUSIVE),
    ],
)
def test_a_window_violates_by_its_share_of_watched_columns_or_its_score(columns, score, outcome):
    assert judge(columns, score, POLICY).outcome is outcome


@settings(max_examples=50)
@given(st.lists(st.floats(0, 2), min_size=1, max_size=6), st.integers(0, 5), st.floats(0, 2))
def test_more_drift_never_improves_the_verdict(psi, position, more):
    worse = list(psi)
    worse[position % len(psi)] += more
    before, after = (
        judge({str(i): shift(p) for i, p in enumerate(values)}, shift(0.0), POLICY).passed for values in (psi, worse)
    )
    assert before >= after


def test_the_verdict_names_the_columns_that_moved_most_and_by_what():
    columns = {"temp": shift(0.4), "wind": shift(0.9), "gust": shift(missing_rate=0.5)}
    assert "wind psi 0.90, temp psi 0.40, gust missing_rate 0.50" in judge(columns, shift(0.0), POLICY).because()


def test_ignored_names_that_no_column_has_are_found():
    assert unknown_ignored({"a": 1}, POLICY) == ["season"]


def test_unknown_values_of_an_ignored_column_are_told_too():
    assert strangers({"season": shift(unknown_rate=0.4), "a": shift(unknown_rate=0.05)}, POLICY) == {"season": 0.4}


# Sixty days of 800 labels, half of them with 16 % and half with 32 % positive.
DAYS = Clusters.of([800] * 60, [128, 256] * 30)
LEARNT = {"rows": 48_000, "label_rate": 0.24, "labels": asdict(DAYS)}


def a_week(*positives):
    """Days of 1,000 labels, so many of them positive."""
    return Clusters.of([1_000] * len(positives), positives)


def labels(positives, rows=1000):
    """Of which none move together, held against such ones."""
    alone = asdict(Clusters.independent(48_000, 11_520))
    return compare_labels({**LEARNT, "labels": alone}, Clusters.independent(rows, positives))


def test_labels_that_became_more_frequent_fail_and_say_so():
    found = labels(360)
    assert (found.rate, found.reference_rate, found.effect.rows) == (0.36, 0.24, 1000)
    reason = judge_labels(found, DriftPolicy())
    assert reason.outcome is Outcome.FAIL
    assert "36.0% of 1,000 rows of 1,000 blocks of time are positive, 24.0%" in reason.text


def test_the_effect_is_known_by_as_many_labels_as_those_of_a_day_are_worth():
    week = a_week(*[300, 400] * 3)
    found = compare_labels(LEARNT, week)
    alike = correlation([week, DAYS])
    worth = [arm.trials / arm.design_effect(alike) for arm in (week, DAYS)]
    half = stats.t.ppf(0.975, 5 + 59) * np.sqrt(1 / worth[0] + 1 / worth[1])
    assert 20 < worth[0] < 500
    assert (found.effect.low, found.effect.high) == pytest.approx((found.effect.value - half, found.effect.value + half))
    assert (found.effect.units, found.effect.freedom) == (6, 64)


def test_one_day_is_judged_by_how_days_differ_where_the_release_learnt():
    """A storm is no ordinary day; a day a little above the mean is one, whatever the number of its labels."""
    assert judge_labels(compare_labels(LEARNT, a_week(900)), DriftPolicy()).outcome is Outcome.FAIL
    assert judge_labels(compare_labels(LEARNT, a_week(350)), DriftPolicy()).outcome is Outcome.INCONCLUSIVE
    unknown = compare_labels({"rows": 48_000, "label_rate": 0.24}, a_week(900))
    assert (unknown.effect.low, unknown.effect.high) == (-np.inf, np.inf)
    assert judge_labels(unknown, DriftPolicy()).outcome is Outcome.INCONCLUSIVE


def test_a_release_that_kept_no_labels_by_day_counts_them_one_by_one():
    found = compare_labels({"rows": 48_000, "label_rate": 0.24}, a_week(*[240] * 7))
    half = stats.t.ppf(0.975, 6) * np.sqrt(1 / 7_000 + 1 / 48_000)
    assert (found.effect.low, found.effect.high) == pytest.approx((-half, half))


@pytest.mark.parametrize(("shift", "alarms"), [(0.0, (0.03, 0.08)), (0.25, (0.6, 1.0))])
def test_weeks_whose_days_are_those_that_were_learnt_from_seldom_alarm(shift, alarms):
    rng, found = np.random.default_rng(5), []
    for _ in range(600):
        before, after = (rng.binomial(900, rng.beta(2.4, 7.6, days) * (1 - move) + move) for days, move in ((75, 0), (7, shift)))
        learnt = Clusters.of([900] * 75, before)
        reference = {"rows": 67_500, "label_rate": learnt.rate, "labels": asdict(learnt)}
        reason = judge_labels(compare_labels(reference, Clusters.of([900] * 7, after)), DriftPolicy())
        found.append(reason.outcome is Outcome.FAIL)
    assert alarms[0] <= np.mean(found) <= alarms[1]


@pytest.mark.parametrize(
    ("found", "policy", "outcome"),
    [
        (labels(270), DriftPolicy(), Outcome.PASS),
        (labels(290), DriftPolicy(), Outcome.PASS),
        (labels(310), DriftPolicy(), Outcome.INCONCLUSIVE),
        (labels(150), DriftPolicy(), Outcome.FAIL),
        (labels(100, 199), DriftPolicy(), Outcome.INCONCLUSIVE),
        (labels(0, 0), DriftPolicy(), Outcome.INCONCLUSIVE),
        (compare_labels({"label_rate": 0.2}, Clusters.independent(9, 5)), DriftPolicy(), Outcome.INCONCLUSIVE),
        (labels(900), DriftPolicy(label=None), Outcome.INCONCLUSIVE),
    ],
)
def test_few_labels_or_no_limit_are_no_pass(found, policy, outcome):
    assert judge_labels(found, policy).outcome is outcome


def test_limits_that_nothing_could_keep_are_refused():
    assert DriftPolicy().problems() == []
    (problem, other) = DriftPolicy(wasserstein=0.0, share=3).problems()
    assert "share is 3" in problem
    assert "DriftPolicy.wasserstein is 0.0: a limit must be above 0, or None" in other


LIMITS = {"psi": 0.25, "wasserstein": 0.15, "missing_rate": 0.1, "unknown_rate": 0.1, "outside_rate": 0.1}
UNKNOWN = {"limits": LIMITS, "ordinary": {}, "level": 0.025}
"""Nothing is known of ordinary windows."""


def reasons(verdict):
    return {reason.check: (str(reason.outcome), reason.text, reason.numbers) for reason in verdict.reasons}


def test_the_verdict_tells_what_moved_in_words_and_numbers():
    columns = {"a": shift(0.1), "wind": shift(0.5, unknown_rate=0.2), "season": shift(2.0)}
    by = {"psi": 0.5, "unknown_rate": 0.2}
    assert reasons(judge(columns, shift(0.25, wasserstein=0.16), POLICY)) == {
        "drift.columns": (
            "fail",
            "1 of 2 columns moved (most: wind psi 0.50, unknown_rate 0.20)",
            {"share": 0.5, "limit": 0.5, "moved": {"wind": by}, **UNKNOWN, "ordinary": {"wind": {}}, "level": 0.0125},
        ),
        "drift.score": (
            "fail",
            "the scores moved by psi 0.25, wasserstein 0.16, limit of the PSI 0.25",
            {"psi": 0.25, "limit": 0.25, "beyond": {"psi": 0.25, "wasserstein": 0.16}, **UNKNOWN},
        ),
    }


def test_the_verdict_tells_what_did_not_move():
    assert reasons(judge({"a": shift(0.1)}, shift(0.03), POLICY)) == {
        "drift.columns": ("pass", "0 of 1 columns moved", {"share": 0.0, "limit": 0.5, "moved": {}, **UNKNOWN}),
        "drift.score": (
            "pass",
            "the scores moved by psi 0.03, limit of the PSI 0.25",
            {"psi": 0.03, "limit": 0.25, "beyond": {}, **UNKNOWN},
        ),
    }


def test_the_verdict_tells_why_it_cannot_say():
    assert reasons(judge({"a": shift(0.9, 150)}, shift(0.9, 199), POLICY)) == {
        "drift.rows": ("inconclusive", "199 rows were served in the window, 200 wanted to judge drift", {"rows": 199})
    }
    assert reasons(judge({}, None, POLICY))["drift.rows"][2] == {"rows": 0}
    found = reasons(judge({"season": shift(0.9)}, None, POLICY))
    assert [(outcome, text) for outcome, text, _ in found.values()] == [
        ("inconclusive", "no column is watched"),
        ("inconclusive", "no score to compare"),
    ]
    assert judge({"a": shift(0.0, 200)}, shift(0.0, 200), POLICY).passed


def test_the_columns_that_moved_most_are_told_three_at_most():
    columns = {name: shift(psi) for name, psi in (("a", 0.3), ("b", 0.6), ("c", 0.5), ("d", 0.4), ("e", 0.1))}
    assert list(moved(columns, POLICY)) == ["b", "c", "d", "a"]
    assert judge(columns, shift(), POLICY).because() == "4 of 5 columns moved (most: b psi 0.60, c psi 0.50, d psi 0.40)"


def test_the_label_is_told_in_words_and_numbers():
    found = labels(360)
    numbers = {"rate": 0.36, "reference": 0.24, "limit": 0.2} | asdict(found.effect)
    text = "36.0% of 1,000 rows of 1,000 blocks of time are positive, 24.0% of those learnt (h +0.26 [+0.20, +0.33]"
    assert judge_labels(found, DriftPolicy()) == Reason("drift.label", Outcome.FAIL, f"{text}, limit 0.2)", numbers)
    unlimited = Reason("drift.label", Outcome.INCONCLUSIVE, f"{text}; no limit is set)", numbers | {"limit": None})
    assert judge_labels(found, DriftPolicy(label=None)) == unlimited
    few = Reason("drift.label", Outcome.INCONCLUSIVE, "199 labels are too few to judge their rate: 200 wanted", {"rows": 199})
    assert judge_labels(labels(40, 199), DriftPolicy()) == few
    assert judge_labels(None, DriftPolicy()).numbers == {"rows": 0}
    assert judge_labels(labels(48, 200), DriftPolicy()).outcome is Outcome.PASS
    fallen = LabelShift(rate=0.1, reference_rate=0.2, effect=Estimate(value=-0.2, low=-0.3, high=-0.01, rows=500))
    assert judge_labels(fallen, DriftPolicy()).outcome is Outcome.FAIL


def test_a_shift_tells_the_rates_of_both_sides():
    reference = CARRIERS | {"other": 250, "missing": 750}
    found = compare(reference, count(CARRIERS, ["AA"] * 6 + ["XX"] * 3 + [None]))
    assert (found.rows, found.wasserstein) == (10, None)
    assert (found.missing_rate, found.reference_missing_rate) == (0.1, 0.375)
    assert (found.unknown_rate, found.reference_unknown_rate) == (0.3, 0.125)
    assert compare({"kind": "category", "values": ["AA"], "counts": [0]}, count(CARRIERS, ["AA"])) is None
    assert compare(REFERENCE, count(REFERENCE, [0.0])).reference_unknown_rate == 0


def ordinary(days=7, **most):
    """Windows that do not differ from each other: `most` is what they show, at any level."""
    roots = {
        name: Sample(mean=value ** (0.25 if name == "psi" else 0.5), deviation=0.0, count=12) for name, value in most.items()
    }
    return Ordinary(length=timedelta(days=days), windows=12, roots=roots)


@pytest.mark.parametrize(
    ("share", "watched", "level"),
    [
        (0.3, 10, 0.025 * 3 / 10),
        (0.3, 9, 0.025 * 3 / 9),
        (0.05, 27, 0.025 * 2 / 27),
        (0.0, 4, 0.025 / 4),
        (1.0, 4, 0.025),
        (0.3, 0, 0.025),
    ],
)
def test_each_column_is_judged_at_the_share_of_the_level_that_must_move(share, watched, level):
    columns = {str(i): shift() for i in range(watched)} | {"season": shift()}
    policy = DriftPolicy(share=share, ignore=("season",))
    assert column_level(columns, policy) == pytest.approx(level)
    assert column_level(columns, DriftPolicy(share=share, ignore=("season",), false_alarms=0.1)) == pytest.approx(2 * level)
    assert score_level(policy) == 0.025


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.floats(0.01, 1), st.integers(0, 10_000))
def test_ordinary_windows_fail_by_their_columns_half_as_often_as_may_be(count, share, seed):
    """Whatever columns have to do with each other: of the rule of k of m the worst case."""
    policy = DriftPolicy(share=share, wasserstein=None, missing_rate=None, unknown_rate=None, outside_rate=None, psi=1e-9)
    columns = {str(i): shift() for i in range(count)}
    must = next(k for k in range(1, count + 1) if k / count >= share - 1e-9)
    # With p-values spread evenly over (0, level), k at a time, k or more columns move as often as m * level / k says.
    assert count * column_level(columns, policy) / must == pytest.approx(0.025)
    rng = np.random.default_rng(seed)
    moving = {str(i): shift(1.0) for i in rng.choice(count, must, replace=False)}
    assert judge(columns | moving, shift(), policy).outcome is Outcome.FAIL
    fewer = dict(list(moving.items())[1:])
    assert judge(columns | fewer, shift(), policy).passed


def test_what_ordinary_windows_show_has_not_moved():
    usual = shift(4.0, ordinary=ordinary(psi=4.2))
    assert judge({"precinct": usual}, shift(0.3, ordinary=ordinary(psi=0.5)), DriftPolicy()).passed
    assert moved_share({"precinct": usual, "temp": shift(5.0, ordinary=ordinary(psi=4.2))}, DriftPolicy()) == 0.5
    assert judge({"precinct": usual}, shift(0.6, ordinary=ordinary(psi=0.5)), DriftPolicy()).outcome is Outcome.FAIL


def test_the_verdict_names_what_ordinary_windows_show():
    columns = {
        "temp": shift(9.0, ordinary=ordinary(psi=4.0)),
        "precinct": shift(4.0, ordinary=ordinary(psi=4.2)),
        "still": shift(0.0, ordinary=ordinary(psi=4.2)),
    }
    found = judge(columns, shift(0.3, ordinary=ordinary(days=2, psi=0.5)), DriftPolicy(share=0.3))
    first, second = found.reasons
    assert first.text == (
        "1 of 3 columns moved (most: temp psi 9.00 (ordinary weeks of the training period show up to 4.00)), "
        "1 more only as in ordinary weeks of the training period"
    )
    assert first.numbers["ordinary"] == {"temp": {"psi": pytest.approx(4.0)}}
    assert second.text == (
        "the scores moved by psi 0.30 (ordinary windows of 2 days of the training period show up to 0.50), limit of the PSI 0.25"
    )
    assert (second.numbers["ordinary"], second.outcome) == ({"psi": pytest.approx(0.5)}, Outcome.PASS)


def test_numbers_beyond_the_fences_are_no_strangers():
    assert strangers({"temp": shift(outside_rate=0.9)}, DriftPolicy()) == {}
    assert moved({"temp": shift(outside_rate=0.9)}, DriftPolicy()) == {"temp": {"outside_rate": 0.9}}


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1])
def test_a_level_of_false_alarms_that_is_none_is_refused(level):
    (problem,) = DriftPolicy(false_alarms=level).problems()
    assert problem == f"DriftPolicy.false_alarms is {level}: it must lie in (0, 1)"
    (other,) = DriftPolicy(outside_rate=level - 2).problems()
    assert "DriftPolicy.outside_rate" in other
