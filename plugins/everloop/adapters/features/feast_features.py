"""`FeastFeatures`: the feature store of one use case. Feast keeps the definitions, our stores do the work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from feast import FeatureStore
from feast.errors import FeatureServiceNotFoundException

from everloop.adapters.features.computed import MadeBy, computing
from everloop.adapters.features.functions import source_text
from everloop.adapters.features.history.retrieval import with_request_view
from everloop.adapters.features.offline import pinned
from everloop.adapters.features.plans import kinds, view_plan
from everloop.adapters.features.repository import apply, load, one_at_a_time, open_store
from everloop.adapters.features.side_by_side import side_by_side
from everloop.adapters.features.source import DeltaSource
from everloop.adapters.features.stores.arrow import online_schema
from everloop.adapters.features.stores.contract import OnlineStore, Origin, PlannedRead, open_online
from everloop.adapters.features.stores.sql import online_columns
from everloop.adapters.features.versions import with_corrections
from everloop.errors import ConfigurationError, DataError
from everloop.interval import Interval
from everloop.kinds import ARROW_TYPES
from everloop.ports import Lake
from everloop.release import FeaturePlan, PushPlan, RequestFunctionPlan, ViewPlan
from everloop.use_case import UseCase

_BATCH = 100_000
"""Rows read at once to materialize."""


@dataclass(frozen=True)
class _View:
    """A feature view with all its columns, and the source that makes its rows."""

    plan: ViewPlan
    source: DeltaSource

    @property
    def schema(self) -> pa.Schema:
        """The columns of the view's lake table."""
        return online_schema(self.plan)

    @property
    def definition(self) -> str:
        """A digest of all that decides what the rows are, but for the data."""
        source = self.source
        told = [source.sql, list(source.tables), source.lookback.total_seconds(), online_columns(self.plan)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def inputs(self, interval: Interval, starts: Mapping[str, set[datetime]]) -> int:
        """How many source intervals of the window that makes the rows of `interval` are there (`starts` by table)."""
        first = min(interval.start, interval.end - self.source.lookback)
        return sum(first <= start < interval.end for table in self.source.tables for start in starts[table])


class FeastFeatures:
    """`ports.Features` by Feast.

    `repo`: the folder that holds `feature_store.yaml` and `<use case>.py`. `database`: libpq URI of the everloop database,
    which holds the registry (schema `feast`). `online`: URI of the online store, by default that database (schema `online`).
    `spark`: the master of a cluster that computes the views' rows and joins history; `None` for this process.
    """

    def __init__(
        self, repo: Path, use_case: UseCase, lake: Lake, database: str, *, online: str | None = None, spark: str | None = None
    ) -> None:
        self._repo, self._use_case, self._lake, self._database = repo, use_case, lake, database
        self._online = online or database
        self._spark = spark

    @cached_property
    def store(self) -> FeatureStore:
        """Feast's own face, on our stores."""
        with one_at_a_time(self._database):
            return open_store(self._repo, self._use_case.name, self._lake, self._database, self._online, self._spark or "local")

    def apply(self) -> None:
        """See `ports.Features.apply`. What the module no longer declares leaves the registry; online tables stay."""
        store, declared = self.store, load(self._repo, self._use_case.name)
        with one_at_a_time(self._database):
            store.refresh_registry()
            apply(store, declared)
            store.refresh_registry()

    def plan(self) -> FeaturePlan:
        """See `ports.Features.plan`."""
        registry, project = self.store.registry, self.store.project
        projections = {p.name: p for p in self._service().feature_view_projections}
        views = [view for view in registry.list_feature_views(project) if view.name in projections]
        functions = [view for view in registry.list_on_demand_feature_views(project) if view.name in projections]
        plans = [view_plan(view, project, projections[view.name].features) for view in _ordered(views, projections)]
        calls = [_function_plan(view, projections[view.name]) for view in _ordered(functions, projections)]
        return FeaturePlan(
            service=self._use_case.feature_service,
            request=self._request(plans, calls),
            views=tuple(plans),
            functions=tuple(calls),
            pushes=tuple(self._push(view) for view in self._views() if view.source.pushed_from),
        )

    def request_functions(self) -> str:
        """See `ports.Features.request_functions`."""
        path = self._repo / f"{self._use_case.name}.py"
        return source_text(path.read_text(), [call.function for call in self.plan().functions], path.name)

    def touched(self, interval: Interval) -> list[Interval]:
        """See `ports.Features.touched`."""
        found, views = {interval}, self._views()
        starts = self._starts(views)
        for view in views:
            known = set().union(*(starts[table] for table in view.source.tables))
            later = (Interval(start, start + self._use_case.interval) for start in known if start > interval.start)
            found |= {other for other in later if other.end - view.source.lookback < interval.end}
        return sorted(found)

    def compute(self, interval: Interval, known_at: datetime | None = None, *, unseen: bool = False) -> dict[str, int]:
        """See `ports.Features.compute`. Two runs that compute the same interval take turns."""
        counts, views = {}, self._views()
        with computing(self._database, self._use_case.name, interval) as computed:
            starts = self._starts(views)
            for view in views:
                made_by = MadeBy(view.definition, view.inputs(interval, starts))
                rows = self._rows(view, interval)
                if known_at is not None and _corrects(computed.made_by(view.plan.name), made_by, unseen):
                    standing = self._lake.read(view.source.table, interval=interval)
                    rows = with_corrections(self._lake, view.plan, standing, rows, known_at) if standing.num_columns else rows
                self._lake.replace(view.source.table, rows, interval)
                computed.make(view.plan.name, made_by)
                counts[view.plan.name] = rows.num_rows
        return counts

    def materialize(self, interval: Interval) -> dict[str, int]:
        """See `ports.Features.materialize`. In bulk: Feast's own `materialize` goes row by row, to the same effect.

        Stopped in between, it goes on after the last chunk that landed, unless the lake's rows have changed since.
        """
        views = self._views()
        with closing(open_online(self._online)) as store:
            changed = side_by_side(lambda view: self._offer(store, view, interval), views)
            return {view.plan.name: rows for view, rows in zip(views, changed, strict=True)}

    def history(self, entities: pa.Table, versions: Mapping[str, int] | None = None) -> pa.Table:
        """See `ports.Features.history`."""
        with pinned(versions):
            job = self.store.get_historical_features(entities, self._service(), full_feature_names=True)
        joined: pa.Table = job.to_arrow()
        return joined

    def online(self, entities: pa.Table) -> pa.Table:
        """See `ports.Features.online`."""
        plan, rows = self.plan(), entities.to_pylist()
        with closing(open_online(self._online)) as store:
            found = store.read(PlannedRead(plan), rows, [row["event_timestamp"] for row in rows])
        vectors = [vector for _, vector in found]
        for view in plan.views:
            for name, kind in view.features.items():
                column = f"{view.name}__{name}"
                entities = entities.append_column(column, pa.array([vector[column] for vector in vectors], ARROW_TYPES[kind]))
        for function in plan.functions:
            view = self.store.get_on_demand_feature_view(function.name)
            entities = with_request_view(entities, view, full_feature_names=True)
        return entities

    def _offer(self, store: OnlineStore, view: _View, interval: Interval) -> int:
        version = self._lake.version(view.source.table)
        if version is None:
            return 0
        origin = Origin(f"{view.plan.table}/{interval.label}", version)
        return store.write(view.plan, self._batches(view, interval, version), origin)

    def _batches(self, view: _View, interval: Interval, version: int) -> Iterator[pa.Table]:
        """The view's rows of one interval, always in the same order, never all in memory."""
        import polars as pl

        rows = self._lake.scan(view.source.table, version).filter(pl.col("_interval") == interval.start)
        for batch in rows.select(view.schema.names).collect_batches(chunk_size=_BATCH, lazy=True):
            yield batch.to_arrow().cast(view.schema)

    def _service(self) -> Any:
        try:
            return self.store.get_feature_service(self._use_case.feature_service)
        except FeatureServiceNotFoundException as error:
            raise ConfigurationError(
                f'The feature registry of "{self._use_case.name}" has no feature service "{self._use_case.feature_service}": '
                f"declare it in {self._repo / self._use_case.name}.py and apply the repository"
            ) from error

    def _views(self) -> list[_View]:
        """All views of the registry, with their lake sources."""
        project = self.store.project
        views = self.store.registry.list_feature_views(project)
        if strange := [view.name for view in views if not isinstance(view.batch_source, DeltaSource)]:
            raise ConfigurationError(
                f"Feature views {strange} have sources other than DeltaSource: everloop computes from the lake only"
            )
        return [_View(view_plan(view, project), view.batch_source) for view in views]

    def _starts(self, views: Sequence[_View]) -> dict[str, set[datetime]]:
        """The starts of the intervals that each source table has."""
        tables = {table for view in views for table in view.source.tables}
        return {table: self._lake.intervals(table) for table in tables}

    def _rows(self, view: _View, interval: Interval) -> pa.Table:
        """The view's rows of one interval in their types, sorted by key; none while a table that it reads is absent."""
        source, schema = view.source, view.schema
        if any(self._lake.version(table) is None for table in source.tables):
            return schema.empty_table()
        bounds = {name: value for name, value in (("start", interval.start), ("end", interval.end)) if f"${name}" in source.sql}
        rows = self._query(source.sql, dict.fromkeys(source.tables), bounds, self._window(source, interval))
        if set(rows.column_names) != set(schema.names):
            raise DataError(
                f'The SQL of feature view "{view.plan.name}" gives {rows.column_names}, its declaration has {schema.names}: '
                "make them the same"
            )
        order = [(name, "ascending") for name in (*view.plan.join_keys, "event_timestamp", "created")]
        return rows.select(schema.names).cast(schema).sort_by(order)

    def _window(self, source: DeltaSource, interval: Interval) -> Interval:
        """Where the source intervals begin that may hold rows which the SQL reads for `interval`."""
        first = min(interval.start, interval.end - source.lookback)
        return Interval(first - self._use_case.interval, interval.end)

    def _query(self, sql: str, tables: Mapping[str, int | None], parameters: Mapping[str, Any], within: Interval) -> pa.Table:
        """`Lake.query`, where features are computed."""
        if self._spark is None:
            return self._lake.query(sql, tables, parameters, within=within)
        from everloop.adapters.spark.engine import SparkEngine

        return SparkEngine(self._spark).query(self._lake, sql, tables, parameters)

    def _push(self, view: _View) -> PushPlan:
        source = self._use_case.source(str(view.source.pushed_from))
        return PushPlan(view=view.plan.name, source=source.name, sql=view.source.sql, columns=dict(source.columns))

    def _request(self, views: Sequence[ViewPlan], functions: Sequence[RequestFunctionPlan]) -> dict[str, str]:
        """The fields of a request: join keys, what request-time functions read, what decides the arm, categories."""
        fields = {key: kind for view in views for key, kind in view.join_keys.items()}
        for function in functions:
            fields.update(function.inputs)
        for field in (*self._use_case.entity, *self._use_case.categories):
            fields.setdefault(field, self._type_of(field))
        return fields

    def _type_of(self, field: str) -> str:
        for table in self._use_case.sources:
            if field in table.columns:
                return table.columns[field]
        raise ConfigurationError(
            f'Use case "{self._use_case.name}" names the request field "{field}", which no source table has: use a column'
        )


def _corrects(before: MadeBy | None, now: MadeBy, unseen: bool) -> bool:
    """Whether other values than those that stand are a correction, known later, and not another or a first computation."""
    if before is None or before.definition != now.definition:
        return False
    return not (unseen and before.inputs < now.inputs)


def _ordered(views: Iterable[Any], projections: Mapping[str, Any]) -> list[Any]:
    """Views in the order in which the service names them."""
    places = list(projections)
    return sorted(views, key=lambda view: places.index(view.name))


def _function_plan(view: Any, projection: Any) -> RequestFunctionPlan:
    if view.source_feature_view_projections:
        raise ConfigurationError(
            f'On-demand view "{view.name}" reads feature views {sorted(view.source_feature_view_projections)}: the scorer gives '
            "request fields only; compute it in a feature view's SQL"
        )
    fields = [field for source in view.source_request_sources.values() for field in source.schema]
    return RequestFunctionPlan(
        name=view.name,
        function=view.feature_transformation.udf.__name__,
        inputs=kinds(view.name, fields),
        features=kinds(view.name, projection.features),
    )
