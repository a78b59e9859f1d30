"""A request's way through the service: its names, and when it came through which stage (`time.perf_counter`, seconds)."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from math import inf

TRACEPARENT = b"traceparent"
"""The header that W3C Trace Context defines (https://www.w3.org/TR/trace-context/#traceparent-header)."""

_FORM = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


@dataclass(slots=True)
class Marks:
    """The end of each stage that requests of one batch share. `began`: when the batch was put together."""

    use_case: str
    began: float
    features: float = 0.0
    score: float = 0.0
    log: float = 0.0

    def stages(self) -> tuple[tuple[str, float, float], ...]:
        """Name, begin and end of each."""
        return (
            ("features", self.began, self.features),
            ("score", self.features, self.score),
            ("log", self.score, self.log),
        )


@dataclass(slots=True)
class Passage:
    """One request. `traceparent`: that which it came with, or is given. `use_case`: empty until its key was found good.

    `promised`: seconds within which its use case answers, once known. `read`: its rows were typed and checked; `told`: its answer
    was there; 0 where it did not come so far.
    """

    id: str
    began: float
    traceparent: bytes | None = None
    use_case: str = ""
    promised: float = inf
    read: float = 0.0
    told: float = 0.0
    marks: Marks | None = None

    @property
    def trace_id(self) -> str | None:
        """32 hex digits; `None` without a valid `traceparent`."""
        found = self.traceparent and _FORM.fullmatch(self.traceparent)
        return found[1].decode() if found else None


CURRENT: ContextVar[Passage | None] = ContextVar("everloop_request", default=None)
"""The request that is worked on: what log lines bear. Each runs in a task, and so in a context, of its own."""
