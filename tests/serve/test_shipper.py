"""The prediction log: nothing answered is lost, nothing is logged twice."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from everloop.serve.shipper import REJECTED, Shipper

from everloop.serve.log import PredictionLog, Record

NOW = datetime(2013, 4, 1, tzinfo=UTC)


def record(n: int, **changes: Any) -> Record:
    given: dict[str, Any] = {
        "use_case": "trips", "request_id": f"r{n}", "row_number": 0, "key": f"k{n}", "entity": "e", "at": NOW, "as_of": NOW,
        "arm": "champion", "rollout": None, "release": "a", "score": 0.25, "decision": False, "shadow_release": None,
        "shadow_score": None, "features": {"request": {"at": NOW, "s": 'tab\t quote" \\ Zürich'}, "vector": {"x": None}},
        "flags": ["missing:weather", "a,b{}"], "error": None, "latency_ms": 1.5,
    }  # fmt: skip
    return Record(**{**given, **changes})


def keys(uri: str) -> list[str]:
    with psycopg.connect(uri) as connection:
        return [key for (key,) in connection.execute("SELECT key FROM prediction ORDER BY request_id")]


def test_a_record_arrives_as_it_was_written(everloop_database: str, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record(1, features={"request": {"at": NOW, "s": 'tab\t quote" \\ Zürich'}, "vector": {"x": None}})])
    assert Shipper(tmp_path, everloop_database).ship() == 1
    with psycopg.connect(everloop_database) as connection:
        features, flags, at, latency = (
            connection.execute("SELECT features, flags, at, latency_ms FROM prediction").fetchone() or ()
        )
    assert features == {"request": {"at": "2013-04-01T00:00:00Z", "s": 'tab\t quote" \\ Zürich'}, "vector": {"x": None}}
    assert (flags, at, latency) == (["missing:weather", "a,b{}"], NOW, 1.5)


def test_a_crash_between_copy_and_commit_ships_each_line_once(everloop_database: str, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record(n) for n in range(50)])
    Shipper(tmp_path, everloop_database).ship()
    log.append([record(n) for n in range(50, 60)])
    for _ in range(3):
        Shipper(tmp_path, everloop_database).ship()
    assert len(keys(everloop_database)) == 60


def test_two_shippers_at_once_ship_each_line_once(everloop_database: str, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record(n, features={"pad": "x" * 2000}) for n in range(1500)])
    with ThreadPoolExecutor(3) as pool:
        shipped = list(pool.map(lambda _: Shipper(tmp_path, everloop_database).ship(), range(3)))
    assert sum(shipped) == len(keys(everloop_database)) == 1500


def test_a_torn_last_line_waits_and_a_dead_process_segment_is_finished_and_deleted(
    everloop_database: str, tmp_path: Path
) -> None:
    log = PredictionLog(tmp_path)
    log.append([record(1)])
    with log.path.open("ab") as segment:
        segment.write(b'{"use_case": "tri')
    Shipper(tmp_path, everloop_database).ship()
    assert keys(everloop_database) == ["k1"]
    assert log.path.exists()
    log.close()
    Shipper(tmp_path, everloop_database).ship()
    assert list(tmp_path.iterdir()) == []
    with psycopg.connect(everloop_database) as connection:
        assert connection.execute("SELECT count(*) FROM log_segment").fetchone() == (0,)


def test_a_line_that_postgresql_refuses_is_set_aside_and_the_others_go_on(everloop_database: str, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record(1), record(2, key="nul\0"), record(3)])
    with log.path.open("ab") as segment:
        segment.write(b"{}\n")
    log.append([record(4)])
    assert Shipper(tmp_path, everloop_database).ship() == 3
    assert keys(everloop_database) == ["k1", "k3", "k4"]
    aside = (tmp_path / REJECTED).read_bytes().splitlines()
    assert [json.loads(line).get("request_id") for line in aside] == ["r2", None]


def test_nothing_is_lost_while_postgresql_is_away(everloop_database: str, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record(1)])
    with psycopg.connect(everloop_database, autocommit=True) as connection:
        connection.execute("ALTER TABLE prediction RENAME TO gone")
        with pytest.raises(psycopg.Error):
            Shipper(tmp_path, everloop_database).ship()
        connection.execute("ALTER TABLE gone RENAME TO prediction")
    Shipper(tmp_path, everloop_database).ship()
    assert keys(everloop_database) == ["k1"]
