"""What ordinary windows show: every window of the period that a release learnt from, held against the rest of that period.

The rest leaves the window out, so that no window is its own reference. Seasons within the period, weeks in which a column has one
value, and days that move together are all part of what is ordinary. A conformal rank of n such windows never tells less than
1 / (n + 1) (Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a Random World, prop. 2.8), a quarter having 12 weeks; rarer
levels need a model of the tail. A PSI grows with the square of a displacement that few directions share, so it is a scaled
chi-squared of few degrees of freedom, whose fourth root is nearly normal (Hawkins & Wixley 1986, A note on the transformation of
chi-squared variables to normality, The American Statistician 40(4)); distances that grow with the displacement itself take the
square root; shares take the arcsine of their root, whose variance does not depend on the share. Of these roots one more window
exceeds the prediction limit with the probability that is asked for: benchmarks/drift.py measures how well that holds.

A window that is too long for `LEAST` of its length is held against shorter ones. That errs on the quiet side: f-divergences are
jointly convex (Csiszár & Shields 2004, sec. 4), and so is the area between two distributions, so a long window lies no farther
than its parts do on average.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from everloop.decide.statistics.prediction import Sample
from everloop.decide.watch.distances import Cells
from everloop.decide.watch.measures import RATES, Counted, measured
from everloop.interval import Interval

LEAST, MOST = 8, 100
"""So many windows at least, or shorter ones are taken, so that a deviation is known to a quarter of itself; more than `MOST`
would only take time."""

SEED = 1956
"""Of the draws that thin a window: the same window gives the same verdict."""


@dataclass(frozen=True, kw_only=True)
class Ordinary:
    """The root of each measure in `windows` ordinary windows of `length`."""

    length: timedelta
    windows: int
    roots: Mapping[str, Sample]

    def limit(self, measure: str, level: float) -> float:
        """What one more ordinary window exceeds with probability `level`; a rate's limit is one of the rate, not of its rise."""
        return _value(measure, self.roots[measure].upper(level))

    def __str__(self) -> str:
        names = {timedelta(days=7): "weeks", timedelta(days=1): "days", timedelta(hours=1): "hours"}
        days, rest = divmod(self.length, timedelta(days=1))
        name = names.get(self.length, f"windows of {self.length if rest else f'{days} days'}")
        return f"ordinary {name} of the training period"


def ordinary(column: Mapping[str, Any], window: Interval, rows: int, least: int) -> Ordinary | None:
    """What windows as long as `window`, thinned to as many `rows`, show against the rest of a reference's `column`.

    `least`: windows of fewer rows are none. `None` where the reference keeps no periods, or they hold fewer than `LEAST` windows
    of a block or longer.
    """
    periods = [Period.of(period) for period in column.get("periods", ())]
    blocks, found = _windows(periods, Counted.of(column), window, max(1, least))
    rng = np.random.default_rng(SEED)
    roots: dict[str, list[float]] = {}
    for rest, one in found:
        for name, value in measured(column, rest, _thinned(one, rows, rng)).items():
            roots.setdefault(name, []).append(_root(name, value))
    samples = {name: Sample.of(each) for name, each in roots.items()}
    return Ordinary(length=blocks * periods[0].width, windows=len(found), roots=samples) if found else None


@dataclass(frozen=True, eq=False)
class Period:
    """A column's counts by block of time from `start` on: `cells` (blocks, cells), `outside` (blocks,).

    `counted`: whether its rows are among those that windows are held against.
    """

    start: datetime
    width: timedelta
    cells: Cells
    outside: Cells
    counted: bool = True

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Period:
        """As a reference keeps it."""
        cells = np.asarray(told["cells"], dtype=float)
        outside = np.asarray(told["outside"], dtype=float) if "outside" in told else np.zeros(len(cells))
        start, width = datetime.fromisoformat(told["start"]), timedelta(seconds=told["seconds"])
        return cls(start, width, cells, outside, told.get("counted", True))

    def windows(self, whole: Counted, blocks: int, start: datetime) -> Iterator[tuple[Counted, Counted]]:
        """What is left of `whole`, and each window of so many blocks, `start` being the begin of one if they went on."""
        first = math.ceil((start - self.start) / self.width) % blocks
        for place in range(first, len(self.cells) - blocks + 1, blocks):
            span = slice(place, place + blocks)
            one = Counted(self.cells[span].sum(0), float(self.outside[span].sum()))
            yield whole.without(one) if self.counted else whole, one


def _windows(
    periods: Sequence[Period], whole: Counted, window: Interval, least: int
) -> tuple[int, list[tuple[Counted, Counted]]]:
    """The length of the windows in blocks, and all of them or `MOST` evenly spread; none where there are fewer than `LEAST`."""
    most = min(((window.end - window.start) // period.width for period in periods), default=0)
    for blocks in range(min(most, sum(len(period.cells) for period in periods) // LEAST), 0, -1):
        found = [pair for period in periods for pair in period.windows(whole, blocks, window.start)]
        kept = [pair for pair in found if min(one.rows for one in pair) >= least]
        if len(kept) >= LEAST:
            chosen = np.linspace(0, len(kept) - 1, min(MOST, len(kept))).round().astype(int)
            return blocks, [kept[place] for place in chosen]
    return 0, []


def _thinned(counted: Counted, rows: int, rng: np.random.Generator) -> Counted:
    """As many rows drawn from a window that has more, so that its distance has the noise of so few."""
    if counted.rows <= rows:
        return counted
    outside = rng.binomial(rows, counted.outside / counted.rows)
    return Counted(rng.multinomial(rows, counted.cells / counted.rows).astype(float), float(outside))


def _root(measure: str, value: float) -> float:
    if measure in RATES:
        return math.asin(math.sqrt(value))
    return value**0.25 if measure == "psi" else math.sqrt(value)


def _value(measure: str, root: float) -> float:
    """The inverse of `_root`."""
    if measure in RATES:
        return math.sin(min(max(root, 0.0), math.pi / 2)) ** 2
    return max(root, 0.0) ** (4 if measure == "psi" else 2)
