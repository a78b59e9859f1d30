"""How raw scores become probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.release import Calibrator

if TYPE_CHECKING:
    import numpy.typing as npt


def calibrate(raw: npt.NDArray[np.floating], labels: npt.NDArray[np.bool_]) -> Calibrator:
    """Centered isotonic regression of labels on raw scores.

    Plain isotonic regression is a staircase: it ties scores and so throws ranking away. The centered variant keeps one point
    per stair, at the mean score of its rows, and joins them by lines (Oron & Flournoy 2017, Centered isotonic regression,
    Statistics in Biopharmaceutical Research 9(3), algorithm 1). No probability comes nearer to 0 or 1 than 1 / (rows + 2), the
    rule of succession, so that no score is infinitely sure.
    """
    from sklearn.isotonic import IsotonicRegression

    x = np.asarray(raw, dtype=np.float64)
    stairs, stair = np.unique(IsotonicRegression().fit_transform(x, labels.astype(np.float64)), return_inverse=True)
    centres = np.bincount(stair, weights=x) / np.bincount(stair)
    sure = 1 / (len(x) + 2)
    return Calibrator(x=tuple(centres.tolist()), y=tuple(np.clip(stairs, sure, 1 - sure).tolist()))
