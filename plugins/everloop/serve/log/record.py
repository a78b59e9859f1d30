"""What the prediction log holds: answered rows, and what the release in shadow made of them afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

SHADOW_FAILED = "shadow_failed"
"""The flag of a row that the release in shadow could not score."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One answered (or failed) row: the columns of table `prediction`, in their order. `at` in UTC."""

    use_case: str
    request_id: str
    row_number: int
    key: str
    entity: str
    at: datetime
    as_of: datetime
    arm: str
    rollout: str | None
    release: str
    score: float | None
    decision: bool | None
    shadow_release: str | None
    shadow_score: float | None
    features: msgspec.Raw | dict[str, Any]
    flags: list[str]
    error: str | None
    latency_ms: float


class ShadowRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the release in shadow made of a row that was answered before: a score, or the error that it raised.

    `at` is the row's own: it tells in which day's partition the row lies, without which every partition would be searched.
    """

    use_case: str
    request_id: str
    row_number: int
    at: datetime
    shadow_release: str
    shadow_score: float | None
    error: str | None = None
