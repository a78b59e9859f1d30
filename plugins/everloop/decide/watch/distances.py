"""How far two histograms lie apart, less what sampling alone gives: the same answer on few rows as on many.

Of two samples from one distribution, `(1/n + 1/m) * (cells - 1)` is the expectation of the sum of `(p - q)^2 / p`. PSI is that
sum to second order, and the Jensen-Shannon divergence an eighth of it: every f-divergence is a multiple of it (Csiszár & Shields
2004, Information theory and statistics: a tutorial, on f-divergences near each other).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from everloop.decide.statistics.distance import jensen_shannon as raw_jensen_shannon

Cells = npt.NDArray[np.float64]


def by_chance(before: Cells, after: Cells) -> float:
    """What sampling alone adds to a PSI, in expectation: `(cells - 1) (1/n + 1/m)`, over the cells that hold any row.

    PSI / (1/n + 1/m) is chi-squared with cells - 1 degrees of freedom under no shift (Yurdakul & Naranjo 2020, Statistical
    properties of the population stability index). Left in, a small window or a rich category always "drifts".
    """
    return float((np.count_nonzero(before + after) - 1) * (1 / before.sum() + 1 / after.sum()))


def population_stability(before: Cells, after: Cells) -> float:
    """PSI of two sets of shares, each above 0: sum of (after - before) ln(after / before) (Siddiqi 2006, ch. 9)."""
    return float(np.sum((after - before) * np.log(after / before)))


def stability(before: Cells, after: Cells) -> float:
    """PSI of two histograms, less `by_chance`; at least 0."""
    used = before + after > 0
    return max(0.0, population_stability(_shares(before[used]), _shares(after[used])) - by_chance(before, after))


def jensen_shannon(before: Cells, after: Cells) -> float:
    """Jensen-Shannon distance of two histograms (0 to 1, base 2; Lin 1991, eq. 3.10), less what sampling alone gives.

    Twice the rows, the divergence in nats and any weights make a chi-squared variable (Grosse, Bernaola-Galván, Carpena,
    Román-Roldán, Oliver & Stanley 2002, Analysis of symbolic sequences using the Jensen-Shannon divergence); with equal weights
    its expectation is `by_chance / 8` nats. It comes off the divergence; the distance is the root of the rest.
    """
    divergence = raw_jensen_shannon(tuple(before), tuple(after)) ** 2
    return math.sqrt(max(0.0, divergence - by_chance(before, after) / (8 * math.log(2))))


def wasserstein(edges: Cells, before: Cells, after: Cells) -> float | None:
    """Area between both cumulative distributions, in shares of the range between the outer cut points, less the sampling part.

    `edges` (k,), the histograms' bins (k + 1,). What lies beyond the outer cut points is not known and not counted. The sampling
    part is the area expected of one distribution: `sqrt(2 / pi) * integral of sqrt(F (1 - F) (1/n + 1/m))`, the mean of a
    Brownian bridge's absolute area (del Barrio, Giné & Matrán 1999, Central limit theorems for the Wasserstein distance between
    the empirical and the true distributions). It comes off in squares, so that it vanishes beside a real move. `None` without two
    cut points or without rows.
    """
    n, m = before.sum(), after.sum()
    if len(edges) < 2 or not n or not m or math.isclose(edges[0], edges[-1]):
        return None
    widths = np.diff(edges) / (edges[-1] - edges[0])
    first, second, pooled = (_cumulative(each) for each in (before, after, before + after))
    area = float(np.sum(np.abs(first - second) * widths))
    expected = math.sqrt(2 / math.pi) * float(np.sum(np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m)) * widths))
    return math.sqrt(max(0.0, area**2 - expected**2))


def cohen_h(before: float, after: float) -> float:
    """Effect size of two rates, signed as `after - before`.

    `h = 2 asin(sqrt(p)) - 2 asin(sqrt(q))` (Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, ch. 6), whose
    variance is 1/n + 1/m of independent rows, whatever the rates.
    """
    return 2 * math.asin(math.sqrt(after)) - 2 * math.asin(math.sqrt(before))


def _cumulative(counts: Cells) -> Cells:
    """The cumulative share at each cut point but the last, where the area's last piece ends."""
    found: Cells = (np.cumsum(counts) / counts.sum())[:-2]
    return found


def _shares(cells: Cells) -> Cells:
    """Shares with half a row added to each cell (Jeffreys' prior), since PSI has no value for an empty one."""
    shares: Cells = (cells + 0.5) / (cells.sum() + 0.5 * len(cells))
    return shares
