"""The data interval `[start, end)` that every data task is a function of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from everloop.errors import ConfigurationError


@dataclass(frozen=True, order=True)
class Interval:
    """Half-open `[start, end)`, both timezone-aware, kept in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            value = getattr(self, name)
            if value.tzinfo is None:
                raise ConfigurationError(
                    f"Interval.{name} is {value}, which has no time zone: pass an aware datetime, for instance in UTC"
                )
            object.__setattr__(self, name, value.astimezone(UTC))
        if self.start >= self.end:
            raise ConfigurationError(f"Interval [{self.start}, {self.end}) is empty: start must lie before end")

    def __str__(self) -> str:
        return f"[{self.start:%Y-%m-%dT%H:%MZ}, {self.end:%Y-%m-%dT%H:%MZ})"

    @property
    def label(self) -> str:
        """A name fit for a path: `2013-01-01T0000`."""
        return f"{self.start:%Y-%m-%dT%H%M}"

    def holds(self, moment: datetime) -> bool:
        """Whether `moment` lies in `[start, end)`."""
        return self.start <= moment < self.end

    def to_json(self) -> dict[str, str]:
        """`{"start": ..., "end": ...}` in ISO 8601, as it travels through XCom and asset events."""
        return {"start": self.start.isoformat(), "end": self.end.isoformat()}

    @classmethod
    def from_json(cls, value: dict[str, str]) -> Interval:
        """The inverse of `to_json`."""
        return cls(datetime.fromisoformat(value["start"]), datetime.fromisoformat(value["end"]))


def grid(origin: datetime, length: timedelta, until: datetime, after: datetime | None = None) -> Iterator[Interval]:
    """The intervals of `length` from `origin` that ended by `until`, oldest first; only those that end later than `after`."""
    skipped = 0 if after is None else max(0, (after - origin) // length)
    start = origin + skipped * length
    while start + length <= until:
        if after is None or start + length > after:
            yield Interval(start, start + length)
        start += length
