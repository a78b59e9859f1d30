from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from everloop.decide.statistics.calibration import calibration_error
from everloop.decide.statistics.compare import auc
from everloop.learn.calibrate import calibrate
from everloop.learn.scoring import calibrated


def overconfident(rows: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are too sure of themselves, and labels."""
    random = np.random.default_rng(seed)
    truth = random.uniform(0.05, 0.95, rows)
    logit = np.log(truth / (1 - truth))
    return (1 / (1 + np.exp(-3 * logit))).astype(np.float32), random.uniform(size=rows) < truth


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=60))
def test_breakpoints_ascend_and_stay_off_zero_and_one(rows) -> None:
    raw, labels = np.array([score / 20 for score, _ in rows]), np.array([label for _, label in rows])
    found = calibrate(raw, labels)
    assert np.all(np.diff(found.x) > 0)
    assert np.all(np.diff(found.y) >= 0)
    assert 1 / (len(rows) + 2) <= found.y[0] <= found.y[-1] <= 1 - 1 / (len(rows) + 2)


def test_each_stair_of_isotonic_regression_keeps_its_height_at_its_centre() -> None:
    raw, labels = np.array([0.1, 0.2, 0.4, 0.5, 0.7, 0.9]), np.array([0, 1, 0, 1, 1, 0], dtype=bool)
    stairs = IsotonicRegression().fit(raw, labels.astype(float)).predict(raw)
    found = calibrate(raw, labels)
    assert np.allclose(found.x, [raw[np.isclose(stairs, height)].mean() for height in np.unique(stairs)])
    assert np.allclose(found.y, np.clip(np.unique(stairs), 1 / 8, 7 / 8))


def test_calibration_mends_overconfident_scores_and_keeps_their_ranking() -> None:
    fitting, known = overconfident(5_000)
    raw, labels = overconfident(5_000, seed=4)
    mended = calibrated(raw, calibrate(fitting, known))
    assert calibration_error(labels, raw.astype(float)) > 0.1
    assert calibration_error(labels, mended) < 0.03
    ours, theirs = auc(labels, mended), auc(labels, raw.astype(float))
    assert ours is not None
    assert theirs is not None
    assert abs(ours.value - theirs.value) < 0.002
