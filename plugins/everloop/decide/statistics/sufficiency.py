"""What a number of rows can show, and how many a margin takes: for verdicts that lack evidence, and before there is any."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy.special import ndtri

POWER = 0.8
"""How often what is as good as hoped must be shown to be so: the customary four in five (Cohen 1988, Statistical power analysis
for the behavioral sciences, sec. 2.4)."""


@dataclass(frozen=True, kw_only=True)
class Sufficiency:
    """What `rows` rows can show of a `margin`.

    `shows`: the least margin that they show with probability `POWER`; without end where they tell nothing of how sure they are.
    `wanted`: how many rows `margin` takes; `None` where none are enough. `per_week`: how many come a week, where that is known.
    """

    rows: int
    margin: float
    shows: float
    wanted: int | None
    per_week: float | None = None

    @property
    def enough(self) -> bool:
        """Whether as many rows as the margin takes are there."""
        return self.wanted is not None and self.wanted <= self.rows

    @property
    def weeks(self) -> float | None:
        """How many weeks of rows the margin takes."""
        return self.wanted / self.per_week if self.wanted is not None and self.per_week else None

    @property
    def takes(self) -> str:
        """What the margin takes, as `about 19,000 rows (25 weeks)`."""
        if self.wanted is None:
            return "another value than this one"
        return f"about {rounded(self.wanted)} rows{in_weeks(self.weeks)}"

    def numbers(self) -> dict[str, Any]:
        """As JSON takes it."""
        shows = self.shows if math.isfinite(self.shows) else None
        return {"shows": shows, "rows_wanted": self.wanted, "weeks_wanted": self.weeks}


def sufficiency(
    rows: int, reach: float, margin: float, confidence: float, *, value: float = 0.0, per_week: float | None = None
) -> Sufficiency:
    """What rows can show whose two-sided interval at `confidence` ends `reach` above its estimate, were the truth `value`.

    A margin is shown when all of the interval lies below it, so with the estimate's standard error s and the quantiles z of
    the confidence and of `POWER` it must be `value + (z_confidence + z_power) s`, where `reach = z_confidence s` (Julious
    2004, Sample sizes for clinical trials with normal data, Statistics in Medicine 23(12), on non-inferiority). The interval
    shrinks with the square root of the rows, as it does where they come in ever more blocks or entities of the same kind.
    """
    needed = reach * (1 + float(ndtri(POWER)) / float(ndtri((1 + confidence) / 2)))
    room = margin - value
    wanted = math.ceil(rows * (needed / room) ** 2) if room > 0 and math.isfinite(needed) else None
    return Sufficiency(rows=rows, margin=margin, shows=value + needed, wanted=wanted, per_week=per_week)


def rounded(number: float) -> str:
    """To two digits, as people say it: `19,000`."""
    magnitude = math.floor(math.log10(max(number, 10)))
    return f"{round(number, 1 - magnitude):,.0f}"


def in_weeks(weeks: float | None) -> str:
    """As ` (25 weeks)`; nothing where it is not known."""
    if weeks is None:
        return ""
    return " (1 week)" if weeks <= 1 else f" ({rounded(math.ceil(weeks))} weeks)"
