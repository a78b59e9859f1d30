"""What residuals of one block share, found again from blocks that were made to share it."""

import numpy as np
import pytest

from everloop.decide.watch.concept import residuals
from everloop.decide.watch.dependence import Dependence, Residual, Spread, moments

EDGES = [0.3, 0.6]
SHARED = np.array([[0.010, 0.006, 0.0], [0.006, 0.016, -0.004], [0.0, -0.004, 0.012]])


def drawn(rng, blocks, rows, shared=SHARED, bias=(0.0, 0.05, -0.02)):
    """Scores of three bins, and labels whose chances are moved, block by block, by what its rows share."""
    block = np.repeat(np.arange(blocks), rows)
    place = rng.integers(0, 3, blocks * rows)
    scores = np.array([0.25, 0.5, 0.7])[place]
    effect = rng.multivariate_normal(bias, shared, blocks)
    return rng.random(blocks * rows) < np.clip(scores + effect[block, place], 0, 1), scores, block


def sketch(rng, blocks, rows, **changes):
    return residuals(EDGES, *drawn(rng, blocks, rows, **changes))


def test_moments_are_the_sums_of_products_over_blocks():
    found = moments(np.array([7, 7, 3, 7]), np.array([0, 1, 1, 1]), np.array([0.5, -0.25, 1.0, 0.75]), 2)
    # Block 7 has (1, 2) rows and sums (0.5, 0.5), block 3 (0, 1) and (0, 1).
    each = np.array([[1, 2, 0.5, 0.5], [0, 1, 0, 1.0]])
    assert found == {"blocks": 2, "moments": (each.T @ each).tolist()}


def test_what_blocks_share_is_found_without_bias():
    rng = np.random.default_rng(1)
    found = np.mean([Dependence.of([sketch(rng, 40, 60)]).shared for _ in range(300)], axis=0)
    assert found == pytest.approx(SHARED, abs=0.0012)


def test_two_blocks_of_two_rows_show_what_they_share():
    found = Dependence.of([residuals([], np.array([1, 1, 0, 0]), np.full(4, 0.5), np.array([0, 0, 1, 1]))])
    # Sums of 1 and -1 with a degree of freedom, 4, less four rows' variance of a third, over four pairs of rows of one block.
    assert found.shared.tolist() == [[pytest.approx((4 - 4 / 3) / 4)]]
    assert found.freedom == 1


@pytest.mark.parametrize("blocks", [2, 3, 9])
def test_what_blocks_share_is_that_of_a_loop_over_blocks(blocks):
    labels, scores, block = drawn(np.random.default_rng(blocks), blocks, 12)
    found, place = labels - scores, np.searchsorted(EDGES, scores)
    apart = found - np.array([found[place == one].mean() for one in range(3)])[place]
    cells = [[apart[(block == b) & (place == one)] for one in range(3)] for b in range(blocks)]
    sums = np.array([[cell.sum() for cell in row] for row in cells])
    sizes = np.array([[len(cell) for cell in row] for row in cells])
    alone = np.array([found[place == one].var(ddof=1) for one in range(3)])
    together = sum(np.outer(each, each) for each in sums) * blocks / (blocks - 1) - np.diag(sizes.sum(axis=0) * alone)
    pairs = sum(np.outer(each, each) for each in sizes) - np.diag(sizes.sum(axis=0))
    assert Dependence.of([residuals(EDGES, labels, scores, block)]).shared == pytest.approx(together / pairs)


def test_bins_that_no_block_holds_both_of_share_nothing():
    found = Dependence.of([residuals([0.5], np.array([1, 0, 1, 0]), np.array([0.2, 0.2, 0.8, 0.8]), np.array([0, 0, 1, 1]))])
    assert (found.shared[0, 1], found.shared[1, 0]) == (0.0, 0.0)


def test_blocks_that_share_nothing_show_nothing_on_average():
    rng = np.random.default_rng(2)
    found = np.mean([Dependence.of([sketch(rng, 40, 60, shared=np.zeros((3, 3)))]).shared for _ in range(300)], axis=0)
    assert np.abs(found).max() < 0.0005


def test_sketches_tell_together_by_their_degrees_of_freedom():
    rng = np.random.default_rng(3)
    few, many = sketch(rng, 5, 300), sketch(rng, 25, 300)
    pooled, each = Dependence.of([few, many]), [Dependence.of([one]) for one in (few, many)]
    assert pooled.freedom == 28
    assert [one.freedom for one in each] == [4, 24]
    assert pooled.shared == pytest.approx((4 * each[0].shared + 24 * each[1].shared) / 28)
    one = sketch(rng, 1, 300)
    assert Dependence.of([one, many]).shared == pytest.approx(each[1].shared)


def test_no_number_varies_by_less_than_its_rows_do_alone():
    found = Spread(np.array([0.1, 0.2]), np.array([[-0.05, 0.0], [0.0, 0.3]]))
    assert found.covariance.tolist() == [[0.1, 0.0], [0.0, 0.5]]
    assert [found.variance(np.array(each)) for each in ([1.0, 0.0], [0.0, 2.0])] == pytest.approx([0.1, 4 * 0.5])
    assert Dependence(found.shared, 5).between(np.array([[1.0, 0.0], [0.0, 0.0]])) == 0


@pytest.mark.parametrize("blocks", [1, 4])
def test_the_covariance_of_mean_residuals_is_how_they_vary_from_window_to_window(blocks):
    rng = np.random.default_rng(5)
    known = Dependence(SHARED, 100)
    windows = [sketch(rng, blocks, 200) for _ in range(2_000)]
    seen = np.cov(np.array([Residual.of(window).mean for window in windows]).T)
    told = np.mean([known.spread(window).covariance for window in windows], axis=0)
    assert told == pytest.approx(seen, abs=0.0025)
    gradient = np.array([1.0, -2.0, 0.5])
    assert np.mean([known.spread(window).variance(gradient) for window in windows]) == pytest.approx(gradient @ told @ gradient)


def test_a_number_varies_by_what_the_blocks_of_its_rows_share():
    known = Dependence(SHARED, 100)
    sums = np.array([[1.0, 0.0, 0.0], [1.0, 2.0, 0.0]])
    assert known.between(sums) == pytest.approx(0.010 + (0.010 + 4 * 0.016 + 4 * 0.006))


def test_sketches_without_blocks_and_single_blocks_tell_nothing_of_blocks():
    rng = np.random.default_rng(6)
    labels, scores, block = drawn(rng, 6, 50)
    old, one = residuals(EDGES, labels, scores), residuals(EDGES, labels, scores, np.zeros_like(block))
    assert (Dependence.of([old]).freedom, Dependence.of([one]).freedom) == (None, 0)
    alone = np.diag(Residual.of(old).variance / Residual.of(old).rows)
    for found in (Dependence.of([old]), Dependence.of([one])):
        assert found.spread(old).covariance == pytest.approx(alone)
    by_block = residuals(EDGES, labels, scores, block)
    assert Dependence.of([old, by_block]).shared == pytest.approx(Dependence.of([by_block]).shared)
    assert Dependence.of([by_block]).spread(old).covariance == pytest.approx(alone)


def test_a_bin_without_two_rows_has_the_largest_variance_of_a_rate():
    found = Residual.of({"rows": [0, 1, 2], "labels": [0, 1, 1], "scores": [0, 0.25, 1.0], "squares": [0, 0.5625, 0.5]})
    assert found.mean.tolist() == [0, 0.75, 0]
    assert found.variance.tolist() == [0.25, 0.25, 0.5]
