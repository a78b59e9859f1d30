"""How far a window of served rows has moved from what the release learnt from: effect sizes over fixed bins, and a verdict.

A window's counts use the bins of the release's reference statistics (`learn.reference`), so the counts of any windows add up, and
a day costs a day whatever the history.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide.policy import DriftPolicy
from everloop.decide.statistics.distance import jensen_shannon
from everloop.decide.verdict import Outcome, Reason, Verdict, combine

Counts = dict[str, Any]
"""`{"counts": [...], "missing": n}`, with `"other": n` for a category: the bins and values are those of the reference."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One column's distance from its reference, over `rows` rows.

    `psi`: population stability index, less what sampling alone gives. `jensen_shannon`: distance, 0 to 1. `wasserstein`: in
    shares of the range between the outer cut points, `None` for categories. Rates are shares of the rows.
    """

    rows: int
    psi: float
    jensen_shannon: float
    wasserstein: float | None
    missing_rate: float
    reference_missing_rate: float
    unknown_rate: float


def count(column: Mapping[str, Any], values: Sequence[Any]) -> Counts:
    """Count `values` into the bins of the reference `column`; null and NaN are missing."""
    present = [value for value in values if value is not None and value == value]
    missing = len(values) - len(present)
    if column.get("kind") == "category":
        position = {value: i for i, value in enumerate(column["values"])}
        codes = [position[value] for value in present if value in position]
        counts = np.bincount(np.asarray(codes, dtype=int), minlength=len(position)).tolist()
        return {"counts": counts, "other": len(present) - len(codes), "missing": missing}
    # The model sees float32, and the cut points are float32 values.
    bins = np.searchsorted(np.asarray(column["edges"]), np.asarray(present, dtype=np.float32).astype(float), side="left")
    return {"counts": np.bincount(bins, minlength=len(column["edges"]) + 1).tolist(), "missing": missing}


def merge(first: Counts, second: Counts) -> Counts:
    """The counts of both windows together."""
    merged: Counts = {"counts": [a + b for a, b in zip(first["counts"], second["counts"], strict=True)]}
    return merged | {name: first[name] + second[name] for name in ("other", "missing") if name in first}


def compare(column: Mapping[str, Any], counts: Counts) -> Shift | None:
    """The shift of a window's counts from the reference `column`; `None` when either holds no row."""
    before, after = _cells(column), _cells(counts)
    if not before.sum() or not after.sum():
        return None
    used = before + after > 0
    # Expectation under no shift: PSI / (1/n + 1/m) is chi-squared with cells - 1 degrees of freedom (Yurdakul & Naranjo 2020,
    # Statistical properties of the population stability index). Without this a small window or a rich category always "drifts".
    chance = float((used.sum() - 1) * (1 / before.sum() + 1 / after.sum()))
    return Shift(
        rows=int(after.sum()),
        psi=max(0.0, population_stability(_shares(before[used]), _shares(after[used])) - chance),
        jensen_shannon=jensen_shannon(tuple(before), tuple(after)),
        wasserstein=_wasserstein(column, counts) if "edges" in column else None,
        missing_rate=float(counts["missing"] / after.sum()),
        reference_missing_rate=float(column.get("missing", 0) / before.sum()),
        unknown_rate=float(counts.get("other", 0) / after.sum()),
    )


def population_stability(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]) -> float:
    """PSI of two sets of shares, each above 0: sum of (after - before) ln(after / before) (Siddiqi 2006, ch. 9)."""
    return float(np.sum((after - before) * np.log(after / before)))


def judge(columns: Mapping[str, Shift], score: Shift | None, policy: DriftPolicy) -> Verdict:
    """Fail when the score, or `share` of the watched columns, reach a PSI of `psi`. Ignored columns are not watched.

    The shifts are effect sizes, so above `minimum_rows` more rows make the verdict surer, not stricter.
    """
    rows = max((shift.rows for shift in (*columns.values(), *([score] if score else []))), default=0)
    if rows < policy.minimum_rows:
        text = f"{rows} rows were served in the window, {policy.minimum_rows} wanted to judge drift"
        return combine([Reason("drift.rows", Outcome.INCONCLUSIVE, text, {"rows": rows})])
    return combine([_columns(columns, policy), _score(score, policy)])


def unknown_ignored(columns: Mapping[str, Any], policy: DriftPolicy) -> list[str]:
    """The names in `policy.ignore` that no column has: most likely misspelt."""
    return [name for name in policy.ignore if name not in columns]


def _columns(columns: Mapping[str, Shift], policy: DriftPolicy) -> Reason:
    watched = {name: shift.psi for name, shift in columns.items() if name not in policy.ignore}
    moved = sorted((name for name in watched if watched[name] >= policy.psi), key=lambda name: -watched[name])
    share = len(moved) / len(watched) if watched else 0.0
    numbers = {"share": share, "limit": policy.share, "psi": policy.psi, "moved": {name: watched[name] for name in moved}}
    if not watched:
        return Reason("drift.columns", Outcome.INCONCLUSIVE, "no column is watched", numbers)
    most = ", ".join(f"{name} {watched[name]:.2f}" for name in moved[:3])
    text = f"{len(moved)} of {len(watched)} columns moved by a PSI of {policy.psi:g} or more{f' (most: {most})' if most else ''}"
    return Reason("drift.columns", Outcome.FAIL if moved and share >= policy.share else Outcome.PASS, text, numbers)


def _score(score: Shift | None, policy: DriftPolicy) -> Reason:
    if score is None:
        return Reason("drift.score", Outcome.INCONCLUSIVE, "no score to compare")
    outcome = Outcome.FAIL if score.psi >= policy.psi else Outcome.PASS
    text = f"the scores moved by a PSI of {score.psi:.2f}, limit {policy.psi:g}"
    return Reason("drift.score", outcome, text, {"psi": score.psi, "limit": policy.psi})


def _cells(counts: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """Bins, unknown values and missing ones: a surge of nulls is a shift too."""
    return np.array([*counts["counts"], counts.get("other", 0), counts.get("missing", 0)], dtype=float)


def _shares(cells: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shares with half a row added to each cell (Jeffreys' prior), since PSI has no value for an empty one."""
    shares: npt.NDArray[np.float64] = (cells + 0.5) / (cells.sum() + 0.5 * len(cells))
    return shares


def _wasserstein(column: Mapping[str, Any], counts: Counts) -> float | None:
    """Area between both cumulative distributions between the outer cut points, where they are known at each cut point."""
    edges = np.asarray(column["edges"], dtype=float)
    before, after = np.asarray(column["counts"], dtype=float), np.asarray(counts["counts"], dtype=float)
    if len(edges) < 2 or not before.sum() or not after.sum() or math.isclose(edges[0], edges[-1]):
        return None
    gap = np.abs(np.cumsum(before) / before.sum() - np.cumsum(after) / after.sum())[:-2]
    return float(np.sum(gap * np.diff(edges)) / (edges[-1] - edges[0]))
