"""Shipping: nothing answered is lost, nothing is logged twice."""

from __future__ import annotations

import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from everloop.serve.log.aside import ASIDE
from everloop.serve.log.frames import Kind, frame, rows, shadows
from everloop.serve.log.segment import PredictionLog
from everloop.serve.log.shipper import Shipper
from serve.log.records import FEATURES, NOW, as_columns, keys, record, shadow, stored

COLUMNS = (
    "use_case, row_number, key, entity, at, as_of, arm, rollout, release, score, decision, shadow_release, shadow_score, "
    "features, flags, error, latency_ms"
)


@pytest.fixture
def log(tmp_path: Path) -> PredictionLog:
    return PredictionLog(tmp_path)


def aside(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / ASIDE).read_text().splitlines()]


@pytest.mark.parametrize("form", ["rows", "columns"])
def test_a_record_arrives_as_it_was_written(everloop_database: str, log: PredictionLog, form: str) -> None:
    odd = 'tab\t quote" \\ Zürich\nnext \\N'
    full = {"rollout": odd, "entity": odd, "error": odd, "score": 0.1 + 0.2, "shadow_score": 1e-300, "shadow_release": "\\N"}
    records = [record(1, **full), record(2, flags=[]), record(3, flags=[odd], decision=None, score=None)]
    log.append(rows(records) if form == "rows" else as_columns(records))
    assert Shipper(log.folder, everloop_database).ship() == 3
    features = json.loads(json.dumps(FEATURES, default=lambda at: at.isoformat().replace("+00:00", "Z")))
    if form == "columns":
        features["request"]["at"] = str(NOW)
    common = ("trips", 0, None, "e", NOW, NOW, "champion", None, "a", 0.25, False, None, None, features)
    first, second, third = stored(everloop_database, COLUMNS)
    assert first == (
        "trips", 0, "k1", odd, NOW, NOW, "champion", odd, "a", 0.1 + 0.2, False, "\\N", 1e-300, features,
        ["missing:weather", "a,b{}"], odd, 1.5,
    )  # fmt: skip
    assert second == (*common[:2], "k2", *common[3:], [], None, 1.5)
    assert third == (*common[:2], "k3", *common[3:9], None, None, *common[11:], [odd], None, 1.5)


def test_what_was_shipped_is_not_shipped_again(everloop_database: str, log: PredictionLog) -> None:
    log.append(rows([record(n) for n in range(50)]))
    assert Shipper(log.folder, everloop_database).ship() == 50
    log.append(rows([record(n) for n in range(50, 60)]))
    assert [Shipper(log.folder, everloop_database).ship() for _ in range(3)] == [10, 0, 0]
    assert len(keys(everloop_database)) == 60


def test_several_shippers_at_once_ship_each_row_once(everloop_database: str, log: PredictionLog) -> None:
    for n in range(30):
        log.append(rows([record(50 * n + i, features={"pad": "x" * 8000}) for i in range(50)]))
    log.append(rows([record(9999, key="nul\0")]))
    with ThreadPoolExecutor(3) as pool:
        shipped = list(pool.map(lambda _: Shipper(log.folder, everloop_database).ship(), range(3)))
    assert sum(shipped) == len(keys(everloop_database)) == 1500
    assert len(aside(log.folder)) == 1  # and nobody tried what another had done


def test_a_torn_tail_waits_while_its_writer_lives_and_is_kept_aside_when_it_is_dead(
    everloop_database: str, log: PredictionLog
) -> None:
    log.append(rows([record(1)]))
    torn = rows([record(2)])[:50]
    with log.path.open("ab") as segment:
        segment.write(torn)
    shipper = Shipper(log.folder, everloop_database)
    shipper.ship()
    assert keys(everloop_database) == ["k1"]
    assert log.path.exists()
    log.close()
    shipper.ship()
    assert [path.name for path in log.folder.iterdir()] == [ASIDE]
    assert aside(log.folder)[0]["reason"].startswith("cut off")
    with psycopg.connect(everloop_database) as connection:
        assert connection.execute("SELECT count(*) FROM log_segment").fetchone() == (0,)


def test_damage_in_the_middle_is_kept_aside_and_what_follows_is_shipped(everloop_database: str, log: PredictionLog) -> None:
    positions = [0, *(log.append(rows([record(n)])) for n in range(4))]
    for hit in (positions[1] + 1, positions[2] + 40):  # a length that reaches beyond the end, and a payload
        with log.path.open("r+b") as segment:
            segment.seek(hit)
            byte = segment.read(1)[0]
            segment.seek(hit)
            segment.write(bytes([byte ^ 64]))
    shipper = Shipper(log.folder, everloop_database)
    assert shipper.ship() == 2
    assert keys(everloop_database) == ["k0", "k3"]
    assert shipper.aside == 1
    assert [(one["position"], one["reason"][:7]) for one in aside(log.folder)] == [(positions[1], "damaged")]
    log.append(rows([record(4)]))
    assert shipper.ship() == 1


@pytest.mark.parametrize("form", ["rows", "columns"])
def test_a_record_that_postgresql_refuses_is_set_aside_and_the_others_go_on(
    everloop_database: str, log: PredictionLog, form: str
) -> None:
    generator = random.Random(1)
    endless = "".join(generator.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))  # too long for an index
    bad = [record(10, key="nul\0"), record(20, key=endless), record(30, features={"x": "nul\0"}), record(40, row_number=2**40)]
    good = [record(n) for n in range(50) if n % 10 or n in (0,)]
    every = sorted([*good, *bad], key=lambda one: one.request_id)
    log.append(rows(every) if form == "rows" else as_columns(every))
    log.append(rows([record(60)]))
    shipper = Shipper(log.folder, everloop_database)
    assert shipper.ship() == len(good) + 1
    assert keys(everloop_database) == [one.key for one in good] + ["k60"]
    assert [one["text"].split("\t")[1] for one in aside(log.folder)] == [one.request_id for one in bad]
    assert shipper.aside == 4


def test_what_is_no_record_is_set_aside_and_the_others_go_on(everloop_database: str, log: PredictionLog) -> None:
    one = rows([record(1)])[10:-1]
    log.append(frame(Kind.ROWS, b"[{}," + one + b',{"use_case":1}]'))
    log.append(frame(Kind.ROWS, b"no JSON"))
    log.append(frame(Kind.COLUMNS, b"no Arrow"))
    log.append(frame(Kind.SHADOWS, b'[{"use_case": 1}]'))
    log.append(rows([record(2)]))
    shipper = Shipper(log.folder, everloop_database)
    assert shipper.ship() == 2
    assert [one["text"] for one in aside(log.folder)] == ['{"use_case": 1}', "{}", '{"use_case":1}', "no JSON", "no Arrow"]
    assert shipper.aside == 5


def test_rows_that_are_there_already_are_no_error(everloop_database: str, log: PredictionLog) -> None:
    log.append(rows([record(n) for n in range(10)]))
    Shipper(log.folder, everloop_database).ship()
    log.append(rows([record(n) for n in (3, 11, 4, 11, 12)]))
    assert Shipper(log.folder, everloop_database).ship() == 2
    assert len(keys(everloop_database)) == 12
    assert not (log.folder / ASIDE).exists()


@pytest.mark.parametrize("form", ["rows", "columns"])
@pytest.mark.parametrize("together", [True, False])
def test_a_shadow_is_joined_to_its_row_before_or_after_the_row_was_shipped(
    everloop_database: str, log: PredictionLog, form: str, together: bool
) -> None:
    records = [record(1, row_number=n, flags=["f"]) for n in range(4)]
    log.append(rows(records) if form == "rows" else as_columns(records))
    shipper = Shipper(log.folder, everloop_database)
    if not together:
        shipper.ship()
    failed = shadow(1, row_number=2, shadow_score=None, error="ValueError: no")
    log.append(shadows([shadow(1, row_number=0), failed, shadow(9)]))
    shipper.ship()
    assert stored(everloop_database, "shadow_release, shadow_score, flags") == [
        ("b", 0.75, ["f"]), (None, None, ["f"]), ("b", None, ["f", "shadow_failed"]), (None, None, ["f"]),
    ]  # fmt: skip


def test_a_shadow_in_the_next_segment_waits_for_its_row(everloop_database: str, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, rotate_bytes=1)
    log.append(rows([record(1)]))
    log.append(shadows([shadow(1)]))
    shipper = Shipper(tmp_path, everloop_database)
    shipper.ship()
    assert stored(everloop_database, "shadow_score") == [(None,)]  # the first is not synced, so the second waits
    log.sync()
    shipper.ship()
    assert stored(everloop_database, "shadow_score") == [(0.75,)]
    assert list(tmp_path.glob("*.seg")) == [log.path]


def test_a_shadow_that_postgresql_refuses_does_not_hold_the_others_up(everloop_database: str, log: PredictionLog) -> None:
    log.append(rows([record(n) for n in range(3)]))
    shipper = Shipper(log.folder, everloop_database)
    shipper.ship()
    log.append(shadows([shadow(0), shadow(1, shadow_release="nul\0"), shadow(2)]))
    shipper.ship()
    assert stored(everloop_database, "shadow_score") == [(0.75,), (None,), (0.75,)]
    assert shipper.aside == 1


def test_nothing_is_lost_while_postgresql_is_away(everloop_database: str, log: PredictionLog) -> None:
    log.append(rows([record(1)]))
    shipper = Shipper(log.folder, everloop_database)
    with psycopg.connect(everloop_database, autocommit=True) as connection:
        connection.execute("ALTER TABLE prediction RENAME TO gone")
        with pytest.raises(psycopg.Error):
            shipper.ship()
        connection.execute("ALTER TABLE gone RENAME TO prediction")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'everloop'")
    assert [one.path for one in shipper.backlog()] == [log.path]
    shipper.ship()
    assert keys(everloop_database) == ["k1"]
    assert shipper.backlog() == []


def test_a_frame_larger_than_a_chunk_is_shipped(everloop_database: str, log: PredictionLog) -> None:
    log.append(rows([record(n, features={"pad": "x" * 9000}) for n in range(600)]))
    log.append(rows([record(700)]))
    assert Shipper(log.folder, everloop_database).ship() == 601


def test_a_reader_that_holds_up_a_partition_does_not_hold_up_shipping(everloop_database: str, log: PredictionLog) -> None:
    log.append(rows([record(1)]))
    with psycopg.connect(everloop_database) as reader:
        reader.execute("SELECT FROM prediction")
        assert Shipper(log.folder, everloop_database).ship() == 1
        assert stored(everloop_database, "tableoid::regclass::text") == [("prediction_default",)]
    log.append(rows([record(2)]))
    assert Shipper(log.folder, everloop_database).ship() == 1
    assert stored(everloop_database, "tableoid::regclass::text") == [("prediction_20130401",)] * 2


def test_a_segment_that_a_power_loss_shortened_after_it_was_shipped_is_finished(
    everloop_database: str, log: PredictionLog
) -> None:
    log.append(rows([record(1)]))
    Shipper(log.folder, everloop_database).ship()
    log.close()
    os.truncate(log.path, 10)
    Shipper(log.folder, everloop_database).ship()
    assert list(log.folder.iterdir()) == []
    assert keys(everloop_database) == ["k1"]
