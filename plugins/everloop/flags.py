"""The flags that say how a row's features were found: set by the scorer, kept in the prediction log, read by the monitor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

UNAVAILABLE = "features_unavailable"
"""The online store was away: the row was answered without any view."""

FRESH = "fresh"
_FLAGS = {"absent": "missing", "stale": "stale", "early": "early"}
_STATUSES = {flag: status for status, flag in _FLAGS.items()}


def of_views(statuses: Mapping[str, str]) -> tuple[str, ...]:
    """One flag for each view that gave nothing fresh: `missing:<view>`, `stale:<view>` or `early:<view>`."""
    return tuple(f"{_FLAGS[status]}:{view}" for view, status in statuses.items() if status != FRESH)


def statuses(flags: Iterable[str], views: Iterable[str]) -> dict[str, str]:
    """The inverse: the status of each of `views` when the row was served, fresh where no flag says otherwise."""
    told = {view: _STATUSES[kind] for kind, _, view in (flag.partition(":") for flag in flags) if kind in _STATUSES}
    return {view: told.get(view, FRESH) for view in views}


def incomplete(flags: Iterable[str]) -> bool:
    """Whether any view gave nothing fresh, or the online store was away."""
    return any(flag == UNAVAILABLE or flag.partition(":")[0] in _STATUSES for flag in flags)
