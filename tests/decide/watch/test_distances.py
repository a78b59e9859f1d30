import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, norm, wasserstein_distance

from everloop.decide.watch.distances import (
    by_chance,
    cohen_h,
    jensen_shannon,
    population_stability,
    stability,
    wasserstein,
)

DECILES = norm.ppf(np.arange(1, 10) / 10)
MANY = 10**12


def histogram(rng, rows, mean=0.0):
    return np.bincount(np.searchsorted(DECILES, rng.normal(mean, 1, rows)), minlength=10).astype(float)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=8), st.data())
def test_psi_is_the_symmetric_kullback_leibler_divergence(first, data):
    second = data.draw(st.lists(st.floats(0.01, 1), min_size=len(first), max_size=len(first)))
    p, q = np.array(first) / sum(first), np.array(second) / sum(second)
    assert population_stability(p, q) == pytest.approx(entropy(p, q) + entropy(q, p), abs=1e-9)


def test_psi_by_hand():
    # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5)
    assert population_stability(np.array([0.5, 0.5]), np.array([0.6, 0.4])) == pytest.approx(0.0182321557 + 0.0223143551)


@given(st.lists(st.integers(0, 40), min_size=3, max_size=9), st.data())
def test_of_endless_samples_the_distances_are_those_of_scipy(first, data):
    second = data.draw(st.lists(st.integers(0, 40), min_size=len(first), max_size=len(first)))
    before, after = (np.array(each, dtype=float) + 1 for each in (first, second))
    edges = np.cumsum(np.arange(1, len(first), dtype=float))
    places = [*edges, edges[-1]]
    expected = wasserstein_distance(places, places, before, after) / (edges[-1] - edges[0])
    assert jensen_shannon(before * MANY, after * MANY) == pytest.approx(jensenshannon(before, after, base=2), abs=1e-6)
    assert wasserstein(edges, before * MANY, after * MANY) == pytest.approx(expected, abs=1e-6)


def test_what_is_taken_off_is_what_sampling_gives():
    """Raw statistics of two samples from one distribution, against the expectation that is taken off them."""
    rng = np.random.default_rng(3)
    pairs = [(histogram(rng, 2000), histogram(rng, 500)) for _ in range(2000)]
    chance = by_chance(*pairs[0])
    assert chance == pytest.approx(9 * (1 / 2000 + 1 / 500))
    psi = [population_stability(a / 2000, b / 500) for a, b in pairs]
    divergence = [jensenshannon(a, b, base=2) ** 2 for a, b in pairs]
    assert np.mean(psi) == pytest.approx(chance, rel=0.05)
    assert np.mean(divergence) == pytest.approx(chance / (8 * np.log(2)), rel=0.05)


@pytest.mark.parametrize("measure", [stability, jensen_shannon, lambda a, b: wasserstein(DECILES, a, b)])
def test_a_distance_is_the_same_on_few_rows_as_on_many(measure):
    rng = np.random.default_rng(7)
    moved = [np.mean([measure(histogram(rng, 20_000), histogram(rng, n, 0.8)) for _ in range(60)]) for n in (250, 2500, 25_000)]
    assert moved == pytest.approx([moved[-1]] * 3, rel=0.06)
    same = [np.mean([measure(histogram(rng, 20_000), histogram(rng, n)) for _ in range(60)]) for n in (250, 2500, 25_000)]
    assert max(same) < 0.12 * moved[-1]


def test_half_a_standard_deviation_is_what_the_default_limits_say():
    shares = np.diff(np.concatenate([[0], norm.cdf(DECILES - 0.5), [1]]))
    before, after = np.full(10, 0.1) * MANY, shares * MANY
    assert stability(before, after) == pytest.approx(0.24, abs=0.005)
    assert jensen_shannon(before, after) == pytest.approx(0.20, abs=0.005)
    assert wasserstein(DECILES, before, after) == pytest.approx(0.15, abs=0.005)


def test_the_distance_of_what_has_no_cut_points_or_no_rows_is_not_known():
    assert wasserstein(np.array([]), np.array([3.0]), np.array([3.0])) is None
    assert wasserstein(np.array([1.0]), np.array([3.0, 0]), np.array([3.0, 1])) is None
    assert wasserstein(np.array([1.0, 2.0]), np.array([3.0, 0, 1]), np.zeros(3)) is None


def test_cohens_h_by_a_published_example():
    # Zaiontz, Real Statistics, Cohen's h effect size, example 1: COHENH(.5, .6) = -.20136.
    assert cohen_h(0.6, 0.5) == pytest.approx(-0.20136, abs=1e-5)
    assert cohen_h(0.5, 0.6) == -cohen_h(0.6, 0.5)
    assert cohen_h(0.3, 0.3) == 0


# Two histograms of 40 and 20 rows, of which nobody fell into the third cell.
BEFORE, AFTER = np.array([20.0, 10, 0, 10]), np.array([4.0, 0, 0, 16])


def test_only_cells_that_hold_a_row_add_to_what_sampling_gives():
    assert by_chance(BEFORE, AFTER) == pytest.approx(2 * (1 / 40 + 1 / 20))
    assert by_chance(BEFORE, BEFORE) == pytest.approx(2 * (1 / 40 + 1 / 40))


def test_the_stability_of_small_samples_by_hand():
    """Half a row is added to each of the three cells that hold any."""
    p, q = np.array([20.5, 10.5, 10.5]) / 41.5, np.array([4.5, 0.5, 16.5]) / 21.5
    assert stability(BEFORE, AFTER) == pytest.approx(entropy(p, q) + entropy(q, p) - 2 * (1 / 40 + 1 / 20))
    assert stability(BEFORE, BEFORE) == 0
    # A cell of one row is used like any other.
    p, q = np.array([1.5, 300.5]) / 302, np.array([0.5, 4.5]) / 5
    expected = entropy(p, q) + entropy(q, p) - 1 / 301 - 1 / 4
    assert stability(np.array([1.0, 300]), np.array([0.0, 4])) == pytest.approx(expected)


def test_the_jensen_shannon_distance_of_small_samples_by_hand():
    divergence = jensenshannon(BEFORE, AFTER) ** 2
    assert jensen_shannon(BEFORE, AFTER) == pytest.approx(np.sqrt((divergence - 2 * (1 / 40 + 1 / 20) / 8) / np.log(2)))
    assert jensen_shannon(BEFORE, BEFORE) == 0


def test_the_area_between_small_samples_by_hand():
    """Cut points at 1, 2 and 5: cumulative shares 1/2 and 3/4 against 1/5 and 1/5, over a quarter and three quarters."""
    edges = np.array([1.0, 2.0, 5.0])
    area = 0.25 * (1 / 2 - 1 / 5) + 0.75 * (3 / 4 - 1 / 5)
    spread = np.sqrt(1 / 40 + 1 / 20) * (0.25 * np.sqrt(24 / 60 * 36 / 60) + 0.75 * np.sqrt(34 / 60 * 26 / 60))
    assert wasserstein(edges, BEFORE, AFTER) == pytest.approx(np.sqrt(area**2 - 2 / np.pi * spread**2))
    assert wasserstein(edges, BEFORE, BEFORE) == 0
    assert wasserstein(edges, np.zeros(4), AFTER) is None
    assert wasserstein(np.array([2.0, 2.0]), np.array([3.0, 0, 1]), np.array([3.0, 0, 1])) is None
    assert wasserstein(np.array([1.0, 1.0, 3.0]), BEFORE, AFTER) is not None
    assert wasserstein(edges[:2], np.array([900.0, 0, 100]), np.array([100.0, 0, 900])) == pytest.approx(0.8, abs=0.001)
