"""Rounds of shipping: as a process of its own, `python -m everloop.serve.log`, or in a thread.

A process, since in the scoring service's the shipper would hold the interpreter while requests wait.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from everloop.serve.log.decoding import answered_at
from everloop.serve.log.reading import read
from everloop.serve.log.shipper import Backlog, Shipper
from everloop.serve.log.status import HEARTBEAT, Status, clear_away, write_status
from everloop.settings import Settings

FOLDER = "prediction_log"
"""The log's folder in `EVERLOOP_HOME`."""

ROUND_SECONDS = 0.2
FAILED_SECONDS = 2.0
_LOG = logging.getLogger("everloop.serve.log")


class Shipping:
    """Ships a folder in rounds until it is told to stop, which ships once more."""

    def __init__(self, folder: Path, uri: str, every: float = ROUND_SECONDS) -> None:
        self.problem: str | None = None
        self._shipper = Shipper(folder, uri)
        self._folder = folder
        self._every = every
        self._told: Status | None = None

    def run(self, stop: threading.Event) -> None:
        """Ship until `stop` is set, and what is there then. What PostgreSQL does not take now, the next shipper ships."""
        while not stop.wait(self._every if self.problem is None else FAILED_SECONDS):
            self._round()
        self._round()
        self._shipper.close()

    def _round(self) -> None:
        try:
            self._shipper.ship()
        except Exception as error:
            # Whatever it is: the rows are safe on disk, and the next round may succeed.
            if self.problem is None:
                _LOG.warning("the prediction log waits on disk: %s", error)
            self.problem = str(error)
        else:
            self.problem = None
        try:
            self._tell()
        except OSError as error:
            _LOG.warning("the state of shipping cannot be written: %s", error)

    def _tell(self) -> None:
        told, now = self._told, datetime.now(UTC)
        status = self._status(now)
        if told and status == msgspec.structs.replace(told, at=now) and now - told.at < HEARTBEAT:
            return
        write_status(self._folder, status)
        self._told = status

    def _status(self, now: datetime) -> Status:
        backlog = self._shipper.backlog()
        return Status(
            at=now,
            problem=self.problem,
            unshipped_bytes=sum(one.size - one.position for one in backlog),
            oldest_unshipped_at=min(filter(None, map(_first_at, backlog)), default=None),
            shipped_rows=self._shipper.shipped,
            set_aside=self._shipper.aside,
        )


class ShippingThread:
    """Shipping inside another process, for tests and where a process of its own is not worth it."""

    def __init__(self, shipping: Shipping) -> None:
        self._shipping = shipping
        self._stop = threading.Event()
        self._thread = threading.Thread(target=shipping.run, args=(self._stop,), name="prediction-log", daemon=True)

    @property
    def problem(self) -> str | None:
        """Why the log waits on disk, if it does."""
        return self._shipping.problem

    def start(self) -> None:
        """Begin shipping."""
        self._thread.start()

    def stop(self) -> None:
        """Ship what is left and end."""
        self._stop.set()
        self._thread.join(timeout=10)


def serve(settings: Settings) -> None:
    """Ship the log of `settings.home` until SIGTERM or SIGINT, then what is left, and return."""
    folder = settings.home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _setter(stop))
    clear_away(folder, datetime.now(UTC))
    Shipping(folder, settings.database).run(stop)


def _first_at(one: Backlog) -> datetime | None:
    """When the first unshipped row was answered; `None` when that cannot be told."""
    piece = read(one.path, one.position, finished=False)
    return answered_at(piece.frames[0]) if piece and piece.frames else None


def _setter(stop: threading.Event) -> Callable[..., None]:
    return lambda *_: stop.set()
