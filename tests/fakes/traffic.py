"""The prediction log in memory, and a maker of rows for it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from everloop.adapters.answered import SCHEMA as DAYS
from everloop.adapters.database import connect
from everloop.adapters.traffic import SCHEMA
from everloop.interval import Interval
from everloop.ports import Batches

_MOMENT = datetime(2013, 4, 1, tzinfo=UTC)


def prediction(request_id: str, **changes: Any) -> dict[str, Any]:
    """One row of the prediction log, answered by the champion, with `changes`; outcomes are recorded apart."""
    row = {
        "request_id": request_id,
        "key": request_id,
        "entity": "UA|1|EWR",
        "at": _MOMENT,
        "as_of": _MOMENT,
        "arm": "champion",
        "rollout": None,
        "release": "r1",
        "score": 0.5,
        "decision": True,
        "shadow_release": None,
        "shadow_score": None,
        "features": '{"vector": {}, "request": {}}',
        "flags": [],
        "error": None,
        "latency_ms": 1.5,
    }
    unknown = changes.keys() - row.keys()
    assert not unknown, f"prediction has no column {unknown}"
    return row | changes


def ship(database: str, use_case: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put rows of `prediction` into PostgreSQL, where the scoring service's shipper would."""
    names = ["use_case", "row_number", *rows[0]]
    statement = f"INSERT INTO prediction ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"
    with connect(database) as connection:
        connection.cursor().executemany(statement, [(use_case, 0, *row.values()) for row in rows])


class InMemoryTraffic:
    """`ports.TrafficLog` and `ports.AnsweredDays` over lists; `log` puts in what the scoring service would have."""

    def __init__(self) -> None:
        self.predictions: dict[str, list[dict[str, Any]]] = {}
        self.outcomes: dict[str, dict[str, tuple[bool, datetime]]] = {}
        self._recorded: dict[tuple[str, str], datetime] = {}
        self.late_days: dict[str, dict[date, datetime]] = {}
        self.requests: dict[int, tuple[str, str | None]] = {}

    def log(self, use_case: str, rows: Iterable[Mapping[str, Any]]) -> None:
        self.predictions.setdefault(use_case, []).extend(dict(row) for row in rows)

    def served(self, use_case: str, interval: Interval, columns: Sequence[str] | None = None) -> pa.Table:
        table = self._table(use_case, [row for row in self._rows(use_case) if interval.holds(row["as_of"])])
        return table if columns is None else table.select(list(columns))

    def since(
        self,
        use_case: str,
        rollout: str,
        since: datetime,
        columns: Sequence[str] | None = None,
        fields: Sequence[str] = (),
    ) -> pa.Table:
        rows = [row for row in self._rows(use_case) if row["rollout"] == rollout and row["at"] >= since]
        table = self._table(use_case, rows)
        if columns is not None:
            table = table.select(list(columns))
        requests = [json.loads(row["features"]).get("request", {}) for row in rows]
        for name in fields:
            found = [None if (value := request.get(name)) is None else _text(value) for request in requests]
            table = table.append_column(f"request.{name}", pa.array(found, pa.string()))
        return table

    def keys_without_outcome(self, use_case: str, interval: Interval) -> list[str]:
        known = self.outcomes.get(use_case, {})
        return sorted({r["key"] for r in self._rows(use_case) if interval.holds(r["as_of"]) and r["key"] not in known})

    def record_outcomes(self, use_case: str, outcomes: Sequence[tuple[str, bool, datetime]]) -> int:
        known, changed = self.outcomes.setdefault(use_case, {}), set()
        for key, label, known_at in outcomes:
            if key not in known or known[key][1] < known_at:
                known[key] = (label, known_at)
                changed.add(key)
                self._recorded[use_case, key] = datetime.now(UTC)
        return len(changed)

    def labels(self, use_case: str, keys: Collection[str]) -> dict[str, bool]:
        known = self.outcomes.get(use_case, {})
        return {key: known[key][0] for key in keys if key in known}

    def relabelled(
        self, use_case: str, since: datetime | None, origin: datetime, length: timedelta
    ) -> tuple[list[datetime], datetime]:
        now = datetime.now(UTC)
        new = {key for (owner, key), at in self._recorded.items() if owner == use_case and since is not None and at >= since}
        starts = {origin + (r["as_of"] - origin) // length * length for r in self._rows(use_case) if r["key"] in new}
        return sorted(starts), now

    def last_asked(self, use_case: str) -> datetime | None:
        return max((row["as_of"] for row in self._rows(use_case)), default=None)

    def erase(self, use_case: str, entities: Sequence[str]) -> int:
        gone = [row for row in self._rows(use_case) if row["entity"] in entities]
        for row in gone:
            self.outcomes.get(use_case, {}).pop(row["key"], None)
        self.predictions[use_case] = [row for row in self._rows(use_case) if row["entity"] not in entities]
        return len(gone)

    def expire(self, use_case: str, before: datetime) -> int:
        rows, known = self._rows(use_case), self.outcomes.get(use_case, {})
        self.predictions[use_case] = [row for row in rows if row["as_of"] >= before]
        self.outcomes[use_case] = {key: value for key, value in known.items() if value[1] >= before}
        return len(rows) - len(self.predictions[use_case]) + len(known) - len(self.outcomes[use_case])

    def request_erasure(self, use_case: str, entity: str, at: datetime) -> int:
        number = len(self.requests) + 1
        self.requests[number] = (use_case, entity)
        return number

    def erasure_requests(self, use_case: str) -> dict[int, str]:
        return {number: entity for number, (owner, entity) in self.requests.items() if owner == use_case and entity is not None}

    def close_erasures(self, use_case: str, requests: Sequence[int], at: datetime) -> None:
        for number in self.erasure_requests(use_case).keys() & set(requests):
            self.requests[number] = (use_case, None)

    def days(self, use_case: str, until: date) -> list[date]:
        return sorted({day for row in self._rows(use_case) if (day := row["at"].date()) < until})

    def rows(self, use_case: str, day: date) -> Batches:
        return Batches.of(
            pa.Table.from_pylist([{"row_number": 0, **r} for r in self._rows(use_case) if r["at"].date() == day], DAYS)
        )

    def late(self, use_case: str) -> dict[date, datetime]:
        return dict(self.late_days.get(use_case, {}))

    def settle(self, use_case: str, day: date, at: datetime) -> None:
        if self.late(use_case).get(day) == at:
            del self.late_days[use_case][day]

    def _rows(self, use_case: str) -> list[dict[str, Any]]:
        return sorted(self.predictions.get(use_case, []), key=lambda row: (row["at"], row["request_id"]))

    def _table(self, use_case: str, rows: list[dict[str, Any]]) -> pa.Table:
        known = self.outcomes.get(use_case, {})
        joined = [row | dict(zip(("label", "known_at"), known.get(row["key"], (None, None)), strict=True)) for row in rows]
        return pa.Table.from_pylist(joined, schema=SCHEMA)


def _text(value: Any) -> str:
    """As PostgreSQL's `->>` gives a JSON value."""
    return value if isinstance(value, str) else json.dumps(value)
