"""The live keys as they are read from a real PostgreSQL, and how soon a revocation is known."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from everloop.adapters.database import connect
from everloop.adapters.keys import PostgresKeys
from everloop.api_key import Scope
from everloop.serve.access import Access, Key
from everloop.serve.access.follow import CHANNEL, KeyReader, read_keys
from everloop.serve.access.limits import Limit

HOUR = timedelta(hours=1)


@pytest.fixture
def keys(everloop_database: str) -> PostgresKeys:
    return PostgresKeys(everloop_database)


def now() -> datetime:
    return datetime.now(UTC)


def test_live_keys_are_read_as_they_were_made(keys: PostgresKeys, everloop_database: str) -> None:
    limited = keys.create("shop", [Scope.SCORE], by="ann", now=now(), requests_per_second=0.1, burst=4, expires_at=now() + HOUR)
    free = keys.create("ops", [Scope.READ, Scope.CHECK], by="ann", now=now())
    with connect(everloop_database) as connection:
        found = read_keys(connection)
    one, other = found.find(limited.clear, now()), found.find(free.clear, now())
    assert one is not None
    assert other is not None
    assert (one.name, one.scopes, one.limit, one.expires_at) == ("shop", {"score"}, Limit(0.1, 4), limited.key.expires_at)
    assert (other.scopes, other.limit, other.expires_at) == ({"check", "read"}, None, None)


def test_expired_and_revoked_keys_are_not_read_but_guard_on(keys: PostgresKeys, everloop_database: str) -> None:
    with connect(everloop_database) as connection:
        assert read_keys(connection).guarded is False
    keys.create("old", [Scope.SCORE], by="ann", now=now() - 2 * HOUR, expires_at=now() - HOUR)
    keys.revoke(keys.create("lost", [Scope.SCORE], by="ann", now=now()).key.id, by="ann", now=now())
    with connect(everloop_database) as connection:
        found = read_keys(connection)
    assert (dict(found.keys), found.guarded) == ({}, True)


def test_a_revocation_is_in_force_within_a_second_of_its_ring(keys: PostgresKeys, everloop_database: str) -> None:
    made = keys.create("shop", [Scope.SCORE], by="ann", now=now())
    access = Access()
    reader = KeyReader(access)
    with connect(everloop_database, autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        reader.look(connection)
        assert isinstance(access.admit(made.clear, Scope.SCORE, 0.0, now()), Key)
        began = time.monotonic()
        keys.revoke(made.key.id, by="ann", now=now())
        assert [note.payload for note in connection.notifies(timeout=1, stop_after=1)] == [made.key.id]
        reader.look(connection)
        assert getattr(access.admit(made.clear, Scope.SCORE, 0.0, now()), "status", 200) == 401
        assert time.monotonic() - began < 1


def test_both_keys_of_a_rotation_are_live_until_the_grace_ends(keys: PostgresKeys, everloop_database: str) -> None:
    old = keys.create("shop", [Scope.SCORE], by="ann", now=now())
    new = keys.rotate(old.key.id, by="ann", now=now(), grace=HOUR)
    with connect(everloop_database) as connection:
        found = read_keys(connection)
    assert all(found.find(one.clear, now()) for one in (old, new))
    later = now() + HOUR
    assert (found.find(old.clear, later), bool(found.find(new.clear, later))) == (None, True)


def test_an_unchanged_table_leaves_the_keyring_and_every_change_makes_a_new_one(
    keys: PostgresKeys, everloop_database: str
) -> None:
    access, rings = Access(), []
    reader = KeyReader(access)
    changes = (
        lambda: None,
        lambda: keys.create("shop", [Scope.SCORE], by="ann", now=now(), requests_per_second=2, expires_at=now() + HOUR),
        lambda: keys.rotate(keys.listed()[0].id, by="ann", now=now(), grace=HOUR),
        lambda: keys.revoke(keys.listed()[0].id, by="ann", now=now()),
        lambda: keys.revoke(keys.listed()[1].id, by="ann", now=now()),
    )
    with connect(everloop_database, autocommit=True) as connection:
        for change in changes:
            change()
            reader.look(connection)
            rings.append(access.keyring)
            reader.look(connection)
            assert access.keyring is rings[-1]
    assert [(len(ring.keys), ring.guarded) for ring in rings if ring] == [(0, False), (1, True), (2, True), (1, True), (0, True)]


def test_a_reading_that_fails_is_taken_again(keys: PostgresKeys, everloop_database: str) -> None:
    access = Access()
    reader = KeyReader(access)
    made = keys.create("shop", [Scope.SCORE], by="ann", now=now())
    with connect(everloop_database, autocommit=True) as connection:
        connection.execute("ALTER TABLE api_key RENAME COLUMN burst TO away")
        with pytest.raises(psycopg.Error):
            reader.look(connection)
        connection.execute("ALTER TABLE api_key RENAME COLUMN away TO burst")
        reader.look(connection)
    assert isinstance(access.admit(made.clear, Scope.SCORE, 0.0, now()), Key)
