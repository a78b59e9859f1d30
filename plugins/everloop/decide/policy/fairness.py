"""How groups are compared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FairnessPolicy:
    """How groups of people, or of anything else, are compared.

    `columns`: group columns, which need not be features. `minimum`: groups with fewer rows are reported, not judged.
    `selection_ratio`: the four-fifths rule (29 CFR 1607.4 D), off by default. `*_difference`: largest allowed gap
    between a group and the whole.
    """

    columns: tuple[str, ...] = ()
    minimum: int = 200
    selection_ratio: float | None = None
    selection_difference: float | None = None
    error_rate_difference: float | None = 0.25
