"""What stands around our service in a benchmark: its database with features, its releases, its ledger, the service itself."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg

from benchmarks.process import ROOT
from benchmarks.serving.departures import USE_CASE, VIEWS, body, row, stored_rows
from benchmarks.serving.program import Program
from everloop.adapters.features.stores.sql import create_table
from everloop.adapters.ledger import PostgresLedger
from everloop.adapters.releases import ReleaseFiles
from everloop.decide.release.state import ReleaseState
from everloop.ports import Decision
from everloop.release import Bundle
from everloop.stack.ports import free_port
from everloop.steps.deciding import decide_and_append

PATH = f"/v1/{USE_CASE}/score"
ASKED = 1_000
"""Different rows that the load asks, in turn."""


@dataclass(frozen=True)
class Stage:
    """A use case in `database` (with our schema), its releases under `folder`."""

    folder: Path
    database: str

    @property
    def ledger(self) -> PostgresLedger:
        """The ledger."""
        return PostgresLedger(self.database)

    @property
    def releases(self) -> ReleaseFiles:
        """The release store."""
        return ReleaseFiles(str(self.folder / "releases"))

    def publish(self, bundle: Bundle) -> str:
        """Keep a release."""
        return self.releases.put(bundle)

    def fill(self) -> None:
        """Make the online tables and put the features there."""
        rows = stored_rows()
        with psycopg.connect(self.database) as connection:
            for view in VIEWS:
                for statement in create_table(view):
                    connection.execute(statement)
                with connection.cursor().copy(f"COPY {view.table} FROM STDIN") as copy:
                    for one in rows[view.name]:
                        copy.write_row(one)

    def decide(self, **state: Any) -> int:
        """Write a state to the ledger, as a decider would; its sequence number."""
        after = ReleaseState(**state)
        decision = Decision(actor="benchmark", action="forced", subject=after.champion or "none", after=after, reason="benchmark")
        # A scorer may be telling the ledger of a release that does not load: whoever is second decides again.
        entry = decide_and_append(self.ledger, USE_CASE, lambda _: decision, datetime.now(UTC))
        assert entry is not None
        return entry.seq

    def service(self, *, workers: int = 1, engine: str = "fastest", home: str = "home") -> Program:
        """`python -m everloop.serve`; services with homes of their own are machines of their own."""
        port = free_port()
        return Program(
            name="everloop",
            command=(sys.executable, "-m", "everloop.serve", "--port", str(port), "--workers", str(workers)),
            port=port,
            path=PATH,
            environment={
                "PYTHONPATH": str(ROOT / "plugins"),
                "EVERLOOP_HOME": str(self.folder / home),
                "EVERLOOP_DATABASE": self.database,
                "EVERLOOP_MLFLOW": "http://127.0.0.1:1",
                "EVERLOOP_RELEASES": str(self.folder / "releases"),
                "EVERLOOP_ENGINE": engine,
            },
        )


def bodies() -> list[bytes]:
    """Requests of one row each."""
    return [body(row(number)) for number in range(ASKED)]


def answers_by(release: str) -> Any:
    """Whether an answer is this release's, every row of it, with all features."""

    def right(answer: httpx.Response) -> bool:
        if answer.status_code != 200:
            return False
        return all(one.get("release") == release and not one["flags"] for one in answer.json()["results"])

    return right


def state(program: Program) -> dict[str, Any]:
    """What one worker of the service says of the use case."""
    found: dict[str, Any] = httpx.get(f"http://127.0.0.1:{program.port}/v1/{USE_CASE}", timeout=10).json()
    return found


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))
