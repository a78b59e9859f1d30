"""Lets a request in, or refuses it, by the key that it presents."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from everloop.serve.access import Access, Scope, presented_key
from everloop.serve.problems import Refused


def admitted(access: Access, headers: Iterable[tuple[bytes, bytes]], scope: Scope) -> None:
    """Return when the key may do what `scope` names, now; else raise `Refused` (401, 403, 429, 503)."""
    found = access.admit(presented_key(headers), scope, time.monotonic(), datetime.now(UTC))
    if isinstance(found, Refused):
        raise found
