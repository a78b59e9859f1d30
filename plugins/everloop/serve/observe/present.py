"""The present state of one process, told to its metrics every second: what serves, what is in flight, what is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from everloop.serve.features.store import OnlineStore
from everloop.serve.follower import Follower, Serving
from everloop.serve.journal import Journal
from everloop.serve.metrics import Metrics

EVERY_SECONDS = 1.0
"""How late at most another worker's /metrics knows of what was counted here, and what a killed process takes with it."""

CHAMPION, TRIAL = "champion", "trial"
_LOG = logging.getLogger("everloop.serve")


class Present:
    """Reads the parts of the process and sets the gauges; begun in, and belonging to, the event loop."""

    def __init__(
        self,
        metrics: Metrics,
        follower: Follower,
        store: OnlineStore,
        journal: Journal,
        in_flight: Callable[[], Mapping[str, int]],
    ) -> None:
        self._metrics, self._follower, self._store, self._journal = metrics, follower, store, journal
        self._in_flight = in_flight
        self._told: set[tuple[str, ...]] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to tell."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Tell what was counted last."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._metrics.flush()

    async def _run(self) -> None:
        while True:
            try:
                self.tell()
            except Exception:
                # Whatever it is, a full disk under the shared files say: the service answers on, and tells again when it can.
                _LOG.exception("the metrics were not renewed")
            await asyncio.sleep(EVERY_SECONDS)

    def tell(self) -> None:
        """Set all gauges, and bring what was counted to where it is read."""
        for use_case, requests in self._in_flight().items():
            self._metrics.in_flight.labels(use_case).set(requests)
        self._parts()
        serving = {use_case: self._follower.serving(use_case) for use_case in self._follower.use_cases()}
        for use_case, one in serving.items():
            self._use_case(use_case, one)
        self._releases({use_case: one for use_case, one in serving.items() if one is not None})
        self._metrics.flush()

    def _parts(self) -> None:
        away = {
            "ledger": self._follower.problem,
            "online_store": self._store.problem,
            "log_disk": self._journal.syncer.problem,
        }
        for part, problem in away.items():
            self._metrics.problem.labels(part).set(problem is not None)

    def _use_case(self, use_case: str, serving: Serving | None) -> None:
        self._metrics.know(use_case)
        self._metrics.unserved.labels(use_case).set(serving is None)
        self._metrics.release_problem.labels(use_case).set(serving is not None and serving.problem is not None)
        if serving is not None:
            manifest = serving.champion.manifest
            self._metrics.trained_through.labels(use_case).set(manifest.trained_through.timestamp())
            self._metrics.promised_errors.labels(use_case).set(manifest.service.error_rate)
            self._metrics.promised_seconds.labels(use_case).set(manifest.service.latency_ms / 1000)

    def _releases(self, serving: Mapping[str, Serving]) -> None:
        """Those that are in service are 1; those that were go to 0, since files that are shared forget no label."""
        now: set[tuple[str, ...]] = {
            (use_case, role, release.id, release.model.engine.name)
            for use_case, one in serving.items()
            for role, release in ((CHAMPION, one.champion), (TRIAL, one.trial))
            if release is not None
        }
        for labels in self._told - now:
            self._metrics.releases.labels(*labels).set(0)
        for labels in now:
            self._metrics.releases.labels(*labels).set(1)
        self._told = now
