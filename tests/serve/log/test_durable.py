"""Durable mode: nobody is answered before the disk has it, and few fdatasyncs serve many."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from everloop.serve.log.durable import GroupCommit, Syncer
from everloop.serve.log.frames import Kind, frame
from everloop.serve.log.segment import PredictionLog
from serve.log.disk import Disk

FRAME = frame(Kind.ROWS, b"[]")


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def log(tmp_path: Path, disk: Disk) -> Iterator[PredictionLog]:
    log = PredictionLog(tmp_path, disk, rotate_bytes=3000)
    yield log
    log.close()


async def wait(log: PredictionLog, commit: GroupCommit) -> int:
    position = log.append(FRAME)
    await commit.until(position)
    assert log.synced >= position
    return position


async def results(log: PredictionLog, count: int) -> list[int | BaseException]:
    commit = GroupCommit(log)
    return await asyncio.gather(*(wait(log, commit) for _ in range(count)), return_exceptions=True)


def test_a_thousand_waiters_share_a_few_fdatasyncs(log: PredictionLog, disk: Disk) -> None:
    reached = asyncio.run(results(log, 1000))
    assert reached == [n * len(FRAME) for n in range(1, 1001)]
    assert disk.calls < 30


def test_waiters_that_come_during_an_fdatasync_share_the_next(tmp_path: Path) -> None:
    gate, calls = threading.Event(), []

    def slow(file: int) -> None:
        calls.append(file)
        gate.wait()
        os.fdatasync(file)

    async def run() -> None:
        log = PredictionLog(tmp_path, slow)
        commit = GroupCommit(log)
        first = asyncio.create_task(wait(log, commit))
        while not calls:
            await asyncio.sleep(0.001)
        later = [asyncio.create_task(wait(log, commit)) for _ in range(50)]
        await asyncio.sleep(0.05)
        assert not first.done()
        assert len(calls) == 1
        gate.set()
        await asyncio.gather(first, *later)
        assert len(calls) == 2

    asyncio.run(run())


def test_a_failed_fdatasync_reaches_every_waiter_and_the_next_ones_are_served(log: PredictionLog, disk: Disk) -> None:
    disk.failures, before = 1, log.path
    assert [type(one) for one in asyncio.run(results(log, 20))] == [OSError] * 20
    assert log.path != before
    assert [type(one) for one in asyncio.run(results(log, 20))] == [int] * 20


def test_a_waiter_learns_of_a_failure_that_somebody_elses_sync_met(log: PredictionLog, disk: Disk) -> None:
    position, disk.failures = log.append(FRAME), 1
    with pytest.raises(OSError):
        log.sync()

    async def run() -> None:
        commit = GroupCommit(log)
        later = log.append(FRAME)
        await commit.until(later)
        with pytest.raises(OSError):
            await commit.until(position)

    asyncio.run(run())


def test_a_cancelled_waiter_holds_nobody_up(log: PredictionLog) -> None:
    async def run() -> None:
        commit = GroupCommit(log)
        gone, stays = (asyncio.create_task(wait(log, commit)) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        assert await stays == 2 * len(FRAME)

    asyncio.run(run())


def test_the_syncer_brings_to_the_disk_what_nobody_waits_for(log: PredictionLog, disk: Disk) -> None:
    syncer = Syncer(log)
    syncer.start()
    time.sleep(0.05)
    assert disk.calls == 0
    position = log.append(FRAME)
    deadline = time.monotonic() + 5
    while log.synced < position and time.monotonic() < deadline:
        time.sleep(0.005)
    assert log.synced == position
    disk.failures = 1
    last = log.append(FRAME)
    syncer.stop()
    assert syncer.problem or log.synced >= last
