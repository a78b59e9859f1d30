"""Writers of the online store on PostgreSQL that meet."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import psycopg
import pytest

from adapters.features.stores import NOON, PLAN, RATES, ROUTES, rate, table
from everloop.adapters.features.stores.contract import PlannedRead, open_online

MINUTE = timedelta(minutes=1)
OTHER = "INSERT INTO online.demo_rates (carrier, rate, flights, event_timestamp, created) VALUES ('UA', 0.9, 1, %(at)s, %(at)s)"


def until_it_waits(database: str) -> None:
    """Return when a transaction waits for another one."""
    with psycopg.connect(database, autocommit=True) as watching:
        until = time.monotonic() + 30
        while watching.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
            assert time.monotonic() < until
            time.sleep(0.01)


@pytest.mark.parametrize(("theirs", "landed", "stands"), [(NOON + MINUTE, 1, 0.9), (NOON - MINUTE, 2, 0.2)])
def test_of_two_writers_that_bring_a_new_key_at_once_the_later_event_stands(
    database: str, theirs: datetime, landed: int, stands: float
) -> None:
    store = open_online(database)
    store.prepare([RATES, ROUTES])
    rows = table(RATES, [rate("AA", 0.1, NOON), rate("UA", 0.2, NOON)])
    with psycopg.connect(database) as other, ThreadPoolExecutor(1) as pool:
        other.execute(OTHER, {"at": theirs})
        writing = pool.submit(store.write, RATES, [rows])
        until_it_waits(database)
        other.commit()
        assert writing.result(30) == landed
    found = store.read(PlannedRead(PLAN), [{"carrier": "AA"}, {"carrier": "UA"}], [NOON + MINUTE] * 2)
    assert [vector["rates__rate"] for _, vector in found] == [0.1, stands]
    store.close()


def test_an_event_that_met_a_newer_one_does_not_move_the_newest_back(database: str) -> None:
    store = open_online(database)
    store.prepare([RATES])
    for event in (NOON, NOON - MINUTE):
        store.write(RATES, [table(RATES, [rate("UA", 0.2, event)])])
    assert store.newest([RATES]) == {"rates": NOON}
    store.close()
