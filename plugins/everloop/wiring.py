"""The one place where real systems are chosen: settings and a use case in, all ports out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from everloop.settings import Settings, read_settings

if TYPE_CHECKING:
    from everloop.ports import (
        Accounts,
        AnsweredDays,
        Checks,
        Cluster,
        Destination,
        Features,
        Lake,
        Ledger,
        Measurements,
        Outbox,
        Registry,
        Scorer,
        Source,
        TrafficLog,
    )
    from everloop.use_case import UseCase


@dataclass(frozen=True)
class Loop:
    """A use case with its outside systems. Each is made, and its library imported, when it is first asked for."""

    use_case: UseCase
    settings: Settings

    @cached_property
    def source(self) -> Source:
        """Where rows come from."""
        from everloop.adapters.sources import Sources

        return Sources(self.settings.connections, self.settings.landing, self.settings.s3_endpoint)

    @cached_property
    def lake(self) -> Lake:
        """The use case's tables."""
        from everloop.adapters.lake import DeltaLake

        return DeltaLake(f"{self.settings.lake}/{self.use_case.name}", self._storage_options)

    @cached_property
    def checks(self) -> Checks:
        """The use case's expectation suites."""
        from everloop.adapters.checks import ExpectationSuites

        return ExpectationSuites(self.settings.expectations / self.use_case.name, self.settings.data_docs)

    @cached_property
    def features(self) -> Features:
        """The feature store."""
        from everloop.adapters.features import FeastFeatures

        settings = self.settings
        return FeastFeatures(
            settings.feature_repo,
            self.use_case,
            self.lake,
            settings.database,
            online=settings.online,
            spark=settings.spark,
        )

    @cached_property
    def cluster(self) -> Cluster | None:
        """Where a model is fitted past one machine; `None` where the settings name no cluster."""
        if self.settings.spark is None:
            return None
        from everloop.adapters.spark.cluster import SparkCluster

        return SparkCluster(self.settings.spark, self.lake)

    @cached_property
    def registry(self) -> Registry:
        """MLflow and the release store."""
        from everloop.adapters.registry import MlflowRegistry
        from everloop.adapters.releases import ReleaseFiles

        releases = ReleaseFiles(self.settings.releases, self.settings.s3_endpoint)
        return MlflowRegistry(self.settings.mlflow, releases, self.use_case.name)

    @cached_property
    def ledger(self) -> Ledger:
        """The record of decisions."""
        from everloop.adapters.ledger import PostgresLedger

        return PostgresLedger(self.settings.database)

    @cached_property
    def traffic(self) -> TrafficLog:
        """The prediction log."""
        from everloop.adapters.traffic import PostgresTraffic

        return PostgresTraffic(self.settings.database)

    @cached_property
    def answered(self) -> AnsweredDays:
        """The prediction log by day, as the lake gets it."""
        from everloop.adapters.answered import PostgresAnswered

        return PostgresAnswered(self.settings.database)

    @cached_property
    def measurements(self) -> Measurements:
        """The monitor's results."""
        from everloop.adapters.measurements import PostgresMeasurements

        return PostgresMeasurements(self.settings.database)

    @cached_property
    def accounts(self) -> Accounts:
        """What came in and where it went."""
        from everloop.adapters.accounts import PostgresAccounts

        return PostgresAccounts(self.settings.database)

    @cached_property
    def scorer(self) -> Scorer:
        """The running scoring service."""
        from everloop.adapters.scorer import HttpScorer

        return HttpScorer(self.settings.scorer, self.settings.api_key)

    @cached_property
    def destination(self) -> Destination:
        """Where predictions are written back to."""
        from everloop.adapters.destination import PostgresDestination

        return PostgresDestination(self.settings.connections)

    @cached_property
    def outbox(self) -> Outbox:
        """Where predictions are laid down as files."""
        from everloop.adapters.outbox import FileOutbox

        return FileOutbox(self.settings.outbox, self.settings.s3_endpoint)

    @property
    def _storage_options(self) -> dict[str, str] | None:
        if not self.settings.s3_endpoint:
            return None
        return {"AWS_ENDPOINT_URL": self.settings.s3_endpoint, "AWS_ALLOW_HTTP": "true"}


def connect(use_case: UseCase, settings: Settings | None = None) -> Loop:
    """A use case with the systems that the settings (the environment's by default) name."""
    return Loop(use_case, settings or read_settings())
