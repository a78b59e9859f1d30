"""The served rows of an interval as one release scored them, in its own answers and in the shadow of another's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from everloop.interval import Interval
from everloop.ports import Measurement, Registry, TrafficLog
from everloop.release import REFERENCE, Bundle
from everloop.use_case import UseCase

if TYPE_CHECKING:
    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Moments = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Scored:
    """The rows (n) of `interval` that `release` gave a score, with the release's own threshold deciding.

    `keys`, `entities` (n,); `asked` (n,): when each was asked for (data time, UTC); `scores` (n,); `labels` (n,): 1, 0 or NaN
    where unknown; `features`: JSON text by row.
    """

    interval: Interval
    release: str
    bundle: Bundle
    keys: Sequence[str] = field(repr=False)
    asked: Moments = field(repr=False)
    entities: Sequence[str] = field(repr=False)
    scores: Floats = field(repr=False)
    labels: Floats = field(repr=False)
    features: Sequence[str] = field(repr=False)

    @property
    def known(self) -> Flags:
        """Which rows have a label."""
        return np.isfinite(self.labels)

    @property
    def decisions(self) -> Flags:
        """What the release decided, or would have."""
        return self.scores >= self.bundle.manifest.threshold

    @cached_property
    def reference(self) -> dict[str, Any]:
        """The release's reference statistics."""
        found: dict[str, Any] = json.loads(self.bundle.files[REFERENCE])
        return found

    @property
    def request_fields(self) -> Mapping[str, str]:
        """The fields that a request to this release carries, name to type."""
        return self.bundle.manifest.plan.request

    @cached_property
    def requests(self) -> list[dict[str, Any]]:
        """The request's fields, by row."""
        return [row["request"] for row in self._parsed]

    def column(self, name: str) -> list[Any]:
        """One model input by row: as the request gave it, where it did, else as the vector held it."""
        return [row["request"][name] if name in row["request"] else row["vector"].get(name) for row in self._parsed]

    @cached_property
    def _parsed(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.features]

    def measured(self, kind: str, subject: str, value: float | None, verdict: str, detail: dict[str, Any]) -> Measurement:
        """A measurement of this release in this interval."""
        return Measurement(
            interval=self.interval, release=self.release, kind=kind, subject=subject, value=value, verdict=verdict, detail=detail
        )


Measure = Callable[[Scored], list[Measurement]]


def champions(rows: pa.Table) -> list[str]:
    """The releases that answered as champion, sorted: more than one where a promotion or a revert fell into the interval."""
    answered = rows.filter(pc.equal(rows["arm"], "champion"))
    return sorted(set(answered["release"].to_pylist()))


def scored(rows: pa.Table, interval: Interval, release: str, registry: Registry) -> Scored:
    """The rows that `release` scored, its own answers first."""
    own = rows.filter(pc.and_(pc.equal(rows["release"], release), pc.is_valid(rows["score"])))
    beside = rows.filter(
        pc.fill_null(pc.and_(pc.equal(rows["shadow_release"], release), pc.is_valid(rows["shadow_score"])), False)
    )
    return Scored(
        interval=interval,
        release=release,
        bundle=registry.get(release),
        keys=[*own["key"].to_pylist(), *beside["key"].to_pylist()],
        asked=np.concatenate([moments(own["as_of"]), moments(beside["as_of"])]),
        entities=[*own["entity"].to_pylist(), *beside["entity"].to_pylist()],
        scores=np.concatenate([numbers(own["score"]), numbers(beside["shadow_score"])]),
        labels=np.concatenate([numbers(own["label"]), numbers(beside["label"])]),
        features=[*own["features"].to_pylist(), *beside["features"].to_pylist()],
    )


def each_champion(
    traffic: TrafficLog, registry: Registry, use_case: UseCase, intervals: Sequence[Interval], measure: Measure
) -> list[Measurement]:
    """What `measure` finds for every release that was champion in each interval; nothing where nothing was served."""
    found = []
    for interval in intervals:
        rows = traffic.served(use_case.name, interval)
        for release in champions(rows):
            found += measure(scored(rows, interval, release, registry))
    return found


def numbers(column: pa.ChunkedArray) -> Floats:
    """As floats, null as NaN."""
    values: Floats = pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy()
    return values


def moments(column: pa.ChunkedArray) -> Moments:
    """As UTC times."""
    values: Moments = column.cast(pa.timestamp("us", "UTC")).to_numpy()
    return values
