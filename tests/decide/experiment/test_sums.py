"""Sums over entities, against the same numbers made from the entities themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from decide.experiment.worlds import Floats
from everloop.decide.experiment.sums import Spread, Sums

# Rows with a metric, their metric, the covariate and the rows that have one, of five entities.
VALUES = np.array([[1, 2, 3, 1], [2, 1, 5, 2], [4, 9, 0, 0], [1, 0, 1, 1], [3, 7, 8, 3]], dtype=float)


def part(numerator: Floats, denominator: Floats) -> Floats:
    """Each entity's part in the ratio of two sums, to first order (the delta method)."""
    ratio = numerator.sum() / denominator.sum()
    return (numerator - ratio * denominator) / denominator.mean()


def test_means_are_over_rows_and_the_covariates_over_the_rows_that_have_one() -> None:
    found = Sums.of(VALUES)
    assert (found.entities, found.rows, found.mean) == (5, 11, 19 / 11)
    assert found.covariate == 17 / 7


def test_the_spread_is_that_of_the_entities_parts() -> None:
    rows, metric, covariate, covered = VALUES.T
    expected = np.cov(part(metric, rows), part(covariate, covered))
    found = Sums.of(VALUES).spread
    assert found == pytest.approx((expected[0, 0], expected[1, 1], expected[0, 1]), rel=1e-12)
    assert (found.metric, found.covariate, found.shared) == found


def test_without_a_covariate_its_spread_is_nought() -> None:
    bare = VALUES * [1, 1, 0, 0]
    found = Sums.of(bare)
    assert math.isnan(found.covariate)
    assert found.spread == (pytest.approx(part(bare[:, 1], bare[:, 0]).var(ddof=1)), 0.0, 0.0)


def test_without_a_row_there_is_no_mean() -> None:
    for nothing in (Sums(), Sums.of(np.zeros((3, 4)))):
        assert nothing.rows == 0
        assert math.isnan(nothing.mean)
        assert math.isnan(nothing.covariate)


def test_a_variance_of_nought_is_not_below_it() -> None:
    alike = np.full((49, 4), 0.1) * [10, 1, 3, 10]
    assert Sums.of(alike).spread.metric >= 0
    assert Sums.of(alike).spread.covariate >= 0
    assert Sums.of(alike).spread == pytest.approx(Spread(0, 0, 0), abs=1e-12)


def test_two_batches_add_up_to_both() -> None:
    whole, merged = Sums.of(VALUES), Sums.of(VALUES[:2]) + Sums.of(VALUES[2:])
    assert (merged.entities, merged.sums.tolist(), merged.products.tolist()) == (
        5, whole.sums.tolist(), whole.products.tolist(),
    )  # fmt: skip
    assert whole.products.tolist() == [[sum(e[i] * e[j] for e in VALUES) for j in range(4)] for i in range(4)]
