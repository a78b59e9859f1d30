"""Which stored row counts for a key at a moment, in whole numbers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

_ROOM = 2**62


def latest_known(keys: Ints, known_from: Ints, asked: Ints, moments: Ints) -> Ints:
    """For each asked key and moment the last of the key's rows among those known by then; -1 for none.

    The rows are sorted by key, and within a key by rank: of two known rows the later one counts. One is looked up by the
    time when it became known, so a row that was known late must not hide one that ranks higher: at each time it is the
    highest rank so far that counts.
    """
    import numpy as np

    if not keys.size or not asked.size:
        return np.full(asked.size, -1)
    order = _by_time_known(keys, known_from)
    best = np.maximum.accumulate(order)  # ranks of a key all lie above those of the key before
    stored, wanted = _lines(keys[order], known_from[order], asked, moments)
    at = np.searchsorted(stored, wanted, side="right") - 1
    found = best[at]
    return np.where((at >= 0) & (keys[found] == asked), found, -1)


def _by_time_known(keys: Ints, known_from: Ints) -> Ints:
    """The rows' places by key and time known; as they stand, where nothing was known late."""
    import numpy as np

    ascending = (known_from[1:] >= known_from[:-1]) | (keys[1:] != keys[:-1])
    return np.arange(keys.size) if bool(ascending.all()) else np.lexsort((known_from, keys))


def _lines(keys: Ints, known_from: Ints, asked: Ints, moments: Ints) -> tuple[Ints, Ints]:
    """Key and time as one number that sorts like both. Where that would not fit, times count by their order."""
    import numpy as np

    first = min(known_from.min(), moments.min())
    span = int(max(known_from.max(), moments.max())) - int(first) + 1
    if (int(keys.max()) + 1) * span < _ROOM:
        return keys * span + (known_from - first), asked * span + (moments - first)
    times = np.unique(known_from)

    def line(key: Ints, time: Ints) -> Ints:
        return key * (times.size + 1) + np.searchsorted(times, time, side="right")

    return line(keys, known_from), line(asked, moments)
