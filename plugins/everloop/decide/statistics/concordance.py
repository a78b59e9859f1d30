"""Whether two scores put the same rows in the same order: pairs of rows that they order differently, by independent units.

Every row stands in one pair at most, and pairs are made as rows come, so that what is known at one look stays at the next: rows
that are independent give pairs that are, for which any interval of a rate holds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from everloop.decide.statistics.clusters import Clusters

Codes = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


def disordered(ours: Floats, theirs: Floats, entities: Codes) -> Clusters:
    """Pairs of rows that `theirs` orders; hits are those that `ours` orders the other way round, half a hit one that it ties.

    Scores and codes of entities, shape (rows,), in order of time. The rate is `(1 - d) / 2` of Somers' d (1962, A new asymmetric
    measure of association for ordinal variables, American Sociological Review 27(6)): 0 for the same order, a half for orders
    that have nothing to do with each other, or for one score for all. Entities are coupled as they first appear, the first with
    the second and so on; within each couple a row is paired with the next. So couples are the units, nothing is shared between
    two of them, and an entity that asks once still gives a pair.
    """
    first, second, couple = _pairs(entities)
    apart, order = np.sign(ours[first] - ours[second]), np.sign(theirs[first] - theirs[second])
    ordered = order != 0
    hits = (1 - apart * order) / 2
    return Clusters.counted(couple[ordered], hits[ordered])


def _pairs(entities: Codes) -> tuple[Codes, Codes, Codes]:
    """The rows of each pair, and its couple of entities. Of a couple's rows the first meets the second, the third the fourth."""
    _, appeared, code = np.unique(entities, return_index=True, return_inverse=True)
    place = np.empty(len(appeared), dtype=np.intp)
    place[np.argsort(appeared)] = np.arange(len(appeared))
    couple = place[code] // 2
    rows = np.argsort(couple, kind="stable")
    ranked = couple[rows]
    within = np.arange(len(rows)) - np.searchsorted(ranked, ranked)
    first = np.flatnonzero((within[:-1] % 2 == 0) & (np.diff(ranked) == 0))
    return rows[first], rows[first + 1], ranked[first]
