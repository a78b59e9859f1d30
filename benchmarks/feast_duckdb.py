"""Feast's own DuckDB store on Parquet copies of our feature tables: the peer of `point_in_time_join`, in its own environment."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any


def retrieve(folder: str, views: list[dict[str, Any]], entities: str, answer: str, runs: int) -> list[float]:
    """Join the rows of the Parquet file `entities` with `views` (`name`, `keys`, `features` by type, `ttl_seconds`) `runs` times.

    Each view reads `<folder>/<name>.parquet`, one file in microseconds: what Feast's store reads best. `created` is obeyed as
    ours obeys it. Writes the last result to `answer`; returns the seconds of each run, entity rows in pandas to result in Arrow.
    """
    import pandas as pd
    import pyarrow.parquet as pq
    from feast import FeatureStore, RepoConfig

    place = Path(folder)
    config = RepoConfig(
        project="peer",
        provider="local",
        registry=str(place / "registry.db"),
        offline_store={"type": "duckdb"},
        online_store=None,
        entity_key_serialization_version=3,
        repo_path=place,
    )
    store = FeatureStore(config=config)
    store.apply(_declared(place, views))
    refs = [f"{view['name']}:{feature}" for view in views for feature in view["features"]]
    asked = pd.read_parquet(entities)
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        rows = store.get_historical_features(asked, refs, full_feature_names=True, filter_by_created_timestamp=True).to_arrow()
        took.append(time.perf_counter() - began)
    pq.write_table(rows, answer)
    return took


def _declared(place: Path, views: list[dict[str, Any]]) -> list[Any]:
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64, Int64

    types = {"float": Float64, "int": Int64}
    entities = {key: Entity(name=key, join_keys=[key], value_type=ValueType.STRING) for view in views for key in view["keys"]}
    declared = [
        FeatureView(
            name=view["name"],
            entities=[entities[key] for key in view["keys"]],
            ttl=view["ttl_seconds"] and timedelta(seconds=view["ttl_seconds"]),
            schema=[Field(name=name, dtype=types[kind]) for name, kind in view["features"].items()],
            source=FileSource(
                name=view["name"],
                path=str(place / f"{view['name']}.parquet"),
                timestamp_field="event_timestamp",
                created_timestamp_column="created",
            ),
        )
        for view in views
    ]
    return [*entities.values(), *declared]
