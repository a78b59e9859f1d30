"""The events between the graphs of a use case, as Airflow assets.

An event is a doorbell: who answers it reads its own cursor. Its `extra` says what was worked and whether a backfill made it.
"""

from __future__ import annotations

from airflow.sdk import Asset, AssetAlias, AssetWatcher

from everloop.use_case import PostgresTable, UseCase
from everloop.workflow.triggers import ArrivalTrigger


def arrived(use_case: UseCase) -> Asset:
    """A source system has something new; watched where a source is a PostgreSQL database."""
    connections = sorted({t.source.connection for t in use_case.sources if isinstance(t.source, PostgresTable)})
    watchers = [
        AssetWatcher(name=f"{use_case.name}_{name}", trigger=ArrivalTrigger(use_case=use_case.name, connection=name))
        for name in connections
    ]
    return Asset(_name(use_case, "arrived"), watchers=watchers)


def published(use_case: UseCase) -> Asset:
    """New or corrected intervals are in the lake and in the feature store."""
    return Asset(_name(use_case, "published"))


def retrain(use_case: UseCase) -> Asset:
    """The monitor wants a new model."""
    return Asset(_name(use_case, "retrain"))


def measured(use_case: UseCase) -> Asset:
    """The monitor has recorded and measured labels."""
    return Asset(_name(use_case, "measured"))


def released(use_case: UseCase) -> Asset:
    """The ledger says that a rollout has begun."""
    return Asset(_name(use_case, "released"))


def sometimes(asset: Asset) -> AssetAlias:
    """An outlet for a task that emits `asset` only when it has a reason: a plain outlet would fire at every success."""
    return AssetAlias(f"{asset.name}?")


def _name(use_case: UseCase, event: str) -> str:
    return f"everloop://{use_case.name}/{event}"
