"""The accounts' contract, held by PostgreSQL and by the fake; and what only PostgreSQL has."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from everloop.adapters.accounts import PostgresAccounts
from everloop.adapters.database import connect
from everloop.errors import DataError
from everloop.interval import Interval
from everloop.ports import Account, Accounts
from fakes.accounts import InMemoryAccounts

DAY = timedelta(days=1)
START = datetime(2013, 1, 1, tzinfo=UTC)
DAYS = [Interval(START + n * DAY, START + (n + 1) * DAY) for n in range(3)]
READ = datetime(2013, 1, 5, tzinfo=UTC)
TRIPS = Account(table="trips", interval=DAYS[0], rows_in=10, published=8, quarantined=2, repaired=1, run="first", at=READ)


@pytest.fixture(params=["postgres", "memory"])
def accounts(request: pytest.FixtureRequest) -> Accounts:
    if request.param == "memory":
        return InMemoryAccounts()
    return PostgresAccounts(request.getfixturevalue("everloop_database"))


def test_an_account_reads_back_by_table_and_interval(accounts: Accounts) -> None:
    later, other = replace(TRIPS, interval=DAYS[1]), replace(TRIPS, table="drivers")
    accounts.record("taxi", [later, TRIPS, other])
    accounts.record("boats", [replace(TRIPS, run="another")])
    assert accounts.read("taxi") == [other, TRIPS, later]
    assert accounts.read("taxi", intervals=[DAYS[1]]) == [later]
    assert accounts.read("taxi", intervals=[]) == []


def test_ingesting_again_replaces_the_account(accounts: Accounts) -> None:
    accounts.record("taxi", [TRIPS])
    again = replace(TRIPS, rows_in=11, published=11, quarantined=0, run="second", at=READ + DAY, seen=READ)
    for _ in range(2):
        accounts.record("taxi", [again])
    assert accounts.read("taxi") == [again]


def test_what_was_recorded_since_a_moment_is_told(accounts: Accounts) -> None:
    accounts.record("taxi", [TRIPS])
    assert accounts.read("taxi", recorded_since=datetime.now(UTC) - DAY) == [TRIPS]
    assert accounts.read("taxi", recorded_since=datetime.now(UTC) + DAY) == []


def test_an_account_that_does_not_add_up_is_refused_and_nothing_is_recorded(accounts: Accounts) -> None:
    with pytest.raises((psycopg.errors.CheckViolation, DataError)):
        accounts.record("taxi", [replace(TRIPS, table="drivers"), replace(TRIPS, rows_in=11)])
    assert accounts.read("taxi") == []


def test_an_interval_stays_open_until_it_was_read_after_it_was_opened(accounts: Accounts) -> None:
    accounts.open("taxi", [DAYS[0], DAYS[1]], READ, "rows came late")
    accounts.close("taxi", DAYS)
    assert accounts.opened("taxi") == {DAYS[0]: "rows came late", DAYS[1]: "rows came late"}
    accounts.record("taxi", [replace(TRIPS, at=READ - DAY)])
    accounts.close("taxi", DAYS)
    assert list(accounts.opened("taxi")) == DAYS[:2]
    accounts.record("taxi", [TRIPS, replace(TRIPS, table="drivers", at=READ - DAY)])
    accounts.close("taxi", DAYS)
    assert list(accounts.opened("taxi")) == DAYS[:2]
    accounts.record("taxi", [replace(TRIPS, table="drivers")])
    accounts.close("taxi", [DAYS[1]])
    assert list(accounts.opened("taxi")) == DAYS[:2]
    accounts.close("taxi", DAYS)
    assert list(accounts.opened("taxi")) == [DAYS[1]]
    assert accounts.opened("boats") == {}


def test_opened_again_while_it_is_worked_it_stays_open(accounts: Accounts) -> None:
    accounts.open("taxi", [DAYS[0]], READ, "rows came late")
    accounts.open("taxi", [DAYS[0]], READ + DAY, "repaired")
    accounts.open("taxi", [DAYS[0]], READ, "rows came late")
    accounts.record("taxi", [TRIPS])
    accounts.close("taxi", DAYS)
    assert accounts.opened("taxi") == {DAYS[0]: "repaired"}


def test_postgres_shows_a_view_a_table(everloop_database: str) -> None:
    accounts = PostgresAccounts(everloop_database)
    accounts.record("taxi", [TRIPS, replace(TRIPS, interval=DAYS[1]), replace(TRIPS, table="drivers")])
    accounts.record("taxi", [TRIPS])
    with connect(everloop_database) as connection:
        found = connection.execute("SELECT interval_start, rows_in, published, repaired FROM accounts.taxi_trips").fetchall()
    assert found == [(DAYS[0].start, 10, 8, 1), (DAYS[1].start, 10, 8, 1)]
