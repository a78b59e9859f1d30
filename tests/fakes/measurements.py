"""Measurements and cursors in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from everloop.decide.chain import canonical
from everloop.ports import Measurement


class InMemoryMeasurements:
    """`ports.Measurements` over dicts."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str, str, datetime], Measurement] = {}
        self._cursors: dict[tuple[str, str], datetime] = {}

    def write(self, use_case: str, measurements: Sequence[Measurement]) -> None:
        kept = [replace(m, verdict=str(m.verdict), detail=json.loads(canonical(m.detail))) for m in measurements]
        self._rows |= {(use_case, m.kind, m.release, m.subject, m.interval.start): m for m in kept}

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
        found = [
            m
            for key, m in self._rows.items()
            if key[0] == use_case
            and kind in (None, m.kind)
            and release in (None, m.release)
            and subject in (None, m.subject)
            and (until is None or m.interval.end <= until)
        ]
        ordered = sorted(found, key=lambda m: (m.interval.start, m.kind, m.release, m.subject))
        return ordered if newest is None else ordered[max(0, len(ordered) - newest) :]

    def cursor(self, use_case: str, consumer: str) -> datetime | None:
        return self._cursors.get((use_case, consumer))

    def advance(self, use_case: str, consumer: str, position: datetime) -> None:
        self._cursors[use_case, consumer] = max(position, self._cursors.get((use_case, consumer), position))
