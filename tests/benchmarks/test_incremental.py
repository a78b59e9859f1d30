"""Four days of the benchmark's loop: the same code, a release that learns from two of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import incremental
from benchmarks.daily import Daily, ingest_steps, monitor_steps, open_daily
from benchmarks.record import Record
from everloop.stack.postgres import PostgresServer

EARLY, LATE = range(2, 3), range(3, 4)


@pytest.fixture
def daily(everloop_database: str, database: str, tmp_path: Path) -> Daily:
    return open_daily(everloop_database, database, tmp_path, learnt=range(2))


def test_days_are_played_through_both_graphs_and_their_cost_is_told_by_step(
    daily: Daily, postgres_server: PostgresServer
) -> None:
    meter, record = incremental.Meter(incremental.postmaster(postgres_server)), Record("incremental")

    rows = incremental.play(meter, daily, range(2), (LATE,)) | incremental.in_turn(meter, (daily, EARLY), (daily, LATE))
    incremental.judge(record, meter, rows, EARLY, LATE)

    steps = {f"ingest {name}" for name in ingest_steps("run")} | {f"monitor {name}" for name in monitor_steps()}
    assert set(meter.days[3]) == steps
    assert set(record.ratios) == {"ingest, CPU of day 360 / day 30", "monitor, CPU of day 360 / day 30"}
    assert all(ratio["value"] > 0 for ratio in record.ratios.values())
    assert rows[0] == rows[1] == 0 < rows[3]
    _the_monitor_has_measured_what_was_served(daily, rows)


def _the_monitor_has_measured_what_was_served(daily: Daily, rows: dict[int, int]) -> None:
    measured = {(m.interval, m.kind): m for m in daily.quick.measurements.read("flights", subject="window")}
    drift, performance, parity = (measured[daily.interval(3), kind] for kind in ("drift", "performance", "parity"))
    assert parity.value == 1.0
    assert 0 < performance.detail["labels"] <= drift.detail["rows"] <= rows[2] + rows[3]
    assert {account.interval for account in daily.quick.accounts.read("flights")} == {daily.interval(day) for day in range(4)}
