"""The feature repository: its module on disk, and Feast's registry of it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from feast import Entity, FeatureService, FeatureStore, FeatureView, OnDemandFeatureView
from feast.data_source import DataSource
from feast.repo_config import load_repo_config

from everloop.adapters.database import connect
from everloop.adapters.features.history.asof import Engine
from everloop.adapters.features.offline import DeltaOfflineStoreConfig
from everloop.errors import ConfigurationError
from everloop.ports import Lake

REGISTRY_SCHEMA = "feast"
_REGISTRY_LOCK = 0x66656173_74000000
"""The advisory lock of the registry: "feast" in ASCII."""

_KINDS = (Entity, DataSource, FeatureView, OnDemandFeatureView, FeatureService)


def open_store(repo: Path, project: str, lake: Lake, database: str, online: str, engine: Engine | str) -> FeatureStore:
    """Feast on our two stores, by `feature_store.yaml` with the project and the addresses put in."""
    config = load_repo_config(repo, repo / "feature_store.yaml")
    config.project = project
    config.registry_config = {**config.registry_config, "registry_type": "sql", "path": registry_uri(database)}
    config.offline_config = DeltaOfflineStoreConfig(lake=lake, engine=engine)
    config.online_config = {**config.online_config, "uri": online}
    return FeatureStore(config=config)


def registry_uri(database: str) -> str:
    """The SQLAlchemy URI of the registry's schema in the everloop database."""
    joint = "&" if "?" in database else "?"
    _, _, rest = database.partition("://")
    return f"postgresql+psycopg://{rest}{joint}options={quote(f'-csearch_path={REGISTRY_SCHEMA}')}"


@contextmanager
def one_at_a_time(database: str) -> Iterator[None]:
    """Keeps others from opening or changing the registry: Feast makes its tables on opening, and two that do so at once fail."""
    with connect(database) as connection:
        connection.execute("SET LOCAL lock_timeout = '60s'")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_REGISTRY_LOCK,))
        yield


def load(repo: Path, use_case: str) -> list[Any]:
    """The Feast objects that `<use case>.py` declares."""
    path = repo / f"{use_case}.py"
    name = f"everloop_feature_repo_{use_case}"
    if not path.is_file():
        raise ConfigurationError(
            f'The feature repository has no {path.name} in {repo}: write it, or rename the use case "{use_case}"'
        )
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # Feast pickles request-time functions by value only when it finds their module by name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    found = [value for value in vars(module).values() if isinstance(value, _KINDS)]
    inner = [view.batch_source for view in found if isinstance(view, FeatureView) and view.batch_source is not None]
    return _distinct([*found, *inner])


def apply(store: FeatureStore, declared: Sequence[Any]) -> None:
    """Make the registry hold `declared` and nothing else."""
    registry, project = store.registry, store.project
    registered = [
        *registry.list_feature_services(project),
        *registry.list_on_demand_feature_views(project),
        *registry.list_feature_views(project),
        *(entity for entity in registry.list_entities(project) if not entity.name.startswith("__")),
        *registry.list_data_sources(project),
    ]
    kept = {(type(value), value.name) for value in declared}
    gone = [value for value in registered if (type(value), value.name) not in kept]
    store.apply(list(declared), objects_to_delete=gone, partial=False)


def _distinct(values: Sequence[Any]) -> list[Any]:
    return list({(type(value), value.name): value for value in values}.values())
