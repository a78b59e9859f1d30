"""A group's sufficient statistics, and the rates that they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Rate = tuple[int, int]
"""`(successes, trials)`."""


@dataclass(frozen=True, kw_only=True)
class GroupCounts:
    """A group's rows and those decided positive; its labelled positives and negatives, and their alarms."""

    rows: int = 0
    selected: int = 0
    positives: int = 0
    true_positives: int = 0
    negatives: int = 0
    false_positives: int = 0

    def __add__(self, other: GroupCounts) -> GroupCounts:
        return GroupCounts(**{name: value + getattr(other, name) for name, value in asdict(self).items()})

    def rate(self, name: str) -> Rate:
        """A rate's successes and trials.

        `selection` and `rejection` are of all rows; of the labelled rows `tpr` (true positive rate, recall), `fpr` (false
        positive rate), `precision` and `accuracy`.
        """
        return {
            "selection": (self.selected, self.rows),
            "rejection": (self.rows - self.selected, self.rows),
            "tpr": (self.true_positives, self.positives),
            "fpr": (self.false_positives, self.negatives),
            "precision": (self.true_positives, self.true_positives + self.false_positives),
            "accuracy": (self.true_positives + self.negatives - self.false_positives, self.positives + self.negatives),
        }[name]


def count(groups: Sequence[Any], decisions: npt.NDArray[np.bool_], labels: npt.NDArray[np.float64]) -> dict[str, GroupCounts]:
    """Counts by group; `labels` is 1, 0 or NaN where unknown, all of shape (rows,). A null group is `"(missing)"`."""
    names = np.array(["(missing)" if group is None else str(group) for group in groups], dtype=object)
    positive, negative = labels == 1, labels == 0
    return {
        name: GroupCounts(
            rows=int(inside.sum()),
            selected=int((inside & decisions).sum()),
            positives=int((inside & positive).sum()),
            true_positives=int((inside & positive & decisions).sum()),
            negatives=int((inside & negative).sum()),
            false_positives=int((inside & negative & decisions).sum()),
        )
        for name in sorted(set(names))
        for inside in [names == name]
    }


def merge(*windows: Mapping[str, GroupCounts]) -> dict[str, GroupCounts]:
    """The counts of all windows together, whatever their order; a group may be in some of them only."""
    names = sorted({name for window in windows for name in window})
    return {name: sum((window.get(name, GroupCounts()) for window in windows), GroupCounts()) for name in names}
