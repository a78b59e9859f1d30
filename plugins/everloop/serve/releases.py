"""The releases in memory of one process, and those on their way there."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from everloop.serve.release import LoadedRelease, Loader

_KEPT = 4
"""Releases of a use case that stay: champion, challenger, the one before, and one that is checked."""

_AT_ONCE = 2


class Releases:
    """Loaded releases by id; the most recently asked for stay in memory, so that a revert loads nothing.

    Loading happens beside whoever asks: a revert must not wait for a challenger that is being loaded.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._lock = threading.Lock()
        self._loaded: dict[str, LoadedRelease] = {}
        self._loading: dict[str, Future[LoadedRelease]] = {}
        self._pool = ThreadPoolExecutor(_AT_ONCE, "release-loader")

    def begin(self, release: str, use_case: str) -> Future[LoadedRelease]:
        """The release, at once when it is in memory, else when it was loaded; or what keeps it from serving."""
        with self._lock:
            if (found := self._loaded.pop(release, None)) is not None:
                self._loaded[release] = found
                return _at_hand(found)
            if release not in self._loading:
                self._loading[release] = self._pool.submit(self._load, release, use_case)
            return self._loading[release]

    def get(self, release: str, use_case: str) -> LoadedRelease:
        """The same, waited for."""
        return self.begin(release, use_case).result()

    def of(self, use_case: str) -> list[LoadedRelease]:
        """What is in memory for a use case, the latest asked for last."""
        return [loaded for loaded in list(self._loaded.values()) if loaded.manifest.use_case == use_case]

    def close(self) -> None:
        """Begin no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _load(self, release: str, use_case: str) -> LoadedRelease:
        try:
            found = self._loader.load(release, use_case)
            with self._lock:
                self._loaded[release] = found
                for old in self.of(use_case)[:-_KEPT]:
                    del self._loaded[old.id]
            return found
        finally:
            with self._lock:
                del self._loading[release]


def _at_hand(found: LoadedRelease) -> Future[LoadedRelease]:
    future: Future[LoadedRelease] = Future()
    future.set_result(found)
    return future
