"""kill -9 of who writes and of who ships: rows answered are rows shipped, each once."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from everloop.serve.log.aside import ASIDE
from everloop.serve.log.frames import rows, shadows
from everloop.serve.log.segment import PredictionLog
from everloop.serve.log.shipper import Shipper
from serve.log.killed import forked, killed, ship, write
from serve.log.records import as_columns, record, shadow, stored


def test_what_a_writer_that_is_killed_had_answered_is_shipped_exactly(everloop_database: str, tmp_path: Path) -> None:
    generator, answered = random.Random(time.time()), []
    for n in range(3):
        log = tmp_path / "log"
        told = tmp_path / f"told{n}"
        child = forked(lambda: write(log, 30_000 * n, os.open(told, os.O_WRONLY | os.O_CREAT)))  # noqa: B023
        while not told.exists() or not told.stat().st_size:
            time.sleep(0.01)
        Shipper(log, everloop_database).ship()
        time.sleep(generator.uniform(0, 0.3))
        os.kill(child, signal.SIGKILL)
        assert killed(child)
        answered += told.read_text().split()
    shipper = Shipper(log, everloop_database)
    shipper.ship()
    shipper.ship()
    found = [request for (request,) in stored(everloop_database, "request_id")]
    assert len(found) == len(set(found))
    assert set(answered) <= set(found)
    # Killed between the log and the answer: at most that tick of three rows, once a kill.
    assert len(found) - len(answered) <= 9
    assert not list(log.glob("*.seg"))
    shadowed = [score for (score,) in stored(everloop_database, "shadow_score") if score is not None]
    assert len(found) // 3 - 3 <= len(shadowed) <= len(found) // 3


@pytest.mark.parametrize("attempt", range(3))
def test_a_shipper_that_is_killed_between_any_two_statements_ships_each_row_once(
    everloop_database: str, tmp_path: Path, attempt: int
) -> None:
    log = PredictionLog(tmp_path)
    earlier = [record(n) for n in range(20)]
    log.append(rows(earlier))
    Shipper(tmp_path, everloop_database).ship()
    log.append(shadows([shadow(3), shadow(99)]) + rows([record(99), record(98, key="nul\0")]) + as_columns([record(97)]))
    with log.path.open("ab") as segment:
        segment.write(bytes(30))
    log.append(rows([record(96 - attempt)]))
    log.close()
    kills = 0
    while killed(forked(lambda: ship(tmp_path, everloop_database, kills))):  # noqa: B023
        kills += 1
        found = [request for (request,) in stored(everloop_database, "request_id")]
        assert len(found) == len(set(found))
    assert kills > 10
    Shipper(tmp_path, everloop_database).ship()
    assert [request for (request,) in stored(everloop_database, "request_id")] == sorted(
        one.request_id for one in [*earlier, record(96 - attempt), record(97), record(99)]
    )
    assert [request for request, score in stored(everloop_database, "request_id, shadow_score") if score] == ["r00003", "r00099"]
    assert [path.name for path in tmp_path.iterdir()] == [ASIDE]
