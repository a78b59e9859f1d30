"""Whose request is being worked on: what its log lines bear."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import NamedTuple

TRACEPARENT = b"traceparent"
"""The header that W3C Trace Context defines (https://www.w3.org/TR/trace-context/#traceparent-header)."""

_FORM = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


class Named(NamedTuple):
    """A request: its id, and the `traceparent` that it came with or is given."""

    request_id: str
    traceparent: bytes | None

    @property
    def trace_id(self) -> str | None:
        """32 hex digits; `None` without a valid `traceparent`."""
        found = self.traceparent and _FORM.fullmatch(self.traceparent)
        return found[1].decode() if found else None


CURRENT: ContextVar[Named | None] = ContextVar("everloop_request", default=None)
"""Set where a request begins; each runs in a task, and so in a context, of its own."""
