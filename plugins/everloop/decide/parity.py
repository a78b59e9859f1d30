"""Whether the features that were served are those that the point-in-time join gives for the same request and moment."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from everloop.decide.policy import ParityPolicy
from everloop.decide.verdict import Outcome, Reason, Verdict, combine

SHOWN = 20
"""Differences that a comparison keeps in full, for people to look into."""


@dataclass(frozen=True)
class Pair:
    """One request's features twice, by column: as `served`, and as `replayed` from history."""

    key: str
    served: Mapping[str, Any]
    replayed: Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """One value that differs."""

    key: str
    column: str
    served: Any
    replayed: Any


@dataclass(frozen=True)
class Comparison:
    """`rows` compared, `equal` of them in every column; rows that differ by column; the first differences.

    `not_replayed`: served columns that history does not have, which could not be compared.
    """

    rows: int
    equal: int
    columns: Mapping[str, int]
    differences: tuple[Difference, ...]
    not_replayed: tuple[str, ...] = ()

    @property
    def share(self) -> float | None:
        """The share of equal rows, `None` when no row could be compared."""
        return self.equal / self.rows if self.rows else None


def compare(pairs: Iterable[Pair], tolerance: float) -> Comparison:
    """Compare row by row: null equals null and nothing else, numbers may differ by `tolerance` (relative above 1)."""
    rows = equal = 0
    columns: Counter[str] = Counter()
    shown: list[Difference] = []
    lost: set[str] = set()
    for pair in pairs:
        shared = [column for column in pair.served if column in pair.replayed]
        lost.update(pair.served.keys() - pair.replayed.keys())
        differing = [column for column in shared if not same(pair.served[column], pair.replayed[column], tolerance)]
        rows += bool(shared)
        equal += bool(shared) and not differing
        columns.update(differing)
        found = (Difference(pair.key, column, pair.served[column], pair.replayed[column]) for column in differing)
        shown += list(found)[: SHOWN - len(shown)]
    return Comparison(rows, equal, dict(columns.most_common()), tuple(shown), tuple(sorted(lost)))


def same(left: Any, right: Any, tolerance: float) -> bool:
    """Whether two feature values are equal. NaN is a missing number, as null is."""
    left, right = _value(left), _value(right)
    if isinstance(left, float) and isinstance(right, float):
        return left == right or abs(left - right) <= tolerance * max(1.0, abs(left), abs(right))
    return bool(left == right)


def judge(comparison: Comparison, policy: ParityPolicy) -> Verdict:
    """Pass from `policy.minimum_share` of equal rows on. Nothing compared, or a column that could not be: inconclusive."""
    reasons = [_share(comparison, policy)]
    if comparison.not_replayed:
        text = f"served columns {list(comparison.not_replayed)} are not in history any more and were not compared"
        reasons.append(Reason("parity.columns", Outcome.INCONCLUSIVE, text, {"columns": list(comparison.not_replayed)}))
    return combine(reasons)


def _share(comparison: Comparison, policy: ParityPolicy) -> Reason:
    numbers = {"rows": comparison.rows, "equal": comparison.equal, "minimum_share": policy.minimum_share}
    if comparison.share is None:
        return Reason("parity.share", Outcome.INCONCLUSIVE, "no served row could be compared", numbers)
    worst = "".join(f"; {column} differs in {count}" for column, count in list(comparison.columns.items())[:3])
    text = f"{comparison.equal} of {comparison.rows} rows have the features of history, {policy.minimum_share:.1%} wanted{worst}"
    return Reason("parity.share", Outcome.PASS if comparison.share >= policy.minimum_share else Outcome.FAIL, text, numbers)


def _value(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return None if math.isnan(value) else float(value)
