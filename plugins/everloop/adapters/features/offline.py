"""Feast's offline store on the lake: point-in-time joins over Delta."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig

from everloop.adapters.features.history.asof import AsofView, Engine, join
from everloop.adapters.features.history.entities import RANGE_MOMENT, entity_rows, moment_column, rows_between, typed
from everloop.adapters.features.history.retrieval import DeltaRetrievalJob
from everloop.adapters.features.history.saved import add
from everloop.adapters.features.plans import kinds
from everloop.adapters.features.side_by_side import side_by_side
from everloop.adapters.features.source import DeltaSource
from everloop.errors import ConfigurationError
from everloop.kinds import ARROW_TYPES
from everloop.ports import Lake

_VERSIONS: ContextVar[Mapping[str, int] | None] = ContextVar("versions", default=None)


class DeltaOfflineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]  # Feast has no types
    """`lake`: the folder or `s3://` prefix that holds `<project>/<table>`, or a `ports.Lake` in the process.

    `storage_options`: delta-rs's, for stores other than AWS. `engine`: what computes joins: `local`, the master of a Spark
    cluster (`spark://host:7077`, see `adapters.spark.session`), or an `asof.Engine` in the process.
    """

    type: Literal["everloop.adapters.features.offline.DeltaOfflineStore"] = "everloop.adapters.features.offline.DeltaOfflineStore"
    lake: Any
    storage_options: dict[str, str] | None = None
    engine: Any = "local"


def engine_of(config: RepoConfig) -> Engine:
    """The engine that a Feast configuration names; `ConfigurationError` when there is none of that name."""
    named = config.offline_store.engine
    if not isinstance(named, str):
        given: Engine = named
        return given
    if named == "local":
        return join
    from everloop.adapters.spark.engine import SparkEngine

    return SparkEngine(named)


def lake_of(config: RepoConfig) -> Lake:
    """The lake that a Feast configuration names."""
    store = config.offline_store
    if not isinstance(store.lake, str):
        given: Lake = store.lake
        return given
    from everloop.adapters.lake import DeltaLake

    return DeltaLake(f"{store.lake}/{config.project}", store.storage_options)


@contextmanager
def pinned(versions: Mapping[str, int] | None) -> Iterator[None]:
    """Joins that are asked for inside read these versions of the feature tables; `None` for the latest."""
    token = _VERSIONS.set(versions)
    try:
        yield
    finally:
        _VERSIONS.reset(token)


class DeltaOfflineStore(OfflineStore):  # type: ignore[misc]  # Feast has no types
    """Every entity row is kept, in order; see `asof.join` for which feature row counts.

    A row created after the entity's moment is never seen, whatever `filter_by_created_timestamp` says: it was not known.
    """

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[Any],
        feature_refs: list[str],
        entity_df: pd.DataFrame | pa.Table | str | None,
        registry: Any,
        project: str,
        full_feature_names: bool = False,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        **_: Any,
    ) -> RetrievalJob:
        """Entity rows (pandas, Arrow, or SQL over the lake) with their features. The versions are those of now.

        Without entity rows: all that became known in `[start_date, end_date]`, see `entities.rows_between`.
        """
        lake, engine = lake_of(config), engine_of(config)
        views = _asof_views(feature_refs, feature_views, full_feature_names)
        versions = {view.table: _version(lake, view.table) for view in views}
        if entity_df is None:
            entities = rows_between(lake, views, [versions[view.table] for view in views], start_date, end_date)
            moment = RANGE_MOMENT
        else:
            entities = entity_rows(lake, entity_df)
            moment = moment_column(entities)
            entities = typed(entities, moment, views)

        def evaluate() -> pa.Table:
            joined = entities
            for found in side_by_side(lambda view: engine(lake, view, versions[view.table], entities, moment), views):
                for name in found.column_names:
                    joined = joined.append_column(name, found[name])
            return joined

        functions = _functions(feature_refs, registry, project)
        return DeltaRetrievalJob(lake, evaluate, full_feature_names, functions, _metadata(feature_refs, entities, moment))

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DeltaSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """For each key the latest row with event time in `[start_date, end_date]`."""
        keys = ", ".join(_quoted(join_key_columns) or ["true"])
        times = ", ".join(f"{column} DESC" for column in _quoted([timestamp_field, created_timestamp_column]))
        latest = f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {times}) = 1"
        columns = [*_keys(join_key_columns), *_quoted([*feature_name_columns, timestamp_field, created_timestamp_column])]
        return _pull(config, data_source, columns, timestamp_field, (start_date, end_date), latest)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DeltaSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """All rows with event time in `[start_date, end_date]`, either end open when `None`."""
        columns = [*_keys(join_key_columns), *_quoted([*feature_name_columns, timestamp_field, created_timestamp_column])]
        return _pull(config, data_source, columns, timestamp_field, (start_date, end_date))

    @staticmethod
    def offline_write_batch(
        config: RepoConfig, feature_view: Any, table: pa.Table, progress: Callable[[int], Any] | None
    ) -> None:
        """Add rows to a view's table, beside those that its SQL computes. Which of two counts, their `created` says."""
        add(lake_of(config), feature_view.batch_source.table, table)
        if progress:
            progress(table.num_rows)


def _metadata(refs: Sequence[str], entities: pa.Table, moment: str) -> RetrievalMetadata:
    bounds: Mapping[str, Any] = pc.min_max(entities[moment]).as_py()
    keys = [name for name in entities.column_names if name != moment]
    return RetrievalMetadata(list(refs), keys, bounds["min"], bounds["max"])


def _asof_view(view: Any, features: Sequence[str], full_feature_names: bool) -> AsofView:
    """A Feast view, its renamings resolved: which columns of which table under which names."""
    source, projection = view.batch_source, view.projection
    stored = {feature: column for column, feature in source.field_mapping.items()}
    columns = [column.name for column in view.entity_columns if column.name != DUMMY_ENTITY_ID]
    join_keys = {projection.join_key_map.get(column, column): column for column in columns}
    named = {feature: f"{projection.name_to_use()}__{feature}" if full_feature_names else feature for feature in features}
    key_types = kinds(view.name, view.entity_columns)
    types = {key: ARROW_TYPES[key_types[column]] for key, column in join_keys.items()}
    feature_types = kinds(view.name, (field for field in view.features if field.name in named))
    return AsofView(
        table=source.table,
        join_keys={key: stored.get(column, column) for key, column in join_keys.items()},
        features={stored.get(feature, feature): name for feature, name in named.items()},
        types=types | {name: ARROW_TYPES[feature_types[feature]] for feature, name in named.items()},
        event_time=source.timestamp_field,
        created=source.created_timestamp_column or None,
        ttl=view.ttl or None,
    )


def _functions(refs: Sequence[str], registry: Any, project: str) -> list[Any]:
    """The request-time views of the references, narrowed to the features that these name."""
    asked = _by_view(refs)
    return [view[asked[view.name]] for view in OnDemandFeatureView.get_requested_odfvs(refs, project, registry)]


def _by_view(refs: Sequence[str]) -> dict[str, list[str]]:
    asked: dict[str, list[str]] = {}
    for ref in refs:
        view, _, feature = ref.partition(":")
        asked.setdefault(view, []).append(feature)
    return asked


def _asof_views(refs: Sequence[str], views: Sequence[Any], full_feature_names: bool) -> list[AsofView]:
    """What `view:feature` references ask of `views`, in order; references to request-time views are not among them."""
    by_name = {view.projection.name_to_use(): view for view in views}
    return [
        _asof_view(by_name[name], features, full_feature_names) for name, features in _by_view(refs).items() if name in by_name
    ]


def _version(lake: Lake, table: str) -> int | None:
    """The version to read; `None` when the table is absent."""
    latest, versions = lake.version(table), _VERSIONS.get()
    if latest is None or versions is None:
        return latest
    if table not in versions:
        raise ConfigurationError(
            f'The snapshot {dict(versions)} does not pin the feature table "{table}": take the snapshot again, with all tables'
        )
    return versions[table]


def _pull(
    config: RepoConfig,
    source: DeltaSource,
    selected: Sequence[str],
    timestamp: str,
    bounds: tuple[datetime | None, datetime | None],
    suffix: str = "",
) -> RetrievalJob:
    lake, version = lake_of(config), lake_of(config).version(source.table)
    marks = [("start", ">=", bounds[0]), ("end", "<=", bounds[1])]
    where = " AND ".join(["true", *(f'"{timestamp}" {compare} ${mark}' for mark, compare, value in marks if value is not None)])
    sql = f'SELECT {", ".join(selected)} FROM "{source.table}" WHERE {where} {suffix}'

    def evaluate() -> pa.Table:
        if version is None:
            return pa.table({name.rpartition(" ")[2].strip('"'): pa.nulls(0) for name in selected})
        return lake.query(sql, {source.table: version}, {mark: value for mark, _, value in marks if value is not None})

    return DeltaRetrievalJob(lake, evaluate)


def _keys(names: Sequence[str]) -> list[str]:
    """The keys as SQL; Feast knows the rows of a view without entity by a key of its own."""
    return _quoted(names) or [f"'{DUMMY_ENTITY_VAL}' AS {DUMMY_ENTITY_ID}"]


def _quoted(names: Sequence[str | None]) -> list[str]:
    return ['"' + name.replace('"', '""') + '"' for name in names if name]
