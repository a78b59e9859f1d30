"""Frames as PostgreSQL takes them: rows as lines of `COPY` in text format, shadows joined to their rows where both came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TypeVar

import msgspec

from everloop.serve.log.frames import Frame, Kind
from everloop.serve.log.record import SHADOW_FAILED, ShadowRecord

T = TypeVar("T")

NULL = "\\N"

Key = tuple[str, str, int]
"""Use case, request, row: what a shadow and its row share."""


class Unshippable(msgspec.Struct, frozen=True):
    """Something that was logged and that table `prediction` cannot hold, and why."""

    content: bytes
    reason: str


class Row(msgspec.Struct, gc=False):
    """A `Record` as it is stored: moments and features stay the text that they are."""

    use_case: str
    request_id: str
    row_number: int
    key: str
    entity: str
    at: str
    as_of: str
    arm: str
    rollout: str | None
    release: str
    score: float | None
    decision: bool | None
    shadow_release: str | None
    shadow_score: float | None
    features: msgspec.Raw
    flags: list[str]
    error: str | None
    latency_ms: float


@dataclass
class Shipment:
    """What the frames of a chunk hold. `days`: of the rows, by use case; `shadows`: of rows that are not among `text`."""

    text: bytearray = field(default_factory=bytearray)
    days: set[tuple[str, date]] = field(default_factory=set)
    shadows: dict[Key, ShadowRecord] = field(default_factory=dict)
    unshippable: list[Unshippable] = field(default_factory=list)


class _Moment(msgspec.Struct):
    at: datetime


_MOMENTS = msgspec.json.Decoder(list[_Moment])
_ROWS = msgspec.json.Decoder(list[Row])
_ROW = msgspec.json.Decoder(Row)
_SHADOWS = msgspec.json.Decoder(list[ShadowRecord])
_SHADOW = msgspec.json.Decoder(ShadowRecord)
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, ValueError)
_ESCAPED = (b"\\", b"\t", b"\n", b"\r")


def shipment(frames: Sequence[Frame]) -> Shipment:
    """All that `frames` hold. What cannot be read is kept apart with the reason, record by record."""
    made = Shipment()
    for found in frames:
        if found.kind is Kind.SHADOWS:
            for one in _read(found.payload, _SHADOWS, _SHADOW, made):
                made.shadows[one.use_case, one.request_id, one.row_number] = one
    for found in frames:
        if found.kind is Kind.ROWS:
            _add_rows(made, found.payload)
        elif found.kind is Kind.COLUMNS:
            _add_columns(made, found.payload)
    return made


def answered_at(found: Frame) -> datetime | None:
    """When the first row that a frame speaks of was answered; `None` when it cannot be told."""
    try:
        if found.kind is Kind.COLUMNS:
            from everloop.serve.log.columnar import first_at

            return first_at(found.payload)
        return next((one.at for one in _MOMENTS.decode(found.payload)), None)
    except Exception:
        # Whatever is wrong with it is told when it is shipped.
        return None


def escape(text: str) -> str:
    """`text` as a value of `COPY` in text format."""
    # Four passes in C: for a text of 1.5 kB a twentieth of what `str.translate` takes.
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


@lru_cache(maxsize=4096)
def array(flags: tuple[str, ...]) -> str:
    """Flags as an array's text in a line of `COPY`; few distinct ones occur."""
    if not flags:
        return "{}"
    quoted = (flag.replace("\\", "\\\\").replace('"', '\\"') for flag in flags)
    return escape("{" + ",".join(f'"{flag}"' for flag in quoted) + "}")


def day_of(at: str) -> date:
    """The day in UTC of a moment in ISO 8601."""
    if at.endswith("Z"):
        return date.fromisoformat(at[:10])
    return datetime.fromisoformat(at).astimezone(UTC).date()


def failed(flags: Sequence[str], shadow: ShadowRecord) -> list[str]:
    """The flags of a row after its shadow."""
    return [*flags, SHADOW_FAILED] if shadow.error is not None and SHADOW_FAILED not in flags else list(flags)


def _add_rows(made: Shipment, payload: memoryview) -> None:
    rows = _read(payload, _ROWS, _ROW, made)
    if made.shadows:
        _cast(rows, made.shadows)
    content = bytes(payload)
    # JSON escapes what COPY would: without a backslash or white space no text of the frame holds anything to escape.
    text = escape if any(mark in content for mark in _ESCAPED) else str
    parts: list[bytes | msgspec.Raw] = []
    for row in rows:
        try:
            made.days.add((row.use_case, day_of(row.at)))
            parts += _line(row, text)
        except _UNREADABLE as error:
            made.unshippable.append(Unshippable(msgspec.json.encode(row), str(error)))
    made.text += b"".join(parts)


def _add_columns(made: Shipment, payload: memoryview) -> None:
    # Arrow is loaded by whom requests of many rows reach, and by nobody else.
    from everloop.serve.log.columnar import UNREADABLE, lines_of

    try:
        text, days = lines_of(payload, made.shadows)
    except UNREADABLE as error:
        made.unshippable.append(Unshippable(bytes(payload), f"{type(error).__name__}: {error}"))
        return
    made.text += text
    made.days |= days


def _read(payload: memoryview, many: msgspec.json.Decoder[list[T]], one: msgspec.json.Decoder[T], made: Shipment) -> list[T]:
    """The records of a JSON array; one that cannot be read does not take the others along."""
    try:
        return many.decode(payload)
    except _UNREADABLE as error:
        failure = str(error)
    try:
        items = _ITEMS.decode(payload)
    except _UNREADABLE:
        made.unshippable.append(Unshippable(bytes(payload), failure))
        return []
    found = []
    for item in items:
        try:
            found.append(one.decode(item))
        except _UNREADABLE as error:
            made.unshippable.append(Unshippable(bytes(item), str(error)))
    return found


def _cast(rows: Sequence[Row], shadows: dict[Key, ShadowRecord]) -> None:
    """Give rows the shadows that came for them, so that they need not be updated later."""
    for row in rows:
        if shadow := shadows.pop((row.use_case, row.request_id, row.row_number), None):
            row.shadow_release, row.shadow_score = shadow.shadow_release, shadow.shadow_score
            row.flags = failed(row.flags, shadow)


def _line(row: Row, text: Callable[[str], str]) -> tuple[bytes, bytes | msgspec.Raw, bytes]:
    """The row's columns in their order. `text` escapes; what is null is told first, since its mark must not be escaped.

    Features, which are most of it, are copied as the bytes that they are.
    """
    rollout = NULL if row.rollout is None else text(row.rollout)
    shadow = NULL if row.shadow_release is None else text(row.shadow_release)
    error = NULL if row.error is None else text(row.error)
    score = NULL if row.score is None else row.score
    decision = NULL if row.decision is None else row.decision
    shadow_score = NULL if row.shadow_score is None else row.shadow_score
    head = (
        f"{text(row.use_case)}\t{text(row.request_id)}\t{row.row_number}\t{text(row.key)}\t{text(row.entity)}\t{text(row.at)}\t"
        f"{text(row.as_of)}\t{text(row.arm)}\t{rollout}\t{text(row.release)}\t{score}\t{decision}\t{shadow}\t{shadow_score}\t"
    )
    features = row.features if text is str else text(bytes(row.features).decode()).encode()
    return head.encode(), features, f"\t{array(tuple(row.flags))}\t{error}\t{row.latency_ms}\n".encode()
