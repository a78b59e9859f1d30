"""The pictures that a reviewer looks at, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.decide.statistics.calibration import calibration_bins

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[np.bool_]
    Scores = npt.NDArray[np.float64]

SHOWN = 20
"""Inputs in the importance plot."""


def plots(labels: Labels, scores: Scores, threshold: float, importance: Mapping[str, float]) -> dict[str, bytes]:
    """File name to PNG: precision-recall curve, calibration, score distribution, importance."""
    return {
        "precision_recall.png": _precision_recall(labels, scores),
        "calibration.png": _calibration(labels, scores),
        "scores.png": _distribution(labels, scores, threshold),
        "importance.png": _importance(importance),
    }


def _axes(title: str, x: str, y: str, height: float = 4.0) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    return figure, axes


def _png(figure: Any) -> bytes:
    content = io.BytesIO()
    # Without the library's version in it, equal pictures are equal bytes.
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _precision_recall(labels: Labels, scores: Scores) -> bytes:
    figure, axes = _axes("Precision and recall, held-out rows", "recall", "precision")
    hits = np.cumsum(labels[np.argsort(-scores, kind="stable")])
    axes.plot(hits / max(1, hits[-1]), hits / np.arange(1, len(hits) + 1), color="C0")
    axes.axhline(labels.mean(), color="0.6", linestyle="--", label="label rate")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    return _png(figure)


def _calibration(labels: Labels, scores: Scores) -> bytes:
    figure, axes = _axes("Calibration, held-out rows", "mean score", "label rate")
    score, rate, _ = calibration_bins(labels, scores)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--")
    axes.plot(score, rate, marker="o", color="C0")
    return _png(figure)


def _distribution(labels: Labels, scores: Scores, threshold: float) -> bytes:
    figure, axes = _axes("Scores, held-out rows", "score", "rows")
    edges = np.linspace(0, 1, 41)
    axes.hist([scores[~labels], scores[labels]], bins=edges, stacked=True, label=["negative", "positive"])
    axes.axvline(threshold, color="black", linestyle="--", label="threshold")
    axes.legend()
    return _png(figure)


def _importance(importance: Mapping[str, float]) -> bytes:
    top = list(importance.items())[:SHOWN][::-1]
    figure, axes = _axes("Mean absolute contribution", "log-odds", "", height=1 + 0.25 * len(top))
    axes.barh([name for name, _ in top], [value for _, value in top], color="C0")
    return _png(figure)
