"""What a release saw when it was made: the statistics that later windows are held against.

`reference.json` of a release is one JSON object:

    {
      "rows": 68123,                                    rows learnt from (fit, validation and calibration parts)
      "columns": {                                      one entry per model input, in the model's order
        "weather_hourly__temp": {"kind": "numeric", "edges": [...], "counts": [...], "missing": 12},
        "carrier": {"kind": "category", "values": ["AA", ...], "counts": [...], "other": 0, "missing": 0}
      },
      "score": {"edges": [...], "counts": [...],        calibrated scores of the held-out rows
                "range": [0.03, 0.91],                  the lowest and the highest of them
                "residuals": {"rows": [...], ...}},     their labels against them, by bin: `decide.watch.concept.residuals`
      "label_rate": 0.24,                               share of positive labels among the rows learnt from
      "labels": {"units": 75, "trials": 68123, ...},    the same labels, counted by block of time: `statistics.clusters.Clusters`
      "alike": {"auc": {"correlation": 0.02, ...}},     how alike held-out rows of one block are: `decide.watch.performance.alike`
      "metrics": {"auc": 0.72, "cost": 0.51, ...}       `learn.metrics.measure` of the held-out rows
    }

`edges` are the ascending inner cut points, so there is one count more than there are edges: bin i holds
`edges[i-1] < x <= edges[i]`, the first bin everything up to `edges[0]`, the last bin everything above the last edge; that is
`numpy.searchsorted(edges, x, side="left")`. A column that is constant has one edge or none. Nulls and NaN are in `missing`
and in no bin. `other` counts category values that the model does not know. Edges are floats of the float32 value that the
model itself sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.decide.statistics.clusters import Clusters, Codes, Likeness
from everloop.decide.watch.concept import residuals

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

BINS = 10
"""Bins of a numeric column: deciles, the customary choice for a population stability index (Siddiqi 2006, ch. 9)."""


@dataclass(frozen=True)
class Blocks:
    """The block of time of each row learnt from and of each held-out row, and how alike held-out rows of one block are."""

    learnt: Codes
    holdout: Codes
    alike: Mapping[str, Likeness]

    def told(self, labels: npt.NDArray[np.bool_]) -> dict[str, Any]:
        """What the reference keeps of them, with the labels learnt from."""
        alike = {name: asdict(one) for name, one in self.alike.items()}
        return {"labels": asdict(Clusters.counted(self.learnt, labels)), "alike": alike}


def describe(
    learnt: pa.Table,
    columns: Sequence[str],
    categories: Mapping[str, Sequence[str]],
    labels: npt.NDArray[np.bool_],
    holdout_labels: npt.NDArray[np.bool_],
    holdout_scores: npt.NDArray[np.float64],
    metrics: Mapping[str, float],
    blocks: Blocks | None = None,
) -> dict[str, Any]:
    """The reference statistics of a release, in the format of this module's docstring; by block of time where these are given."""
    return {
        "rows": learnt.num_rows,
        "columns": {
            name: _category(learnt[name], categories[name]) if name in categories else _numeric(learnt[name]) for name in columns
        },
        "score": _scores(holdout_labels, holdout_scores, blocks.holdout if blocks else None),
        "label_rate": float(labels.mean()),
        "metrics": dict(metrics),
        **({} if blocks is None else blocks.told(labels)),
    }


def quantile_edges(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """At most `BINS - 1` distinct inner cut points at equal shares of `values` (finite, may be empty)."""
    if not values.size:
        return np.empty(0)
    return np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="inverted_cdf"))


def _scores(labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], blocks: Codes | None) -> dict[str, Any]:
    edges = quantile_edges(scores)
    span = {"range": [float(scores.min()), float(scores.max())]} if scores.size else {}
    return {**_histogram(scores, edges), **span, "residuals": residuals(edges.tolist(), labels, scores, blocks)}


def _histogram(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> dict[str, Any]:
    bins = np.searchsorted(edges, values, side="left")
    return {"edges": edges.tolist(), "counts": np.bincount(bins, minlength=len(edges) + 1).tolist()}


def _numeric(column: pa.ChunkedArray) -> dict[str, Any]:
    values = column.cast("float64").to_numpy().astype(np.float32).astype(np.float64)
    present = values[~np.isnan(values)]
    return {"kind": "numeric", **_histogram(present, quantile_edges(present)), "missing": int(values.size - present.size)}


def _category(column: pa.ChunkedArray, known: Sequence[str]) -> dict[str, Any]:
    seen = {entry["values"]: entry["counts"] for entry in column.value_counts().to_pylist()}
    missing = seen.pop(None, 0)
    counts = [seen.pop(value, 0) for value in known]
    return {"kind": "category", "values": list(known), "counts": counts, "other": sum(seen.values()), "missing": missing}
