"""Feast's online store on PostgreSQL: one typed table per view, guarded writes, TTL obeyed when reading."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow as pa
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.type_map import feast_value_type_to_python_type, python_values_to_proto_values
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from everloop.adapters.features.bulk import create_tables, drop_tables, write_rows
from everloop.adapters.features.online_sql import SESSION, OnlineRead, online_columns, online_read
from everloop.adapters.features.plans import ARROW_TYPES, view_plan
from everloop.release import FeaturePlan, ViewPlan

Written = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
Found = tuple[datetime | None, dict[str, Value] | None]

_EVENT = "event_timestamp"
_READING = {"options": " ".join(f"-c {name}={value}" for name, value in SESSION.items()), "autocommit": True}


class PostgresOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]  # Feast has no types
    """`uri`: libpq. `as_of`: the moment that reads speak of, by which TTL counts; `None` for now."""

    type: Literal["everloop.adapters.features.online.PostgresOnlineStore"] = (
        "everloop.adapters.features.online.PostgresOnlineStore"
    )
    uri: str
    as_of: datetime | None = None


class PostgresOnlineStore(OnlineStore):  # type: ignore[misc]  # Feast has no types
    """An older `(event time, created time)` never overwrites a newer one, and an expired value reads as not found."""

    def __init__(self) -> None:
        self._pool: ConnectionPool[Any] | None = None
        self._async_pool: AsyncConnectionPool[AsyncConnection[Any]] | None = None

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        """Reads."""
        return SupportedAsyncMethods(read=True)

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[Any],  # noqa: ARG002, Feast's signature
        tables_to_keep: Sequence[Any],
        entities_to_delete: Sequence[Any],  # noqa: ARG002
        entities_to_keep: Sequence[Any],  # noqa: ARG002
        partial: bool,  # noqa: ARG002
    ) -> None:
        """Make the views' tables. A view that goes leaves its table: the release that serves, or a revert, may still read it."""
        create_tables(config.online_store.uri, [view_plan(view, config.project) for view in tables_to_keep if _has_table(view)])

    def teardown(self, config: RepoConfig, tables: Sequence[Any], entities: Sequence[Any]) -> None:  # noqa: ARG002
        """Drop the views' tables."""
        drop_tables(config.online_store.uri, [view_plan(view, config.project).table for view in tables if _has_table(view)])

    def online_write_batch(
        self, config: RepoConfig, table: Any, data: Sequence[Written], progress: Callable[[int], Any] | None
    ) -> None:
        """Offer feature rows; naive times count as UTC, and a row without a created time was known at its event time."""
        view = view_plan(table, config.project)
        write_rows(config.online_store.uri, view, _table(view, data))
        if progress:
            progress(len(data))

    def online_read(
        self, config: RepoConfig, table: Any, entity_keys: Sequence[EntityKey], requested_features: Sequence[str] | None = None
    ) -> list[Found]:
        """One entry per key, `(None, None)` where nothing counts: no row, or one that TTL or time rules out."""
        read, parameters = _reading(config, table, entity_keys)
        if self._pool is None:
            self._pool = ConnectionPool(config.online_store.uri, kwargs=_READING, min_size=0, max_size=8, open=True)
        with self._pool.connection() as connection:
            records = connection.execute(read.sql, parameters, prepare=True).fetchall()
        return _found(table, read, records, requested_features)

    async def online_read_async(
        self, config: RepoConfig, table: Any, entity_keys: Sequence[EntityKey], requested_features: Sequence[str] | None = None
    ) -> list[Found]:
        """`online_read` for an event loop."""
        read, parameters = _reading(config, table, entity_keys)
        if self._async_pool is None:
            self._async_pool = AsyncConnectionPool(config.online_store.uri, kwargs=_READING, min_size=0, max_size=8, open=False)
            await self._async_pool.open()
        async with self._async_pool.connection() as connection:
            records = await (await connection.execute(read.sql, parameters, prepare=True)).fetchall()
        return _found(table, read, records, requested_features)

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.close()
        if self._async_pool is not None:
            await self._async_pool.close()


def _has_table(view: Any) -> bool:
    """Whether the view has rows of its own: a request-time view has none."""
    return hasattr(view, "batch_source")


def _table(view: ViewPlan, data: Sequence[Written]) -> pa.Table:
    rows = [
        {
            **{key: _python(value) for key, value in zip(entity.join_keys, entity.entity_values, strict=True)},
            **{name: _python(value) for name, value in features.items()},
            _EVENT: _aware(event),
            "created": _aware(created or event),
        }
        for entity, features, event, created in data
    ]
    schema = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in online_columns(view).items()])
    return pa.Table.from_pylist(rows, schema=schema)


def _reading(config: RepoConfig, table: Any, entity_keys: Sequence[EntityKey]) -> tuple[OnlineRead, list[list[Any]]]:
    """The statement for one view, which reads its event time as one more feature, and its parameters."""
    view = view_plan(table, config.project)
    timed = ViewPlan(
        name=view.name,
        table=view.table,
        join_keys=view.join_keys,
        features={_EVENT: "timestamp", **view.features},
        ttl_seconds=view.ttl_seconds,
    )
    read = online_read(FeaturePlan(service="", request={}, views=(timed,)), "format")
    rows = [dict(zip(key.join_keys, map(_python, key.entity_values), strict=True)) for key in entity_keys]
    as_of = config.online_store.as_of or datetime.now(UTC)
    return read, read.parameters(rows, [as_of] * len(rows))


def _found(table: Any, read: OnlineRead, records: Sequence[Sequence[Any]], requested: Sequence[str] | None) -> list[Found]:
    kinds = {field.name: field.dtype.to_value_type() for field in table.features}
    wanted = [name for name in kinds if requested is None or name in requested]
    looked = [read.split(record) for record in records]
    columns = {
        name: python_values_to_proto_values([vector[f"{table.name}__{name}"] for _, vector in looked], kinds[name])
        for name in wanted
    }
    return [
        (vector[f"{table.name}__{_EVENT}"], {name: columns[name][row] for name in wanted})
        if status[table.name] == "fresh"
        else (None, None)
        for row, (status, vector) in enumerate(looked)
    ]


def _python(value: Value) -> Any:
    """A proto's value. Feast hands a missing number over as NaN, history has it as null: null it is."""
    found = feast_value_type_to_python_type(value)
    return None if isinstance(found, float) and math.isnan(found) else found


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
