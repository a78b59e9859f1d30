import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, wasserstein_distance

from everloop.decide.policy import DriftPolicy
from everloop.decide.verdict import Outcome
from everloop.decide.watch.drift import Shift, compare, count, judge, merge, population_stability, unknown_ignored

RNG = np.random.default_rng(5)


def numeric(values):
    edges = np.quantile(values, np.linspace(0.1, 0.9, 9))
    return {"kind": "numeric", "edges": edges.tolist()} | count({"edges": edges}, list(values))


REFERENCE = numeric(RNG.normal(size=20_000))
CARRIERS = {"kind": "category", "values": ["AA", "B6", "UA"], "counts": [500, 300, 200], "other": 0, "missing": 0}


def shift(psi, rows=1000):
    return Shift(
        rows=rows, psi=psi, jensen_shannon=0, wasserstein=None, missing_rate=0, reference_missing_rate=0, unknown_rate=0
    )  # fmt: skip


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=8), st.data())
def test_psi_is_the_symmetric_kullback_leibler_divergence(first, data):
    second = data.draw(st.lists(st.floats(0.01, 1), min_size=len(first), max_size=len(first)))
    p, q = np.array(first) / sum(first), np.array(second) / sum(second)
    assert population_stability(p, q) == pytest.approx(entropy(p, q) + entropy(q, p), abs=1e-9)


def test_psi_by_hand():
    # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5)
    assert population_stability(np.array([0.5, 0.5]), np.array([0.6, 0.4])) == pytest.approx(0.0182321557 + 0.0223143551)


def test_values_fall_into_the_bins_of_the_reference():
    column = {"kind": "numeric", "edges": [1.0, 2.0]}
    assert count(column, [0.5, 1.0, 1.5, 2.0, 9.0, None, float("nan")]) == {"counts": [2, 2, 1], "missing": 2}
    assert count(CARRIERS, ["AA", "ZZ", None, "UA"]) == {"counts": [1, 0, 1], "other": 1, "missing": 1}


@given(st.lists(st.one_of(st.none(), st.floats(-5, 5)), max_size=50), st.lists(st.floats(-5, 5), max_size=50))
def test_counts_of_two_windows_add_up(first, second):
    assert merge(count(REFERENCE, first), count(REFERENCE, second)) == count(REFERENCE, first + second)


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
    strangers = compare(CARRIERS, count(CARRIERS, ["AA"] * 250 + ["B6"] * 150 + ["UA"] * 100 + ["XX"] * 200))
    assert (round(strangers.unknown_rate, 3), strangers.psi > 0.25) == (0.286, True)


def test_distances_equal_scipy():
    counts = count(REFERENCE, list(RNG.normal(0.5, 2, 5000)))
    found = compare(REFERENCE, counts)
    before, after = [*REFERENCE["counts"], 0, REFERENCE["missing"]], [*counts["counts"], 0, counts["missing"]]
    assert found.jensen_shannon == pytest.approx(jensenshannon(before, after, base=2))
    edges = np.array(REFERENCE["edges"])
    places = [*edges, edges[-1]]
    expected = wasserstein_distance(places, places, REFERENCE["counts"], counts["counts"]) / (edges[-1] - edges[0])
    assert found.wasserstein == pytest.approx(expected)


def test_an_empty_window_has_no_shift_to_speak_of():
    assert compare(REFERENCE, count(REFERENCE, [])) is None


def test_a_constant_column_is_compared_without_edges():
    constant = {"kind": "numeric", "edges": [], "counts": [100], "missing": 0}
    found = compare(constant, count(constant, [1.0] * 50))
    assert (found.psi, found.wasserstein) == (0, None)


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


def test_the_verdict_names_the_columns_that_moved_most():
    verdict = judge({"temp": shift(0.4), "wind": shift(0.9)}, shift(0.0), POLICY)
    assert "wind 0.90, temp 0.40" in verdict.because()


def test_ignored_names_that_no_column_has_are_found():
    assert unknown_ignored({"a": 1}, POLICY) == ["season"]
