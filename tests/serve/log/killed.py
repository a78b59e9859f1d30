"""Processes that are killed: one that writes until then, and one that ships and dies before a given statement."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from everloop.serve.log import shipper as shipping
from everloop.serve.log.frames import rows, shadows
from everloop.serve.log.segment import PredictionLog
from serve.log.records import as_columns, record, shadow


def forked(act: Callable[[], None]) -> int:
    """Run `act` in a child; its process id. A child needs no imports, so that many can be killed in little time."""
    if child := os.fork():
        return child
    try:
        act()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def killed(child: int) -> bool:
    """Wait for a child that may be killed; whether it was. It ends well otherwise."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


def write(folder: Path, first: int, told: int) -> None:
    """Append rows (and shadows of them) for ever; what was appended is told to the file `told`, as answers would be."""
    log, n = PredictionLog(folder, rotate_bytes=30_000), first
    while True:
        records = [record(n + i) for i in range(3)]
        log.append(as_columns([records[0]]) + rows(records[1:]) if n % 2 else rows(records))
        os.write(told, "".join(f"{one.request_id}\n" for one in records).encode())
        log.append(shadows([shadow(n)]))
        if n % 10 == 0:
            log.sync()
        n += 3


def ship(folder: Path, uri: str, statements: int) -> None:
    """Ship, and die right before the statement with that number, or before or after a file is deleted."""
    left = statements

    def count() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    class Cursor(psycopg.Cursor[Any]):
        def execute(self, *given: Any, **more: Any) -> Any:
            count()
            return super().execute(*given, **more)

        def copy(self, *given: Any, **more: Any) -> Any:
            count()
            return super().copy(*given, **more)

    real = shipping.connect

    def connect(uri: str, **more: Any) -> Any:
        connection = real(uri, **more)
        connection.cursor_factory = Cursor
        return connection

    shipping.connect = connect
    unlink = Path.unlink

    def counted(self: Path, missing_ok: bool = False) -> None:
        count()
        unlink(self, missing_ok)
        count()

    Path.unlink = counted  # type: ignore[method-assign]
    shipping.Shipper(folder, uri).ship()
