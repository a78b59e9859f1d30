"""The ranges that tuning may search, one parameter each."""

from __future__ import annotations

import msgspec

Value = float | int | str


class Uniform(msgspec.Struct, frozen=True, tag=True):
    """Any number in `[low, high]`, each as likely."""

    low: float
    high: float

    def holds(self, value: Value) -> bool:
        """Whether the search could come to `value`."""
        return not isinstance(value, str) and self.low <= value <= self.high

    def problem(self) -> str | None:
        """The broken rule, in words."""
        return None if self.low < self.high else "low must be below high"


class LogUniform(msgspec.Struct, frozen=True, tag=True):
    """Any number in `[low, high]`, each power of ten as likely: for rates and penalties."""

    low: float
    high: float

    def holds(self, value: Value) -> bool:
        """Whether the search could come to `value`."""
        return not isinstance(value, str) and self.low <= value <= self.high

    def problem(self) -> str | None:
        """The broken rule, in words."""
        return None if 0 < self.low < self.high else "0 < low < high must hold"


class Integers(msgspec.Struct, frozen=True, tag=True):
    """The whole numbers `low` to `high`, both among them."""

    low: int
    high: int

    def holds(self, value: Value) -> bool:
        """Whether the search could come to `value`."""
        return isinstance(value, int) and self.low <= value <= self.high

    def problem(self) -> str | None:
        """The broken rule, in words."""
        return None if self.low < self.high else "low must be below high"


class Choice(msgspec.Struct, frozen=True, tag=True):
    """One of a few values without an order."""

    values: tuple[Value, ...]

    def holds(self, value: Value) -> bool:
        """Whether the search could come to `value`."""
        return value in self.values

    def problem(self) -> str | None:
        """The broken rule, in words."""
        return None if len(self.values) > 1 else "a choice needs two values or more"


Space = Uniform | LogUniform | Integers | Choice
