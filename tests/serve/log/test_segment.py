"""Segments: a frame is in one or it is not, whatever the disk says."""

from __future__ import annotations

import fcntl
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from everloop.serve.log.frames import Kind, Stop, frame, scan
from everloop.serve.log.segment import PredictionLog
from serve.log.disk import Disk

FRAME = frame(Kind.ROWS, b"[" + b" " * 1000 + b"]")


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("*.seg")))


def test_positions_go_on_over_segments_which_are_named_in_order(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, rotate_bytes=2 * len(FRAME))
    assert [log.append(FRAME) for _ in range(8)] == [n * len(FRAME) for n in range(1, 9)]
    sizes = [path.stat().st_size // len(FRAME) for path in sorted(tmp_path.glob("*.seg"))]
    assert sizes == [3, 3, 2]
    assert log.size == 2 * len(FRAME)


def test_a_segment_is_locked_until_it_is_full_and_synced(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, rotate_bytes=100)
    first = log.path
    for _ in range(2):
        log.append(FRAME)
    with first.open("rb") as segment:
        with pytest.raises(BlockingIOError):
            fcntl.flock(segment, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert log.sync() == 2 * len(FRAME)
        fcntl.flock(segment, fcntl.LOCK_SH | fcntl.LOCK_NB)
    log.close()


@contextmanager
def small_files() -> Iterator[None]:
    """No file may grow past so many bytes: writes beyond are cut short, then refused, as on a full disk.

    For no longer than it takes: pytest's own output may be a file.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3500, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_refuses_the_frame_and_leaves_the_segment_whole(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    with small_files():
        for _ in range(3):
            log.append(FRAME)
        for _ in range(3):
            with pytest.raises(OSError, match="free some disk space"):
                log.append(FRAME)
        log.append(frame(Kind.ROWS, b"[]"))
    found = scan(content(tmp_path))
    assert len(found.frames) == 4
    assert found.stopped is Stop.END
    assert log.position == len(content(tmp_path))


def test_a_full_tmpfs_refuses_the_frame_and_leaves_the_segment_whole(tmp_path: Path) -> None:
    script = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from everloop.serve.log.segment import PredictionLog
from serve.log.disk import Disk
from everloop.serve.log.frames import Kind, frame, scan
log, whole, refused = PredictionLog(Path({str(tmp_path)!r})), 0, 0
for _ in range(300):
    try:
        log.append(frame(Kind.ROWS, b"x" * 5000))
        whole += 1
    except OSError:
        refused += 1
found = scan(log.path.read_bytes())
print(refused > 0, len(found.frames) == whole, found.stopped.value)
"""
    command = f"mount -t tmpfs -o size=1m tmpfs {tmp_path} && exec {sys.executable} -c '{script}'".replace(
        "'" + script + "'", '"$0"'
    )
    run = subprocess.run(["unshare", "-rm", "sh", "-c", command, script], capture_output=True, text=True)
    if "unshare" in run.stderr or "mount" in run.stderr:
        pytest.skip("no mount namespace here")
    assert run.stdout.split() == ["True", "True", "end"], run.stderr


def test_after_a_failed_fdatasync_a_new_segment_is_begun_and_what_is_in_doubt_stays_so(tmp_path: Path) -> None:
    disk = Disk()
    log = PredictionLog(tmp_path, disk)
    safe, first = log.append(FRAME), log.path
    log.sync()
    doubtful, disk.failures = log.append(FRAME), 1
    with pytest.raises(OSError, match="Input/output"):
        log.sync()
    assert log.path != first
    later = log.append(FRAME)
    assert log.sync() == later
    log.check(safe)
    log.check(later)
    with pytest.raises(OSError, match="Input/output"):
        log.check(doubtful)
    # What the kernel still has is not taken away: it may have reached the disk, and somebody may have been answered.
    assert len(scan(content(tmp_path)).frames) == 3
