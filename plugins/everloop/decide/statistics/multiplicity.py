"""Many comparisons at once: how sure each must be, so that the whole family errs as rarely as one comparison would."""

from __future__ import annotations

from collections.abc import Callable


def step_down(shown: Callable[[int, float], bool], compared: int, alpha: float, family: int | None = None) -> list[float]:
    """The level (1 - confidence) at which each of `compared` comparisons is judged, so that any is shown wrongly at most `alpha`.

    `shown(i, level)` says whether comparison i is shown at a level; what is shown at one must be shown at a larger one. The
    smallest level comes first, `alpha / family`; with each comparison that is shown the rest are judged at a larger one: Holm
    (1979), A simple sequentially rejective multiple test procedure, told in intervals instead of p-values. It needs no
    independence, so slices and groups may overlap. `family` is their number where it is more than those that are compared.
    """
    found: dict[int, float] = {}
    left = max(compared, family or compared)
    while True:
        level = alpha / max(1, left - len(found))
        new = [i for i in range(compared) if i not in found and shown(i, level)]
        if not new:
            return [found.get(i, level) for i in range(compared)]
        found |= dict.fromkeys(new, level)
