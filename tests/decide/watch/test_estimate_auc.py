from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from everloop.decide.policy import CostMatrix
from everloop.decide.watch.estimate import expect

COST = CostMatrix(false_positive=1, false_negative=3)
WITH_TIES = np.array([0.1, 0.2, 0.4, 0.4, 0.4, 0.7, 0.9, 0.9])


def test_the_interval_of_the_auc_by_its_definition_over_all_pairs() -> None:
    """A row that turns positive adds its ordered pairs with negatives and takes away those with positives, ties by half."""
    p, found = WITH_TIES, expect(WITH_TIES, 0.5, COST).auc
    above = (p[:, None] > p[None, :]) + (p[:, None] == p[None, :]) / 2
    with_negatives = above @ (1 - p) / (1 - p).sum()
    with_positives = p @ above / p.sum()
    gradient = (with_negatives - found.value) / p.sum() - (with_positives - found.value) / (1 - p).sum()
    spread = np.sqrt(np.sum(gradient**2 * p * (1 - p)))
    assert (found.low, found.high) == pytest.approx((found.value - 1.959964 * spread, found.value + 1.959964 * spread), abs=1e-6)


def test_the_gradient_of_the_auc_is_that_of_its_value() -> None:
    """The spread of the AUC against many labellings, ties among the scores too."""
    rng = np.random.default_rng(21)
    scores = rng.choice([0.1, 0.2, 0.4, 0.4, 0.7, 0.9], 400)
    found = expect(scores, 0.5, COST, confidence=0.6826895).auc
    seen = [roc_auc_score(rng.random(400) < scores, scores) for _ in range(400)]
    assert (found.high - found.low) / 2 == pytest.approx(np.std(seen), rel=0.12)
