"""What was decided, served and measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from everloop.decide.release.state import ReleaseState
from everloop.interval import Interval
from everloop.ports.data import Batches

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of the ledger, as it was written."""

    use_case: str
    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: ReleaseState
    after: ReleaseState
    reason: str
    evidence: Mapping[str, Any]
    previous_hash: str
    hash: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What somebody wants to write to the ledger. `subject` is a release, a rollout or an interval; `after` the new state."""

    actor: str
    action: str
    subject: str
    after: ReleaseState
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Ledger(Protocol):
    """The append-only, hash-chained record of every decision: one chain per use case."""

    def head(self, use_case: str) -> tuple[int, ReleaseState]:
        """The latest sequence number (0 when empty) and the state it left."""

    def append(self, use_case: str, decision: Decision, *, expected: int, at: datetime) -> Entry:
        """Write `decision` as row `expected + 1`; `LedgerConflict` when that row exists."""

    def entries(self, use_case: str, *, after: int = 0, subject: str | None = None, action: str | None = None) -> list[Entry]:
        """Rows in order."""

    def verify(self, use_case: str) -> str | None:
        """`None` when the whole chain is intact, else what is wrong with which row."""

    def use_cases(self) -> list[str]:
        """Every use case that has a row."""


class TrafficLog(Protocol):
    """Predictions and outcomes, as the scoring service logged them.

    Columns: request_id, key, entity, at (wall clock), as_of (data time), arm (champion, challenger), rollout, release, score,
    decision, shadow_release, shadow_score, features (JSON text), flags (list of text), error (text), latency_ms, label (bool,
    null when unknown), known_at (data time).
    """

    def served(self, use_case: str, interval: Interval, columns: Sequence[str] | None = None) -> pa.Table:
        """Predictions with `as_of` (data time) in `interval`, outcomes joined; all columns, or only `columns`."""

    def since(
        self,
        use_case: str,
        rollout: str,
        since: datetime,
        columns: Sequence[str] | None = None,
        fields: Sequence[str] = (),
    ) -> pa.Table:
        """Predictions of a rollout answered since `since` (wall clock), outcomes joined; all columns, or only `columns`.

        Each of `fields`, fields of the requests, is a further column `request.<field>` of text, null where a request lacked it.
        """

    def keys_without_outcome(self, use_case: str, interval: Interval) -> list[str]:
        """Keys predicted for `interval` whose outcome is not known yet."""

    def record_outcomes(self, use_case: str, outcomes: Sequence[tuple[str, bool, datetime]]) -> int:
        """Upsert `(key, label, known_at)`; a newer `known_at` wins. Returns how many rows changed."""

    def labels(self, use_case: str, keys: Collection[str]) -> dict[str, bool]:
        """The outcomes that are known of `keys`."""

    def relabelled(
        self, use_case: str, since: datetime | None, origin: datetime, length: timedelta
    ) -> tuple[list[datetime], datetime]:
        """The intervals (their starts, counted in `length` from `origin`) of which predictions got an outcome, or another one.

        Outcomes recorded from `since` on, by the log's own clock, `None` for none; and that clock now, to be the next `since`.
        What was recorded seconds before may be told again.
        """

    def last_asked(self, use_case: str) -> datetime | None:
        """The latest data time as of which anything was predicted."""

    def erase(self, use_case: str, entities: Sequence[str]) -> int:
        """Delete what is held of `entities`; returns the number of predictions deleted."""

    def expire(self, use_case: str, before: datetime) -> int:
        """Delete predictions and outcomes with data time before `before`; returns the rows deleted."""

    def request_erasure(self, use_case: str, entity: str, at: datetime) -> int:
        """Note that `entity` asks to be forgotten; returns the request's number."""

    def erasure_requests(self, use_case: str) -> dict[int, str]:
        """The open requests: number to entity, oldest first."""

    def close_erasures(self, use_case: str, requests: Sequence[int], at: datetime) -> None:
        """Mark requests done, and forget whom they named."""


class AnsweredDays(Protocol):
    """The predictions by the day (UTC) on which they were answered, as the lake gets them.

    Columns: those of `TrafficLog`, and row_number, without label and known_at.
    """

    def days(self, use_case: str, until: date) -> list[date]:
        """The days before `until` on which anything was answered, in order, as far as it is still held."""

    def rows(self, use_case: str, day: date) -> Batches:
        """All that is held of a day, by at, request_id and row_number."""

    def late(self, use_case: str) -> dict[date, datetime]:
        """The days of which rows came, or changed, when they were over; and when the last did, by the log's own clock."""

    def settle(self, use_case: str, day: date, at: datetime) -> None:
        """Forget that rows of `day` came late, if none came after `at`."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One monitored number of one interval: `kind` (drift, ...), `subject` (a column, a slice, an arm), its verdict."""

    interval: Interval
    release: str
    kind: str
    subject: str
    value: float | None
    verdict: str
    detail: Mapping[str, Any] = field(default_factory=dict)


class Measurements(Protocol):
    """The monitor's results and every consumer's cursor."""

    def write(self, use_case: str, measurements: Sequence[Measurement]) -> None:
        """Upsert by (use case, kind, release, subject, interval start)."""

    def read(
        self,
        use_case: str,
        *,
        kind: str | None = None,
        release: str | None = None,
        subject: str | None = None,
        until: datetime | None = None,
        newest: int | None = None,
    ) -> list[Measurement]:
        """Measurements by interval start, oldest first.

        `until`: of intervals that ended by then. `newest`: no more than so many, the latest; its cost is that of these rows
        where kind, release and subject are given too.
        """

    def cursor(self, use_case: str, consumer: str) -> datetime | None:
        """Up to when (exclusive, data time) `consumer` has worked."""

    def advance(self, use_case: str, consumer: str, position: datetime) -> None:
        """Move the cursor forward; never back."""
