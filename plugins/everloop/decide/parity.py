"""Whether the features that were served are those that the point-in-time join gives for the same request and moment."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from everloop.decide.statistics.intervals import Range, wilson

SHOWN = 20
"""Rows that a comparison keeps in full, for people to look into: those with the most differences."""

COMPUTED = "computed"
"""In place of a status: the feature was computed from the request itself, at request time."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One request's features twice, by `<view>__<feature>`: as `served`, and as `replayed` from history.

    `statuses`: what serving found of each view of the online store. `unavailable`: the store was away, nothing was found.
    """

    request_id: str
    key: str
    as_of: datetime
    served: Mapping[str, Any]
    replayed: Mapping[str, Any]
    statuses: Mapping[str, str] = field(default_factory=dict)
    unavailable: bool = False

    def status(self, feature: str) -> str:
        """How serving came by the feature."""
        return self.statuses.get(feature.partition("__")[0], COMPUTED)


@dataclass(frozen=True)
class Difference:
    """One value that differs, and the status of its view when it was served."""

    feature: str
    served: Any
    replayed: Any
    status: str


@dataclass(frozen=True)
class Offence:
    """A row that differs: which request of which moment, and every feature in which it does."""

    request_id: str
    key: str
    as_of: datetime
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Tally:
    """How many were compared, and how many of them were equal."""

    rows: int
    equal: int

    @property
    def share(self) -> float | None:
        """The equal share, `None` when nothing was compared."""
        return self.equal / self.rows if self.rows else None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Rows that were compared, and those equal in every feature; the same by feature.

    `statuses`: by status when served, each row counting once for each of its views. `worst`: the rows with the most
    differences. `unavailable`: further rows that the store's absence left nothing to compare of. `not_replayed`: served
    features that history does not have.
    """

    whole: Tally
    features: Mapping[str, Tally] = field(default_factory=dict)
    statuses: Mapping[str, Tally] = field(default_factory=dict)
    worst: tuple[Offence, ...] = ()
    unavailable: int = 0
    not_replayed: tuple[str, ...] = ()

    @property
    def interval(self) -> Range:
        """What the sample says of the share among all rows, at 95 %."""
        return wilson(self.whole.equal, self.whole.rows)

    @property
    def differing(self) -> dict[str, int]:
        """In how many rows each feature differs, the worst first; those that never do are left out."""
        counts = Counter({name: tally.rows - tally.equal for name, tally in self.features.items() if tally.rows > tally.equal})
        return dict(counts.most_common())


def compare(pairs: Iterable[Pair], tolerance: float) -> Comparison:
    """Compare row by row: null equals null and nothing else, numbers may differ by `tolerance` (relative above 1)."""
    given = list(pairs)
    found = {position: _shared(pair, tolerance) for position, pair in enumerate(given) if not pair.unavailable}
    compared = {position: equal for position, equal in found.items() if equal}
    by_view = [view for position, equal in compared.items() for view in _views(given[position], equal)]
    worst = sorted(compared, key=lambda position: -sum(not equal for equal in compared[position].values()))
    lost = {name for pair in given for name in pair.served.keys() - pair.replayed.keys() if not pair.unavailable}
    return Comparison(
        whole=_tally(all(equal.values()) for equal in compared.values()),
        features=_tallies(item for equal in compared.values() for item in equal.items()),
        statuses=_tallies(by_view),
        worst=tuple(_offence(given[p], compared[p]) for p in worst if not all(compared[p].values()))[:SHOWN],
        unavailable=len(given) - len(found),
        not_replayed=tuple(sorted(lost)),
    )


def same(left: Any, right: Any, tolerance: float) -> bool:
    """Whether two feature values are equal. NaN is a missing number, as null is."""
    left, right = _value(left), _value(right)
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
    return bool(left == right)


def _shared(pair: Pair, tolerance: float) -> dict[str, bool]:
    """Whether each feature that both sides have is equal."""
    names = [name for name in pair.served if name in pair.replayed]
    return {name: same(pair.served[name], pair.replayed[name], tolerance) for name in names}


def _views(pair: Pair, equal: Mapping[str, bool]) -> Iterable[tuple[str, bool]]:
    """The status of each view, and whether all of its features are equal."""
    views: dict[tuple[str, str], bool] = {}
    for name, is_equal in equal.items():
        view = (name.partition("__")[0], pair.status(name))
        views[view] = views.get(view, True) and is_equal
    return ((status, is_equal) for (_, status), is_equal in views.items())


def _offence(pair: Pair, equal: Mapping[str, bool]) -> Offence:
    differing = [name for name, is_equal in equal.items() if not is_equal]
    found = tuple(Difference(name, pair.served[name], pair.replayed[name], pair.status(name)) for name in differing)
    return Offence(pair.request_id, pair.key, pair.as_of, found)


def _tallies(items: Iterable[tuple[str, bool]]) -> dict[str, Tally]:
    grouped: dict[str, list[bool]] = {}
    for name, is_equal in items:
        grouped.setdefault(name, []).append(is_equal)
    return {name: _tally(values) for name, values in grouped.items()}


def _tally(values: Iterable[bool]) -> Tally:
    known = list(values)
    return Tally(len(known), sum(known))


def _value(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return None if math.isnan(value) else float(value)
