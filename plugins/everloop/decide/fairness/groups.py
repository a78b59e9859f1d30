"""A group's sufficient statistics, and the rates that they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide.policy import FairnessPolicy
from everloop.decide.statistics.clusters import Clusters

Rate = tuple[float, float]
"""`(successes, trials)`."""

Flags = npt.NDArray[np.bool_]

MISSING = "(missing)"
"""The group of the rows whose group is null."""

RATES = ("selection", "tpr", "fpr", "precision", "accuracy")
"""The rates of which sums by unit are kept."""

_COUNTS = ("rows", "selected", "positives", "true_positives", "negatives", "false_positives")


@dataclass(frozen=True, kw_only=True)
class GroupCounts:
    """A group's rows and those decided positive; its labelled positives and negatives, and their alarms.

    `units`: by rate, what the units of the rows (entities, blocks of time) add up to, so that rows that move together count for
    as many as they are worth. Without it, as in what was written before units were counted, each row is its own.
    """

    rows: int = 0
    selected: int = 0
    positives: int = 0
    true_positives: int = 0
    negatives: int = 0
    false_positives: int = 0
    units: Mapping[str, Clusters] = field(default_factory=dict)

    def __add__(self, other: GroupCounts) -> GroupCounts:
        counted = self.units.keys() | other.units.keys()
        units = {name: self.clusters(name) + other.clusters(name) for name in RATES if name in counted}
        return GroupCounts(**{name: getattr(self, name) + getattr(other, name) for name in _COUNTS}, units=units)

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

    def clusters(self, name: str) -> Clusters:
        """A rate's trials and successes by unit."""
        if name == "rejection":
            return _complement(self.clusters("selection"))
        hits, trials = self.rate(name)
        return self.units.get(name) or Clusters.independent(int(trials), int(hits))


def _complement(found: Clusters) -> Clusters:
    """The same units' trials, with the failures for hits: `n - x` of each."""
    return Clusters(
        units=found.units,
        trials=found.trials,
        hits=found.trials - found.hits,
        trials_squared=found.trials_squared,
        hits_squared=found.trials_squared - 2 * found.product + found.hits_squared,
        product=found.trials_squared - found.product,
    )


def count(
    groups: Sequence[Any], decisions: Flags, labels: npt.NDArray[np.float64], units: npt.NDArray[Any] | None = None
) -> dict[str, GroupCounts]:
    """Counts by group; `labels` is 1, 0 or NaN where unknown, all of shape (rows,). A null group is `"(missing)"`.

    `units` (rows,): the entity or the block of time that each row belongs to; without it rows count as independent.
    """
    names = np.array([MISSING if group is None else str(group) for group in groups], dtype=object)
    codes = None if units is None else np.unique(units, return_inverse=True)[1].astype(np.intp)
    found = {}
    for name in sorted(set(names)):
        inside = names == name
        found[name] = _counted(decisions[inside], labels[inside], None if codes is None else codes[inside])
    return found


def _counted(decisions: Flags, labels: npt.NDArray[np.float64], codes: npt.NDArray[np.intp] | None) -> GroupCounts:
    positive, negative = labels == 1, labels == 0
    trials = {
        "selection": np.ones(len(decisions), dtype=bool),
        "tpr": positive,
        "fpr": negative,
        "precision": decisions & (positive | negative),
        "accuracy": positive | negative,
    }
    right = positive == decisions
    hits = {"selection": decisions, "tpr": decisions, "fpr": decisions, "precision": positive, "accuracy": right}
    return GroupCounts(
        rows=len(decisions),
        selected=int(decisions.sum()),
        positives=int(positive.sum()),
        true_positives=int((positive & decisions).sum()),
        negatives=int(negative.sum()),
        false_positives=int((negative & decisions).sum()),
        units={} if codes is None else {name: Clusters.counted(codes[of], hits[name][of]) for name, of in trials.items()},
    )


def considered(by_group: Mapping[str, GroupCounts], policy: FairnessPolicy) -> dict[str, GroupCounts]:
    """The groups that the policy compares: without the rows of no group, where it leaves them out."""
    return {name: counts for name, counts in by_group.items() if policy.missing or name != MISSING}


def merge(*windows: Mapping[str, GroupCounts]) -> dict[str, GroupCounts]:
    """The counts of all windows together, whatever their order; a group may be in some of them only."""
    names = sorted({name for window in windows for name in window})
    return {name: sum((window.get(name, GroupCounts()) for window in windows), GroupCounts()) for name in names}
