"""How well scores fit labels: ranking, calibration, cost, and the decisions at the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from everloop.decide.policy import CostMatrix
from everloop.decide.statistics.calibration import calibration_error
from everloop.decide.statistics.compare import costs, placements

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[np.bool_]
    Scores = npt.NDArray[np.float64]


def measure(labels: Labels, scores: Scores, threshold: float, cost: CostMatrix) -> dict[str, float]:
    """The measures of at least one row. What is undefined (a one-class AUC, precision without an alarm) is left out.

    `rows`, `positives`, `label_rate`, `auc`, `log_loss`, `brier`, `ece`, `cost` (per row), `selection_rate`, `precision`,
    `recall`. Log loss clips scores at 1e-15.
    """
    decisions = scores >= threshold
    sure = np.clip(scores, 1e-15, 1 - 1e-15)
    ranks = placements(labels, scores)
    hits = int((labels & decisions).sum())
    found = {
        "rows": len(labels),
        "positives": int(labels.sum()),
        "label_rate": labels.mean(),
        "auc": ranks.auc if ranks else None,
        "log_loss": -np.log(np.where(labels, sure, 1 - sure)).mean(),
        "brier": ((scores - labels) ** 2).mean(),
        "ece": calibration_error(labels, scores),
        "cost": costs(labels, decisions, cost).mean(),
        "selection_rate": decisions.mean(),
        "precision": hits / decisions.sum() if decisions.any() else None,
        "recall": hits / labels.sum() if labels.any() else None,
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def by_slice(
    slices: Mapping[str, npt.NDArray[np.str_]], labels: Labels, scores: Scores, threshold: float, cost: CostMatrix
) -> dict[str, dict[str, dict[str, float]]]:
    """`measure` of every value of every slice: `{slice: {value: measures}}`."""
    return {
        name: {
            str(value): measure(labels[values == value], scores[values == value], threshold, cost) for value in np.unique(values)
        }
        for name, values in slices.items()
    }
