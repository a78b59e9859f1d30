"""The flags that say how a row's features were found: set by the scorer, kept in the prediction log, read by the monitor."""

from __future__ import annotations

from collections.abc import Iterable

UNAVAILABLE = "features_unavailable"
"""The online store was away: the row was answered without any view."""

LAST_GOOD = "features_last_good"
"""The online store was away: the row was answered with what had been read of it before."""

FRESH = "fresh"
_FLAGS = {"absent": "missing", "stale": "stale", "early": "early"}
_STATUSES = {flag: status for status, flag in _FLAGS.items()}


def flag_of(status: str, view: str) -> str:
    """What a view that gave nothing fresh earns a row: `missing:<view>`, `stale:<view>` or `early:<view>`."""
    return f"{_FLAGS[status]}:{view}"


def statuses(flags: Iterable[str], views: Iterable[str]) -> dict[str, str]:
    """The inverse: the status of each of `views` when the row was served, fresh where no flag says otherwise."""
    told = {view: _STATUSES[kind] for kind, _, view in (flag.partition(":") for flag in flags) if kind in _STATUSES}
    return {view: told.get(view, FRESH) for view in views}


def store_was_away(flags: Iterable[str]) -> bool:
    """Whether the row was answered without asking the online store: what it was given may not be what history has."""
    return any(flag in (UNAVAILABLE, LAST_GOOD) for flag in flags)


def incomplete(flags: Iterable[str]) -> bool:
    """Whether any view gave nothing fresh, or the online store was away."""
    found = list(flags)
    return store_was_away(found) or any(flag.partition(":")[0] in _STATUSES for flag in found)


def lacking(flags: Iterable[str]) -> set[str]:
    """The views that gave nothing fresh, by name."""
    return {view for kind, _, view in (flag.partition(":") for flag in flags) if kind in _STATUSES}
