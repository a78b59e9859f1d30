"""What a release saw when it was made: the statistics that later windows are held against.

`reference.json` of a release is one JSON object:

    {
      "rows": 68123,                                    rows learnt from (fit, validation and calibration parts)
      "columns": {                                      one entry per model input, in the model's order
        "weather_hourly__temp": {"kind": "numeric", "edges": [...], "counts": [...], "missing": 12,
                                 "fences": [2.1, 75.4], "outside": 310,
                                 "periods": [{...}]},   counts by block of time: `learn.history`
        "carrier": {"kind": "category", "values": ["AA", ...], "counts": [...], "other": 0, "missing": 0, "periods": [{...}]}
      },
      "score": {"edges": [...], "counts": [...],        calibrated scores of the rows not fitted to; edges of the held-out ones
                "range": [0.03, 0.91],                  the lowest and the highest of the held-out ones
                "residuals": {"rows": [...], ...},      their labels against them, by bin: `decide.watch.concept.residuals`
                "periods": [{...}, {...}]},             rows fitted to, and later ones
      "label_rate": 0.24,                               share of positive labels among the rows learnt from
      "labels": {"units": 75, "trials": 68123, ...},    the same labels, counted by block of time: `statistics.clusters.Clusters`
      "alike": {"auc": {"correlation": 0.02, ...}},     how alike held-out rows of one block are: `decide.watch.performance.alike`
      "metrics": {"auc": 0.72, "cost": 0.51, ...}       `learn.metrics.measure` of the held-out rows
    }

`edges` are the ascending inner cut points, so there is one count more than there are edges: bin i holds
`edges[i-1] < x <= edges[i]`, the first bin everything up to `edges[0]`, the last bin everything above the last edge; that is
`numpy.searchsorted(edges, x, side="left")`. A column that is constant has one edge or none. Nulls and NaN are in `missing`
and in no bin. `other` counts category values that the model does not know. `outside` counts numbers beyond the fences, which are
in a bin too; a column of which half the rows have one value has no fences. Edges are floats of the float32 value that the
model itself sees. Releases made before `fences` and `periods` were kept have neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.decide.statistics.clusters import Clusters, Codes, Likeness
from everloop.decide.watch.concept import residuals
from everloop.decide.watch.sketch import bins, outside
from everloop.learn.history import History, numbers, places
from everloop.learn.recalibrate import Recalibration

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

BINS = 10
"""Bins of a numeric column: deciles, the customary choice for a population stability index (Siddiqi 2006, ch. 9)."""

FENCE = 2.2
"""Fences lie so many interquartile ranges beyond the quartiles, where normal samples seldom have a row: Hoaglin & Iglewicz (1987,
Fine-tuning some resistant rules for outlier labeling, JASA 82(400)), who find Tukey's 1.5 too near."""


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
    *,
    history: History | None = None,
    blocks: Blocks | None = None,
) -> dict[str, Any]:
    """The reference statistics of a release, in the format of this module's docstring; without `history` no periods,
    without `blocks` nothing by block of time.
    """
    return {
        "rows": learnt.num_rows,
        "columns": {name: _column(learnt[name], categories.get(name), history) for name in columns},
        "score": _scores(holdout_labels, holdout_scores, history, blocks.holdout if blocks else None),
        "label_rate": float(labels.mean()),
        "metrics": dict(metrics),
        **({} if blocks is None else blocks.told(labels)),
    }


def renewed(
    reference: Mapping[str, Any],
    recalibration: Recalibration,
    labels: npt.NDArray[np.bool_],
    forecasts: npt.NDArray[np.float64],
) -> dict[str, Any]:
    """The reference of a recalibration: that of the release it comes of, with the scores as they are now.

    The order of scores stays, so their bins are the same rows between other cut points. `forecasts` (n,): scores of rows before
    their `labels` were known, whose residuals tell what scores may be off by. Inputs, label rate and measures stay, so that drift
    and performance go on being held against what the booster was when it was trained.
    """
    score = dict(reference["score"])
    moved = {name: recalibration.apply(np.asarray(score[name])).tolist() for name in ("edges", "range") if name in score}
    return {**reference, "score": {**score, **moved, "residuals": residuals(moved["edges"], labels, forecasts)}}


def quantile_edges(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """At most `BINS - 1` distinct inner cut points at equal shares of `values` (finite, may be empty)."""
    if not values.size:
        return np.empty(0)
    return np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="inverted_cdf"))


def _scores(
    labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], history: History | None, blocks: Codes | None
) -> dict[str, Any]:
    edges = quantile_edges(scores).tolist()
    unfitted = scores if history is None else history.scored[-1][1]
    counts = np.bincount(bins(edges, unfitted), minlength=len(edges) + 1).tolist()
    span = {"range": [float(scores.min()), float(scores.max())]} if scores.size else {}
    periods = {} if history is None else {"periods": history.score_periods(edges)}
    return {"edges": edges, "counts": counts, **span, "residuals": residuals(edges, labels, scores, blocks), **periods}


def _column(values: pa.ChunkedArray, known: Sequence[str] | None, history: History | None) -> dict[str, Any]:
    column = _numeric(values) if known is None else _category(known)
    size = len(column["counts"])
    counts = np.bincount(places(column, values), minlength=size + 2).tolist()
    column |= {"counts": counts[:size], **({} if known is None else {"other": counts[size]}), "missing": counts[size + 1]}
    if "fences" in column:
        column["outside"] = int(outside(column["fences"], numbers(values)).sum())
    return column if history is None else column | {"periods": history.periods(column, values)}


def _category(known: Sequence[str]) -> dict[str, Any]:
    """A category without its counts."""
    return {"kind": "category", "values": list(known), "counts": [0] * len(known)}


def _numeric(values: pa.ChunkedArray) -> dict[str, Any]:
    """A numeric column without its counts."""
    found = numbers(values)
    present = found[~np.isnan(found)]
    edges = quantile_edges(present).tolist()
    return {"kind": "numeric", "edges": edges, "counts": [0] * (len(edges) + 1), **_fences(present)}


def _fences(values: npt.NDArray[np.float64]) -> dict[str, list[float]]:
    if not values.size:
        return {}
    low, high = np.quantile(values, (0.25, 0.75)).tolist()
    reach = FENCE * (high - low)
    return {"fences": [low - reach, high + reach]} if reach else {}
