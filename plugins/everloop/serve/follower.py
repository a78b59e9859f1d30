"""Follows the ledger: which releases serve, loaded and warm, swapped between two requests by one assignment."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from everloop.adapters.database import connect
from everloop.decide.release.state import ReleaseState
from everloop.ports import Ledger
from everloop.serve.release import LoadedRelease, Loader

POLL_SECONDS = 1.0
"""How late a change is seen at most when the notification is lost."""

_STOP_SECONDS = 0.2
_RETRY_SECONDS = 5.0
_KEPT = 4
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


class Releases:
    """Loaded releases by id; the most recently asked for stay in memory, so that a revert loads nothing."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._lock = threading.Lock()
        self._loaded: dict[str, LoadedRelease] = {}

    def get(self, release: str, use_case: str) -> LoadedRelease:
        """The release, loaded when it is not in memory. Raises what keeps it from serving."""
        with self._lock:
            found = self._loaded.pop(release, None) or self._loader.load(release, use_case)
            self._loaded[release] = found
            for old in self.of(use_case)[:-_KEPT]:
                del self._loaded[old.id]
            return found

    def of(self, use_case: str) -> list[LoadedRelease]:
        """What is in memory for a use case, the latest asked for last."""
        return [loaded for loaded in list(self._loaded.values()) if loaded.manifest.use_case == use_case]


class Follower:
    """A thread that reads the ledger's latest state of every use case: at a notification, and every second."""

    def __init__(self, uri: str, ledger: Ledger, releases: Releases, on_swap: Callable[[str, float], None] | None = None) -> None:
        self.releases = releases
        self.problem: str | None = None
        self.looked = threading.Event()
        self._uri = uri
        self._ledger = ledger
        self._on_swap = on_swap
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
            while not self._stop.is_set():
                self._look(connection)
                self.problem = None
                self.looked.set()
                self._doze(connection)

    def _doze(self, connection: psycopg.Connection[Any]) -> None:
        """Until the ledger rings, the next poll is due, or it is time to stop."""
        due = time.monotonic() + POLL_SECONDS
        while time.monotonic() < due and not self._stop.is_set():
            if any(True for _ in connection.notifies(timeout=_STOP_SECONDS, stop_after=1)):
                return

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        heads = connection.execute("SELECT use_case, max(seq) FROM ledger GROUP BY use_case").fetchall()
        for use_case, seq in heads:
            if self._due(use_case, seq):
                self.follow(use_case)

    def _due(self, use_case: str, seq: int) -> bool:
        """Whether there is a new row, or an old one whose release did not load and is worth another try."""
        tried, at = self._tried.get(use_case, (0, 0.0))
        if seq != tried:
            return True
        serving = self._serving.get(use_case)
        failed = use_case in self._unserved if serving is None else serving.problem is not None
        return failed and time.monotonic() - at > _RETRY_SECONDS

    def follow(self, use_case: str) -> None:
        """Bring one use case to the state that the ledger asks for."""
        started = time.perf_counter()
        seq, state = self._ledger.head(use_case)
        before = self._serving.get(use_case)
        try:
            after = self._prepare(use_case, seq, state)
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

    def _swap(self, use_case: str, before: Serving | None, after: Serving | None, seconds: float) -> None:
        if after is None:
            self._unserved[use_case] = "no release serves yet: run its retrain graph and approve the candidate"
            self._serving.pop(use_case, None)
            return
        self._serving[use_case] = after
        self._unserved.pop(use_case, None)
        if before is None or before.champion.id != after.champion.id:
            _LOG.info("%s: release %s serves from row %d on (%.0f ms)", use_case, after.champion.id, after.seq, seconds * 1000)
            if self._on_swap:
                self._on_swap(use_case, seconds)

    def _prepare(self, use_case: str, seq: int, state: ReleaseState) -> Serving | None:
        """The new state with its releases loaded. Only the champion must load: a trial that does not is the trial's failure."""
        if state.champion is None:
            return None
        champion = self.releases.get(state.champion, use_case)
        trial, problem = None, None
        if state.shadow is not None:
            try:
                trial = self.releases.get(state.shadow, use_case)
            except Exception as error:
                problem = f"release {state.shadow} does not load: {error}"
                _LOG.error("%s: %s", use_case, problem)
        return Serving(seq, state, champion, trial, problem)
