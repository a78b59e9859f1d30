"""Feast's offline store on the lake: point-in-time joins by ASOF in DuckDB over Delta."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig

from everloop.adapters.features.asof import AsofView, join
from everloop.adapters.features.plans import ARROW_TYPES, TIMESTAMP, kinds
from everloop.adapters.features.retrieval import DeltaRetrievalJob
from everloop.adapters.features.source import DeltaSource
from everloop.errors import ConfigurationError
from everloop.ports import Lake

_VERSIONS: ContextVar[Mapping[str, int] | None] = ContextVar("versions", default=None)


class DeltaOfflineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]  # Feast has no types
    """`lake`: the folder or `s3://` prefix that holds `<project>/<table>`, or a `ports.Lake` in the process.

    `storage_options`: delta-rs's, for stores other than AWS.
    """

    type: Literal["everloop.adapters.features.offline.DeltaOfflineStore"] = "everloop.adapters.features.offline.DeltaOfflineStore"
    lake: Any
    storage_options: dict[str, str] | None = None


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
        **_: Any,
    ) -> RetrievalJob:
        """Entity rows (pandas, Arrow, or SQL over the lake) with their features. The versions are those of now."""
        lake = lake_of(config)
        entities = _entity_rows(lake, entity_df)
        moment = infer_event_timestamp_from_entity_df(entities.schema.empty_table().to_pandas().dtypes.to_dict())
        views = _asof_views(feature_refs, feature_views, full_feature_names)
        entities = _typed(entities, moment, views)
        versions = {view.table: _version(lake, view.table) for view in views}

        def evaluate() -> pa.Table:
            joined = entities
            for view in views:
                found = join(lake, view, versions[view.table], entities, moment)
                for name in found.column_names:
                    joined = joined.append_column(name, found[name])
            return joined

        functions = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        metadata = RetrievalMetadata(features=list(feature_refs), keys=[c for c in entities.column_names if c != moment])
        return DeltaRetrievalJob(evaluate, full_feature_names, functions, metadata)

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
        keys = ", ".join(_quoted(join_key_columns))
        times = ", ".join(f"{column} DESC" for column in _quoted([timestamp_field, created_timestamp_column]))
        latest = f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {times}) = 1"
        columns = [*join_key_columns, *feature_name_columns, timestamp_field, created_timestamp_column]
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
        columns = [*join_key_columns, *feature_name_columns, timestamp_field, created_timestamp_column]
        return _pull(config, data_source, columns, timestamp_field, (start_date, end_date))


def _entity_rows(lake: Lake, entity_df: pd.DataFrame | pa.Table | str | None) -> pa.Table:
    if isinstance(entity_df, pa.Table):
        return entity_df
    if isinstance(entity_df, pd.DataFrame):
        return pa.Table.from_pandas(entity_df, preserve_index=False).replace_schema_metadata(None)
    if isinstance(entity_df, str):
        named = set(re.findall(r"\w+", entity_df))
        return lake.query(entity_df, {table: None for table in lake.tables() if table in named})
    raise ConfigurationError("Retrieval by a date range alone is not supported: pass entity_df, a frame or SQL over the lake")


def _typed(entities: pa.Table, moment: str, views: Sequence[AsofView]) -> pa.Table:
    """`entities` with join keys in their declared types and the moment in UTC; naive times count as UTC."""
    wanted = {key: view.types[key] for view in views for key in view.join_keys}
    if missing := sorted(set(wanted) - set(entities.column_names)):
        raise ConfigurationError(
            f"The entity rows have columns {entities.column_names} and lack the join keys {missing}: add them"
        )
    for name, kind in {**wanted, moment: TIMESTAMP}.items():
        if entities[name].type != kind:
            column = entities[name].cast(kind, safe=name != moment)
            entities = entities.set_column(entities.column_names.index(name), name, column)
    return entities


def _asof_view(view: Any, features: Sequence[str], full_feature_names: bool) -> AsofView:
    """A Feast view, its renamings resolved: which columns of which table under which names."""
    source, projection = view.batch_source, view.projection
    stored = {feature: column for column, feature in source.field_mapping.items()}
    join_keys = {projection.join_key_map.get(column.name, column.name): column.name for column in view.entity_columns}
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


def _asof_views(refs: Sequence[str], views: Sequence[Any], full_feature_names: bool) -> list[AsofView]:
    """What `view:feature` references ask of `views`, in order; references to request-time views are not among them."""
    asked: dict[str, list[str]] = {}
    for ref in refs:
        view, _, feature = ref.partition(":")
        asked.setdefault(view, []).append(feature)
    by_name = {view.projection.name_to_use(): view for view in views}
    return [_asof_view(by_name[name], features, full_feature_names) for name, features in asked.items() if name in by_name]


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
    columns: Sequence[str | None],
    timestamp: str,
    bounds: tuple[datetime | None, datetime | None],
    suffix: str = "",
) -> RetrievalJob:
    lake, names = lake_of(config), [name for name in columns if name]
    marks = [("start", ">=", bounds[0]), ("end", "<=", bounds[1])]
    where = " AND ".join(["true", *(f'"{timestamp}" {compare} ${mark}' for mark, compare, value in marks if value is not None)])
    sql = f'SELECT {", ".join(_quoted(names))} FROM "{source.table}" WHERE {where} {suffix}'
    version = lake.version(source.table)

    def evaluate() -> pa.Table:
        if version is None:
            return pa.table({name: pa.nulls(0) for name in names})
        return lake.query(sql, {source.table: version}, {mark: value for mark, _, value in marks if value is not None})

    return DeltaRetrievalJob(evaluate)


def _quoted(names: Sequence[str | None]) -> list[str]:
    return ['"' + name.replace('"', '""') + '"' for name in names if name]
