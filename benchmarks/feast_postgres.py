"""Feast's own PostgreSQL online store: the peer of `online_store`, in its own environment."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def materialize(folder: str, database: dict[str, Any], views: list[str], end: str) -> dict[str, float]:
    """Seconds of Feast's own `materialize` by view, from `<folder>/<view>.parquet` up to `end`."""
    store = _store(Path(folder), database)
    store.apply(_declared(Path(folder), views))
    took = {}
    for view in views:
        began = time.perf_counter()
        store.materialize(datetime(2013, 1, 1, tzinfo=UTC), datetime.fromisoformat(end), feature_views=[view])
        took[view] = time.perf_counter() - began
    return took


def read(folder: str, database: dict[str, Any], features: list[str], requests: list[list[int]]) -> dict[str, Any]:
    """The p50 milliseconds of `get_online_features` for each list of customers, and what the last of them gave."""
    store = _store(Path(folder), database)
    took = []
    answer: dict[str, Any] = {}
    for customers in [*requests[:20], *requests]:  # the first ones open connections and the registry's cache
        rows = [{"customer": customer} for customer in customers]
        began = time.perf_counter()
        answer = store.get_online_features(features=features, entity_rows=rows).to_dict()
        took.append((time.perf_counter() - began) * 1000)
    return {"p50_ms": statistics.median(took[20:]), "values": answer}


def config(place: Path, database: dict[str, Any]) -> dict[str, Any]:
    """What `feature_store.yaml` would say."""
    return {
        "project": "peer",
        "provider": "local",
        "registry": {"path": str(place / "registry.db"), "cache_ttl_seconds": 3600},
        "offline_store": {"type": "duckdb"},
        "online_store": {"type": "postgres", "db_schema": "public", "sslmode": "disable", **database},
        "entity_key_serialization_version": 3,
    }


def _store(place: Path, database: dict[str, Any]) -> Any:
    from feast import FeatureStore, RepoConfig

    return FeatureStore(config=RepoConfig(repo_path=place, **config(place, database)))


def _declared(place: Path, views: list[str]) -> list[Any]:
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64

    customer = Entity(name="customer", join_keys=["customer"], value_type=ValueType.INT64)
    declared = [
        FeatureView(
            name=view,
            entities=[customer],
            ttl=None,
            schema=[Field(name=f"{view}_{n}", dtype=Float64) for n in range(3)],
            source=FileSource(
                name=view,
                path=str(place / f"{view}.parquet"),
                timestamp_field="event_timestamp",
                created_timestamp_column="created",
            ),
        )
        for view in views
    ]
    return [customer, *declared]
