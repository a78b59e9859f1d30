"""How labelled rows are divided by time, so that nothing is judged on rows that it could have learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.decide.policy import TrainingPolicy
from everloop.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

FIT, VALIDATION, CALIBRATION, HOLDOUT = "fit", "validation", "calibration", "holdout"
PURGED = "purged"
LEARNT = (FIT, VALIDATION, CALIBRATION)
"""The parts that leave a trace in the model: everything but the held-out rows and the purged ones."""


@dataclass(frozen=True)
class Parts:
    """`names`: the part of each row, in row order. `holdout_from`: from which event time on rows are held out."""

    names: npt.NDArray[np.str_]
    holdout_from: np.datetime64

    def __getitem__(self, name: str) -> npt.NDArray[np.bool_]:
        """The mask of one part."""
        return np.equal(self.names, name)

    @property
    def learnt(self) -> npt.NDArray[np.bool_]:
        """The mask of all rows that leave a trace in the model."""
        return np.isin(self.names, LEARNT)

    def counts(self) -> dict[str, int]:
        """Rows by part, the purged ones too."""
        return {name: int(self[name].sum()) for name in (*LEARNT, HOLDOUT, PURGED)}


def split(event_times: npt.NDArray[np.datetime64], label_times: npt.NDArray[np.datetime64], policy: TrainingPolicy) -> Parts:
    """Cut rows by event time into fit, validation, calibration and holdout, oldest first, as the policy says.

    A row whose label was not yet known when the next part began is purged (López de Prado 2018, Advances in Financial
    Machine Learning, sec. 7.4.1): so every label learnt from was known before the first held-out prediction was asked for.
    Rows of one moment stay together. Raises `DataError` when a part would be empty or there are too few rows.
    """
    if len(event_times) < policy.minimum_rows:
        raise DataError(
            f"{len(event_times)} labelled rows, TrainingPolicy.minimum_rows is {policy.minimum_rows}: "
            "wait for more labels, widen TrainingPolicy.window or lower minimum_rows"
        )
    starts = _starts(np.sort(event_times), policy)
    part = np.searchsorted(starts, event_times, side="right")
    ends = np.append(starts, np.datetime64("NaT"))
    late = (part < len(starts)) & (label_times >= ends[part])
    names = np.where(late, PURGED, np.array([*LEARNT, HOLDOUT])[part])
    parts = Parts(names, starts[-1])
    if empty := [name for name, count in parts.counts().items() if not count and name != PURGED]:
        raise DataError(
            f"Parts {empty} of {len(event_times)} labelled rows are empty {parts.counts()}: labels ripen more slowly than the "
            "parts are long, so widen TrainingPolicy.window or raise the parts' shares"
        )
    return parts


def _starts(ordered: npt.NDArray[np.datetime64], policy: TrainingPolicy) -> npt.NDArray[np.datetime64]:
    """The event times at which validation, calibration and holdout begin."""
    shares = np.array(
        [policy.validation + policy.calibration + policy.holdout, policy.calibration + policy.holdout, policy.holdout]
    )
    positions = np.clip(np.round((1 - shares) * len(ordered)).astype(int), 0, len(ordered) - 1)
    if policy.part_at_most is not None:
        positions = _shortened(positions, ordered, np.timedelta64(policy.part_at_most))
    starts: npt.NDArray[np.datetime64] = ordered[positions]
    return starts


def _shortened(
    positions: npt.NDArray[np.intp], ordered: npt.NDArray[np.datetime64], longest: np.timedelta64
) -> npt.NDArray[np.intp]:
    """The positions at which parts of the same rows begin, or of fewer, so that none of them covers more time."""
    lengths, end = np.diff([*positions, len(ordered)]), len(ordered)
    found = positions.copy()
    for part in reversed(range(len(positions))):
        last = max(end - 1, 0)
        in_time = int(np.searchsorted(ordered, ordered[last] - longest, side="right"))
        found[part] = end = max(end - lengths[part], in_time, 0)
    return found
