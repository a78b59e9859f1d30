"""Follows the ledger: which releases serve, loaded and warm, swapped between two requests by one assignment."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import psycopg

from everloop.adapters.database import connect
from everloop.decide.release.state import ReleaseState
from everloop.errors import LedgerConflict
from everloop.ports import Decision, Ledger
from everloop.serve.access.follow import CHANNEL, KeyReader
from everloop.serve.release import LoadedRelease
from everloop.serve.releases import Releases

POLL_SECONDS = 1.0
"""How late a change is seen at most when the notification is lost."""

LOAD_FAILED = "load_failed"
"""The ledger's word for a release that a scoring process refused."""

_STOP_SECONDS, _LOADING_SECONDS = 0.2, 0.02
_RETRY_SECONDS = 5.0
_LOG = logging.getLogger("everloop.serve.follower")


@dataclass(frozen=True)
class Serving:
    """What answers now. `trial` is the other release of a rollout (challenger, or in WATCH the previous champion).

    `problem` says why what the ledger asks for is not (wholly) in effect; the requests go on with what is loaded.
    """

    seq: int
    state: ReleaseState
    champion: LoadedRelease
    trial: LoadedRelease | None = None
    problem: str | None = None


class Follower:
    """A thread that reads the ledger's latest state of every use case: at a notification, and every second."""

    def __init__(
        self, uri: str, ledger: Ledger, releases: Releases, keys: KeyReader, on_swap: Callable[[str, float], None]
    ) -> None:
        self.releases = releases
        self.problem: str | None = None
        self.looked = threading.Event()
        self._uri = uri
        self._ledger = ledger
        self._keys = keys
        self._on_swap = on_swap
        self._loads: dict[str, dict[str, Future[LoadedRelease]]] = {}
        self._serving: dict[str, Serving] = {}
        self._unserved: dict[str, str] = {}
        self._tried: dict[str, tuple[int, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-follower", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following; what serves goes on serving."""
        self._stop.set()
        self._thread.join(timeout=2 * POLL_SECONDS + 1)
        self.releases.close()

    def serving(self, use_case: str) -> Serving | None:
        """What answers for a use case; `None` when nothing can."""
        return self._serving.get(use_case)

    def unserved(self, use_case: str) -> str | None:
        """Why a use case of the ledger has nothing that answers; `None` when it has, or the ledger knows it not."""
        return None if use_case in self._serving else self._unserved.get(use_case)

    def use_cases(self) -> list[str]:
        """Every use case that the ledger speaks of."""
        return sorted({*self._serving, *self._unserved})

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except Exception as error:
                # Whatever it is, this thread is the only one that would ever notice a revert: it goes on.
                if self.problem is None:
                    _LOG.warning("the ledger cannot be read, what is loaded goes on serving: %s", error)
                self.problem = str(error)
                self._stop.wait(POLL_SECONDS)

    def _listen(self) -> None:
        with connect(self._uri, autocommit=True) as connection:
            connection.execute("LISTEN everloop_ledger")
            connection.execute(f"LISTEN {CHANNEL}")
            while not self._stop.is_set():
                self._keys.look(connection)
                self._look(connection)
                self.problem = None
                if not self._loads:
                    self.looked.set()
                self._doze(connection)

    def _doze(self, connection: psycopg.Connection[Any]) -> None:
        """Until the ledger rings, what it asks for is loaded, the next poll is due, or it is time to stop."""
        due = time.monotonic() + POLL_SECONDS
        while time.monotonic() < due and not self._stop.is_set():
            wait = _LOADING_SECONDS if self._loads else _STOP_SECONDS
            if any(True for _ in connection.notifies(timeout=wait, stop_after=1)) or any(map(_done, self._loads.values())):
                return

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        heads = connection.execute("SELECT use_case, max(seq) FROM ledger GROUP BY use_case").fetchall()
        for use_case, seq in heads:
            if self._due(use_case, seq):
                self.follow(use_case)

    def _due(self, use_case: str, seq: int) -> bool:
        """Whether there is a new row, or an old one whose release did not load and is worth another try."""
        tried, at = self._tried.get(use_case, (0, 0.0))
        if seq != tried or use_case in self._loads:
            return True
        serving = self._serving.get(use_case)
        failed = use_case in self._unserved if serving is None else serving.problem is not None
        return failed and time.monotonic() - at > _RETRY_SECONDS

    def follow(self, use_case: str) -> None:
        """Bring one use case to the state that the ledger asks for, once what that needs is in memory; until then, leave it."""
        started = time.perf_counter()
        seq, state = self._ledger.head(use_case)
        loads = self._loads[use_case] = self._begun(use_case, [one for one in (state.champion, state.shadow) if one])
        if not _done(loads):
            return
        del self._loads[use_case]
        before = self._serving.get(use_case)
        try:
            after = _prepared(use_case, seq, state, loads)
        except Exception as error:
            # A broken release may raise anything at all while it loads; whatever it is, it must not stop the service.
            words = f"release {state.champion} of row {seq} does not load: {error}"
            _LOG.error("%s: %s", use_case, words)
            self._unserved[use_case] = words
            if before is not None:
                self._serving[use_case] = replace(before, problem=words)
        else:
            self._swap(use_case, before, after, time.perf_counter() - started)
        self._tried[use_case] = (seq, time.monotonic())
        self._report(use_case, seq, state, loads)

    def _begun(self, use_case: str, wanted: Sequence[str]) -> dict[str, Future[LoadedRelease]]:
        """The loads of these releases: those under way, which may have failed meanwhile, else new ones."""
        known = self._loads.get(use_case, {})
        return {release: known.get(release) or self.releases.begin(release, use_case) for release in wanted}

    def _report(self, use_case: str, seq: int, state: ReleaseState, loads: Mapping[str, Future[LoadedRelease]]) -> None:
        """Tell the ledger of releases that do not load, once each, whichever process finds out first; it changes nothing."""
        for release, load in loads.items():
            error = load.exception()
            if error is None or self._ledger.entries(use_case, subject=release, action=LOAD_FAILED):
                continue
            words = f"it does not load in the scoring service: {error}"
            told = Decision(actor="scorer", action=LOAD_FAILED, subject=release, after=state, reason=words)
            # When somebody else wrote first, the next look tries again.
            with suppress(LedgerConflict):
                self._ledger.append(use_case, told, expected=seq, at=datetime.now(UTC))

    def _swap(self, use_case: str, before: Serving | None, after: Serving | None, seconds: float) -> None:
        if after is None:
            self._unserved[use_case] = "no release serves yet: run its retrain graph and approve the candidate"
            self._serving.pop(use_case, None)
            return
        self._serving[use_case] = after
        self._unserved.pop(use_case, None)
        if before is None or before.champion.id != after.champion.id:
            _LOG.info("%s: release %s serves from row %d on (%.0f ms)", use_case, after.champion.id, after.seq, seconds * 1000)
            self._on_swap(use_case, seconds)


def _done(loads: Mapping[str, Future[LoadedRelease]]) -> bool:
    return all(load.done() for load in loads.values())


def _prepared(use_case: str, seq: int, state: ReleaseState, loads: Mapping[str, Future[LoadedRelease]]) -> Serving | None:
    """The new state with its releases. Only the champion must load: a trial that does not is the trial's failure."""
    if state.champion is None:
        return None
    champion = loads[state.champion].result()
    trial, problem = None, None
    if state.shadow is not None:
        try:
            trial = loads[state.shadow].result()
        except Exception as error:
            problem = f"release {state.shadow} does not load: {error}"
            _LOG.error("%s: %s", use_case, problem)
    return Serving(seq, state, champion, trial, problem)
