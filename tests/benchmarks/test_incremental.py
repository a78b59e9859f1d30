"""Four days of the benchmark's loop: the same code, a release that learns from two of them."""

from __future__ import annotations

from pathlib import Path

from benchmarks import incremental
from benchmarks.daily import ingest_steps, monitor_steps, open_daily
from benchmarks.record import Record
from everloop.stack.postgres import PostgresServer


def test_days_are_played_through_both_graphs_and_their_cost_is_told_by_step(
    postgres_server: PostgresServer, everloop_database: str, database: str, tmp_path: Path
) -> None:
    daily = open_daily(everloop_database, database, tmp_path, learnt=range(2))
    meter, early, late = incremental.Meter(incremental.postmaster(postgres_server)), range(2, 3), range(3, 4)
    record = Record("incremental")

    rows = incremental.play(meter, daily, range(4), (late,))
    incremental.judge(record, meter, rows, early, late)

    assert set(rows) == {0, 1, 2, 3}
    assert rows[0] == rows[1] == 0 < rows[3]
    steps = {f"ingest {name}" for name in ingest_steps("run")} | {f"monitor {name}" for name in monitor_steps()}
    assert set(meter.days[3]) == steps
    assert set(record.ratios) == {"ingest, CPU of day 360 / day 30", "monitor, CPU of day 360 / day 30"}
    assert all(ratio["value"] > 0 for ratio in record.ratios.values())


def test_what_was_served_of_a_day_is_what_the_monitor_measures_of_it(
    postgres_server: PostgresServer, everloop_database: str, database: str, tmp_path: Path
) -> None:
    daily = open_daily(everloop_database, database, tmp_path, learnt=range(2))
    rows = incremental.play(incremental.Meter(incremental.postmaster(postgres_server)), daily, range(4), ())

    measured = {(m.interval, m.kind): m for m in daily.quick.measurements.read("flights", subject="window")}
    of_last = {kind: measured[daily.interval(3), kind] for kind in ("drift", "performance", "parity")}
    assert of_last["parity"].value == 1.0
    assert 0 < of_last["performance"].detail["labels"] <= of_last["drift"].detail["rows"] <= rows[2] + rows[3]
    assert {a.interval for a in daily.quick.accounts.read("flights")} == {daily.interval(day) for day in range(4)}
