"""All that one process of the service runs: made in one place, started and stopped in order."""

from __future__ import annotations

import asyncio

from everloop.adapters.ledger import PostgresLedger
from everloop.adapters.releases import ReleaseFiles
from everloop.adapters.traffic import PostgresTraffic
from everloop.serve.access import Access
from everloop.serve.access.follow import KeyReader
from everloop.serve.features.store import OnlineStore
from everloop.serve.follower import Follower
from everloop.serve.journal import Journal
from everloop.serve.log.process import FOLDER
from everloop.serve.log.segment import PredictionLog
from everloop.serve.log.status import read_status
from everloop.serve.metrics import Metrics
from everloop.serve.observe.present import Present
from everloop.serve.observe.tracing import tracing
from everloop.serve.release import Loader
from everloop.serve.releases import Releases
from everloop.serve.service import Service
from everloop.settings import Settings


class Parts:
    """The parts by name. Making them connects nowhere, so they can be made without a database."""

    def __init__(self, settings: Settings) -> None:
        self.tracing = tracing()
        self.metrics = Metrics(settings.home / FOLDER)
        self.access = Access(settings.api_key)
        self.store = OnlineStore(settings.online or settings.database, self.metrics.found)
        self.journal = Journal(PredictionLog(settings.home / FOLDER))
        bundles = ReleaseFiles(settings.releases, settings.s3_endpoint)
        self.follower = Follower(
            settings.database,
            PostgresLedger(settings.database),
            Releases(Loader(bundles, self.store, settings.engine)),
            KeyReader(self.access),
            self.metrics.swapped,
        )
        self.service = Service(self.follower, self.store, self.journal, PostgresTraffic(settings.database), self.metrics)
        self.present = Present(self.metrics, self.follower, self.store, self.journal, lambda: self.service.in_flight)

    async def start(self) -> None:
        """Open the store, follow the ledger, sync the log, tell the metrics."""
        await self.store.open()
        self.follower.start()
        self.journal.start()
        self.present.start()

    async def until_ready(self, seconds: float) -> None:
        """Return when requests may come (see `unready`), or after `seconds`."""
        await asyncio.to_thread(self.follower.looked.wait, seconds)

    async def stop(self) -> None:
        """Finish what is promised, then give the log up."""
        await self.service.shadows.finish()
        await self.present.stop()
        self.follower.stop()
        self.journal.stop()
        await self.store.close()
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.stop)

    def unready(self) -> str | None:
        """Why requests should not come yet; `None` once the ledger was read and all that it names was tried."""
        return None if self.follower.looked.is_set() else self.follower.problem or "the ledger was not read yet"

    def log_problem(self) -> str | None:
        """Why the prediction log does not get any further than this machine's disk."""
        status = read_status(self.journal.log.folder)
        return self.journal.syncer.problem or (status.problem if status else "nothing ships it yet")
