from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from everloop.decide.policy import CostMatrix
from everloop.learn.metrics import by_slice, measure

COST = CostMatrix(false_positive=1.0, false_negative=3.0)


def scored(rows: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    scores = random.beta(2, 5, rows)
    return random.uniform(size=rows) < scores, scores


def test_measures_agree_with_scikit_learn() -> None:
    labels, scores = scored(2_000)
    found = measure(labels, scores, 0.25, COST)
    decisions = scores >= 0.25
    assert found["auc"] == pytest.approx(reference.roc_auc_score(labels, scores))
    assert found["log_loss"] == pytest.approx(reference.log_loss(labels, scores))
    assert found["brier"] == pytest.approx(reference.brier_score_loss(labels, scores))
    assert found["precision"] == pytest.approx(reference.precision_score(labels, decisions))
    assert found["recall"] == pytest.approx(reference.recall_score(labels, decisions))
    (_, alarms), (missed, _) = reference.confusion_matrix(labels, decisions)
    assert found["cost"] == pytest.approx((alarms + 3 * missed) / 2_000)
    assert (found["rows"], found["positives"]) == (2_000, labels.sum())


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=30))
def test_measures_of_any_rows_are_finite(rows) -> None:
    labels, scores = np.array([label for label, _ in rows]), np.array([score for _, score in rows])
    assert all(np.isfinite(value) for value in measure(labels, scores, 0.5, COST).values())


def test_what_is_undefined_is_left_out() -> None:
    found = measure(np.zeros(3, dtype=bool), np.full(3, 0.1), 0.5, COST)
    assert not {"auc", "precision", "recall"} & set(found)


def test_slices_are_measured_on_their_own_rows() -> None:
    labels, scores = scored(200)
    halves = np.where(np.arange(200) < 100, "first", "second")
    found = by_slice({"half": halves}, labels, scores, 0.25, COST)
    assert found["half"]["first"] == measure(labels[:100], scores[:100], 0.25, COST)
    assert set(found["half"]) == {"first", "second"}
