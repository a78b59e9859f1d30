"""The feature views that only one of two releases reads: what both read cannot differ between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Views = Mapping[str, object]
"""The feature views that a release reads by name, each with what tells it from another view of that name."""

_ABSENT = object()


@dataclass(frozen=True, kw_only=True)
class OwnViews:
    """The names of the views that the candidate reads and the baseline does not, or not alike, and the reverse; `None`: not
    known.
    """

    candidate: frozenset[str] | None = None
    baseline: frozenset[str] | None = None

    @classmethod
    def of(cls, views: Mapping[str, Views] | None, candidate: str, baseline: str | None) -> OwnViews:
        """From the views of each release."""
        if views is None or baseline is None:
            return NOT_KNOWN
        ours, theirs = views[candidate], views[baseline]
        return cls(candidate=_own(ours, theirs), baseline=_own(theirs, ours))

    @property
    def none(self) -> bool:
        """Whether both are known to read the same views alike."""
        return self.candidate is not None and not self.candidate and not self.baseline


NOT_KNOWN = OwnViews()
"""Nobody said which views the releases read: whatever is missing counts."""


def _own(views: Views, others: Views) -> frozenset[str]:
    return frozenset(name for name, view in views.items() if others.get(name, _ABSENT) != view)
