"""A feature store in memory: the same SQL, and the point-in-time join spelt out row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

import pyarrow as pa

from everloop.errors import ConfigurationError
from everloop.interval import Interval
from everloop.ports import Lake
from everloop.release import FeaturePlan, PushPlan, RequestFunctionPlan, ViewPlan
from everloop.use_case import UseCase

Row = dict[str, Any]

ARROW = {
    "string": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
}


@dataclass(frozen=True, kw_only=True)
class MemoryView:
    """A feature view; its lake table has its name."""

    plan: ViewPlan
    sql: str
    tables: tuple[str, ...]
    lookback: timedelta = timedelta(0)

    @property
    def schema(self) -> pa.Schema:
        columns = {**self.plan.join_keys, **self.plan.features, "event_timestamp": "timestamp", "created": "timestamp"}
        return pa.schema([(name, ARROW[kind]) for name, kind in columns.items()])

    def key(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row.get(name) for name in self.plan.join_keys)

    def best(self, rows: Sequence[Row], entity: Mapping[str, Any]) -> Row:
        """The latest of `rows` that was known at the entity's moment, its features null when it is too old."""
        moment, key = entity["event_timestamp"], self.key(entity)
        known = [r for r in rows if self.key(r) == key and max(r["event_timestamp"], r["created"]) <= moment and None not in key]
        latest = max(known, key=version, default=None)
        ttl = self.plan.ttl_seconds
        if latest and (ttl is None or latest["event_timestamp"] >= moment - timedelta(seconds=ttl)):
            return latest
        return {}


def version(row: Row) -> tuple[datetime, datetime]:
    return row["event_timestamp"], row["created"]


def alike(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (isfinite(left) and isfinite(right) and abs(left - right) <= 1e-9 * max(abs(left), abs(right)))
    return bool(left == right)


class MemoryFeatures:
    """`ports.Features` over a lake and dictionaries. `source` is the text of the request-time functions."""

    def __init__(
        self,
        use_case: UseCase,
        lake: Lake,
        views: Sequence[MemoryView],
        *,
        functions: Sequence[RequestFunctionPlan] = (),
        source: str = "",
        pushes: Sequence[PushPlan] = (),
    ) -> None:
        self._use_case, self._lake, self._views = use_case, lake, tuple(views)
        self._functions, self._source, self._pushes = tuple(functions), source, tuple(pushes)
        self._online: dict[str, dict[tuple[Any, ...], Row]] = {view.plan.name: {} for view in views}
        self._made_by: dict[tuple[str, Interval], tuple[str, int]] = {}
        self.applied = False

    def apply(self) -> None:
        self.applied = True

    def plan(self) -> FeaturePlan:
        self._need_apply()
        request = {key: kind for view in self._views for key, kind in view.plan.join_keys.items()}
        for function in self._functions:
            request.update(function.inputs)
        columns = {name: kind for table in self._use_case.sources for name, kind in table.columns.items()}
        for field in (*self._use_case.entity, *self._use_case.categories):
            request.setdefault(field, columns[field])
        return FeaturePlan(
            service=self._use_case.feature_service,
            request=request,
            views=tuple(view.plan for view in self._views),
            functions=self._functions,
            pushes=self._pushes,
        )

    def request_functions(self) -> str:
        return self._source

    def touched(self, interval: Interval) -> list[Interval]:
        found = {interval}
        for view in self._views:
            for start in {start for table in view.tables for start in self._lake.intervals(table)}:
                other = Interval(start, start + self._use_case.interval)
                if other.start > interval.start and other.end - view.lookback < interval.end:
                    found.add(other)
        return sorted(found)

    def compute(self, interval: Interval, known_at: datetime | None = None, *, unseen: bool = False) -> dict[str, int]:
        counts = {}
        for view in self._views:
            rows = view.schema.empty_table()
            if all(self._lake.version(table) is not None for table in view.tables):
                bounds = {n: v for n, v in (("start", interval.start), ("end", interval.end)) if f"${n}" in view.sql}
                rows = self._lake.query(view.sql, dict.fromkeys(view.tables), bounds).select(view.schema.names).cast(view.schema)
            inputs = self._inputs(view, interval)
            definition, before = self._made_by.get((view.plan.name, interval), (None, 0))
            if known_at and definition == view.sql and not (unseen and before < inputs):
                rows = self._corrected(view, self._lake.read(view.plan.name, interval=interval), rows, known_at)
            self._lake.replace(view.plan.name, rows, interval)
            self._made_by[view.plan.name, interval] = (view.sql, inputs)
            counts[view.plan.name] = rows.num_rows
        return counts

    def _inputs(self, view: MemoryView, interval: Interval) -> int:
        first = min(interval.start, interval.end - view.lookback)
        return sum(first <= start < interval.end for table in view.tables for start in self._lake.intervals(table))

    def _corrected(self, view: MemoryView, standing: pa.Table, computed: pa.Table, known_at: datetime) -> pa.Table:
        old, new = (
            {(view.key(r), r["event_timestamp"]): r for r in sorted(t.to_pylist(), key=version)} for t in (standing, computed)
        )
        added = []
        for fact in old.keys() | new.keys():
            gone = {**old.get(fact, {}), **dict.fromkeys(view.plan.features)}
            row, stood = new.get(fact, gone), old.get(fact)
            if stood is None or any(not alike(row[name], stood[name]) for name in view.plan.features):
                later = [known_at] + ([new[fact]["created"]] if fact in new else [])
                later += [stood["created"] + timedelta(microseconds=1)] if stood else []
                added.append(row | {"created": max(later)})
        order = [(name, "ascending") for name in (*view.plan.join_keys, "event_timestamp", "created")]
        return pa.Table.from_pylist([*standing.to_pylist(), *added], schema=view.schema).sort_by(order)

    def materialize(self, interval: Interval) -> dict[str, int]:
        return {
            view.plan.name: self._offer(view, self._lake.read(view.plan.name, interval=interval).to_pylist())
            for view in self._views
        }

    def history(self, entities: pa.Table, versions: Mapping[str, int] | None = None) -> pa.Table:
        self._need_apply()
        rows = {view.plan.name: self._read(view.plan.name, versions).to_pylist() for view in self._views}
        return self._joined(entities, lambda view, entity: view.best(rows[view.plan.name], entity))

    def online(self, entities: pa.Table) -> pa.Table:
        def look(view: MemoryView, entity: Row) -> Row:
            stored = self._online[view.plan.name].get(view.key(entity))
            return view.best([stored] if stored else [], entity)

        return self._joined(entities, look)

    def _need_apply(self) -> None:
        if not self.applied:
            raise ConfigurationError(f'The feature registry of "{self._use_case.name}" is empty: apply the repository')

    def _read(self, table: str, versions: Mapping[str, int] | None) -> pa.Table:
        if versions is None or self._lake.version(table) is None:
            return self._lake.read(table)
        if table not in versions:
            raise ConfigurationError(f'The snapshot does not pin the feature table "{table}": take it again, with all tables')
        return self._lake.read(table, version=versions[table])

    def _offer(self, view: MemoryView, rows: Sequence[Row]) -> int:
        table, changed = self._online[view.plan.name], set()
        for row in sorted(rows, key=version):
            stored = table.get(view.key(row))
            if (stored is None or version(row) >= version(stored)) and row != stored:
                table[view.key(row)] = row
                changed.add(view.key(row))
        return len(changed)

    def _joined(self, entities: pa.Table, look: Any) -> pa.Table:
        joined, asked = entities, entities.to_pylist()
        for view in self._views:
            found = [look(view, entity) for entity in asked]
            for name, kind in view.plan.features.items():
                values = pa.array([row.get(name) for row in found], ARROW[kind])
                joined = joined.append_column(f"{view.plan.name}__{name}", values)
        namespace: dict[str, Any] = {}
        exec(self._source, namespace)
        for function in self._functions:
            answer = namespace[function.function]({name: [row[name] for row in asked] for name in function.inputs})
            for name, kind in function.features.items():
                joined = joined.append_column(f"{function.name}__{name}", pa.array(answer[name], ARROW[kind]))
        return joined
