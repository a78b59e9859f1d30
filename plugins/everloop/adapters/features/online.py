"""Feast's online store on PostgreSQL or Redis: guarded writes, TTL obeyed when reading."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow as pa
from feast.infra.online_stores.online_store import OnlineStore as FeastOnlineStore
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.type_map import feast_value_type_to_python_type, python_values_to_proto_values

from everloop.adapters.features.plans import view_plan
from everloop.adapters.features.stores.arrow import online_schema
from everloop.adapters.features.stores.contract import (
    AsyncOnlineStore,
    OnlineStore,
    PlannedRead,
    open_online,
    open_online_async,
)
from everloop.adapters.features.stores.judged import Found
from everloop.release import FeaturePlan, ViewPlan

Written = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
Answer = tuple[datetime | None, dict[str, Value] | None]

_EVENT = "event_timestamp"


class OnlineAddress(FeastConfigBaseModel):  # type: ignore[misc]  # Feast has no types
    """`uri`: of PostgreSQL or Redis, see `stores.contract`. `as_of`: the moment that reads speak of, `None` for now."""

    uri: str
    as_of: datetime | None = None


class GuardedOnlineStoreConfig(OnlineAddress):
    """The store that `uri` names."""

    type: Literal["everloop.adapters.features.online.GuardedOnlineStore"] = "everloop.adapters.features.online.GuardedOnlineStore"


class GuardedOnlineStore(FeastOnlineStore):  # type: ignore[misc]  # Feast has no types
    """The store that `uri` names.

    An older `(event time, created time)` never overwrites a newer one, and an expired value reads as not found.
    """

    def __init__(self) -> None:
        self._store: OnlineStore | None = None
        self._async_store: AsyncOnlineStore | None = None

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        """Reads and writes."""
        return SupportedAsyncMethods(read=True, write=True)

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[Any],  # noqa: ARG002, Feast's signature
        tables_to_keep: Sequence[Any],
        entities_to_delete: Sequence[Any],  # noqa: ARG002
        entities_to_keep: Sequence[Any],  # noqa: ARG002
        partial: bool,  # noqa: ARG002
    ) -> None:
        """Make room for the views. A view that goes leaves its rows: the release that serves, or a revert, may read them."""
        self._open(config).prepare(_plans(config, tables_to_keep))

    def teardown(self, config: RepoConfig, tables: Sequence[Any], entities: Sequence[Any]) -> None:  # noqa: ARG002
        """Delete the views' rows."""
        self._open(config).drop(_plans(config, tables))

    def online_write_batch(
        self, config: RepoConfig, table: Any, data: Sequence[Written], progress: Callable[[int], Any] | None
    ) -> None:
        """Offer feature rows; naive times count as UTC, and a row without a created time was known at its event time."""
        view = view_plan(table, config.project)
        self._open(config).write(view, [pa.Table.from_pylist(_rows(data), schema=online_schema(view))])
        if progress:
            progress(len(data))

    async def online_write_batch_async(
        self, config: RepoConfig, table: Any, data: Sequence[Written], progress: Callable[[int], Any] | None
    ) -> None:
        """`online_write_batch` for an event loop."""
        store = await self._open_async(config)
        await store.write(view_plan(table, config.project), _rows(data))
        if progress:
            progress(len(data))

    def online_read(
        self, config: RepoConfig, table: Any, entity_keys: Sequence[EntityKey], requested_features: Sequence[str] | None = None
    ) -> list[Answer]:
        """One entry per key, `(None, None)` where nothing counts: no row, or one that TTL or time rules out."""
        read, rows, as_of = _asked(config, table, entity_keys)
        return _answers(table, self._open(config).read(read, rows, as_of), requested_features)

    async def online_read_async(
        self, config: RepoConfig, table: Any, entity_keys: Sequence[EntityKey], requested_features: Sequence[str] | None = None
    ) -> list[Answer]:
        """`online_read` for an event loop."""
        read, rows, as_of = _asked(config, table, entity_keys)
        store = await self._open_async(config)
        found = read.judges.judged(await store.stored(read, rows), as_of)
        return _answers(table, found, requested_features)

    async def close(self) -> None:
        """Close the connections."""
        if self._store is not None:
            self._store.close()
        if self._async_store is not None:
            await self._async_store.close()

    def _open(self, config: RepoConfig) -> OnlineStore:
        if self._store is None:
            self._store = open_online(config.online_store.uri)
        return self._store

    async def _open_async(self, config: RepoConfig) -> AsyncOnlineStore:
        if self._async_store is None:
            store = open_online_async(config.online_store.uri, seconds=30)
            await store.open()
            self._async_store = store
        return self._async_store


def _plans(config: RepoConfig, views: Sequence[Any]) -> list[ViewPlan]:
    """Those with rows of their own: a request-time view has none."""
    return [view_plan(view, config.project) for view in views if hasattr(view, "batch_source")]


def _rows(data: Sequence[Written]) -> list[dict[str, Any]]:
    return [
        {
            **{key: _python(value) for key, value in zip(entity.join_keys, entity.entity_values, strict=True)},
            **{name: _python(value) for name, value in features.items()},
            _EVENT: _aware(event),
            "created": _aware(created or event),
        }
        for entity, features, event, created in data
    ]


def _asked(
    config: RepoConfig, table: Any, entity_keys: Sequence[EntityKey]
) -> tuple[PlannedRead, list[dict[str, Any]], list[datetime]]:
    """The read of one view, its event time as one more feature, with its rows and their moment."""
    view = view_plan(table, config.project)
    timed = replace(view, features={_EVENT: "timestamp", **view.features})
    rows = [dict(zip(key.join_keys, map(_python, key.entity_values), strict=True)) for key in entity_keys]
    as_of = config.online_store.as_of or datetime.now(UTC)
    return PlannedRead(FeaturePlan(service="", request={}, views=(timed,))), rows, [as_of] * len(rows)


def _answers(table: Any, found: Sequence[Found], requested: Sequence[str] | None) -> list[Answer]:
    kinds = {field.name: field.dtype.to_value_type() for field in table.features}
    wanted = [name for name in kinds if requested is None or name in requested]
    columns = {
        name: python_values_to_proto_values([vector[f"{table.name}__{name}"] for _, vector in found], kinds[name])
        for name in wanted
    }
    return [
        (vector[f"{table.name}__{_EVENT}"], {name: columns[name][row] for name in wanted})
        if status[table.name] == "fresh"
        else (None, None)
        for row, (status, vector) in enumerate(found)
    ]


def _python(value: Value) -> Any:
    """A proto's value. Feast hands a missing number over as NaN, history has it as null: null it is."""
    found = feast_value_type_to_python_type(value)
    return None if isinstance(found, float) and math.isnan(found) else found


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
