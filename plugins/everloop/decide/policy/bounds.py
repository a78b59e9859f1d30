"""Rules that several policies share."""

from __future__ import annotations


def unit(owner: str, name: str, value: float) -> list[str]:
    """A problem unless `value` lies in [0, 1]."""
    return [] if 0 <= value <= 1 else [f"{owner}.{name} is {value}: it must lie in [0, 1]"]
