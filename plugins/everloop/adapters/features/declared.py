"""The feature repository's declarations alone: no database, nothing written that stays."""

from __future__ import annotations

import warnings
from functools import cached_property
from pathlib import Path

import pyarrow as pa
from feast import FeatureStore
from feast.repo_config import load_repo_config

from everloop.adapters.features.feast_features import FeastFeatures
from everloop.adapters.features.offline import DeltaOfflineStoreConfig
from everloop.adapters.features.repository import apply, load
from everloop.adapters.lake import DeltaLake
from everloop.adapters.lake.sql import run
from everloop.interval import Interval
from everloop.kinds import ARROW_TYPES
from everloop.use_case import SourceTable, UseCase


class DeclaredFeatures(FeastFeatures):
    """`FeastFeatures` with its registry in a file of `folder` and without an online store: for `plan` and `problems`."""

    def __init__(self, repo: Path, use_case: UseCase, folder: Path) -> None:
        super().__init__(repo, use_case, DeltaLake(str(folder / "lake")), database="")
        self._folder = folder

    @cached_property
    def store(self) -> FeatureStore:
        """Feast on a registry that goes away with `folder`."""
        config = load_repo_config(self._repo, self._repo / "feature_store.yaml")
        config.project = self._use_case.name
        config.registry_config = {"registry_type": "file", "path": str(self._folder / "registry.db")}
        config.offline_config = DeltaOfflineStoreConfig(lake=self._lake)
        config.online_config = None
        return FeatureStore(config=config)

    def apply(self) -> None:
        """See `ports.Features.apply`."""
        store = self.store
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Feast calls on-demand views experimental at each of them
            apply(store, load(self._repo, self._use_case.name))

    def problems(self) -> list[str]:
        """What is wrong with each view's SQL, by running it on empty source tables."""
        interval = Interval(self._use_case.start, self._use_case.start + self._use_case.interval)
        bounds = {"start": interval.start, "end": interval.end}
        found: list[str] = []
        for view in self._views():
            source = view.source
            try:
                frames = {name: empty(self._use_case.source(name)) for name in source.tables}
                columns = run(source.sql, frames, bounds).column_names
            except Exception as error:  # whatever the SQL makes DuckDB say, it is the finding
                found.append(f'feature view "{view.plan.name}": {error}')
                continue
            if set(columns) != set(view.schema.names):
                found.append(f'feature view "{view.plan.name}": its SQL gives {columns}, its declaration {view.schema.names}')
        return found


def empty(table: SourceTable) -> pa.Table:
    """A source table without rows, by its contract."""
    return pa.schema([(name, ARROW_TYPES[kind]) for name, kind in table.columns.items()]).empty_table()
