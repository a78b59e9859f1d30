"""How well scores fit labels: ranking, calibration, cost, and the decisions at the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from everloop.decide.policy import CostMatrix
from everloop.decide.statistics.compare import costs, placements

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[np.bool_]
    Scores = npt.NDArray[np.float64]

BINS = 10


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


def calibration_bins(labels: Labels, scores: Scores, bins: int = BINS) -> tuple[Scores, Scores, Scores]:
    """Mean score, label rate and share of rows of `bins` bins of equal size, by score (fewer when there are fewer rows)."""
    parts = [part for part in np.array_split(np.argsort(scores, kind="stable"), bins) if part.size]
    means = np.array([[scores[part].mean(), labels[part].mean(), part.size / len(scores)] for part in parts])
    return means[:, 0], means[:, 1], means[:, 2]


def calibration_error(labels: Labels, scores: Scores, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal size (Nguyen & O'Connor 2015, Posterior calibration and exploratory
    analysis for NLP models, sec. 2; equal sizes keep every bin's rate well estimated).
    """
    score, rate, share = calibration_bins(labels, scores, bins)
    return float((share * np.abs(score - rate)).sum())


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
