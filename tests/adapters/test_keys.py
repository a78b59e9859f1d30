"""The API keys in a real PostgreSQL: what is stored of them, how they end, and that each change rings."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from everloop.adapters.database import connect
from everloop.adapters.keys import NewKey, PostgresKeys
from everloop.api_key import Scope, digest_of, split
from everloop.errors import ConfigurationError

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def keys(everloop_database: str) -> PostgresKeys:
    return PostgresKeys(everloop_database)


def make(keys: PostgresKeys, **more: object) -> NewKey:
    return keys.create("shop", [Scope.SCORE, Scope.OUTCOMES], by="ann", now=NOW, **more)


def test_a_key_is_listed_as_it_was_made(keys: PostgresKeys) -> None:
    made = make(keys, requests_per_second=0.5, burst=3, expires_at=NOW + DAY)
    (found,) = keys.listed()
    assert found == made.key
    assert (found.name, found.scopes, found.created_by) == ("shop", ["outcomes", "score"], "ann")
    assert (found.requests_per_second, found.burst, found.expires_at) == (0.5, 3, NOW + DAY)
    assert found.state(NOW) == "live"
    assert found.state(NOW + DAY) == "expired"


def test_only_the_sha256_of_the_secret_is_stored(keys: PostgresKeys, everloop_database: str) -> None:
    made = make(keys)
    identifier, secret = split(made.clear)
    assert identifier == made.key.id
    assert secret not in repr(made)
    with connect(everloop_database) as connection:
        (row,) = connection.execute("SELECT to_jsonb(api_key)::text, sha256 FROM api_key").fetchall()
    assert secret not in row[0]
    assert row[1] == digest_of(secret)


def test_secrets_are_256_random_bits(keys: PostgresKeys) -> None:
    secrets = {split(make(keys).clear)[1] for _ in range(20)}
    assert len(secrets) == 20
    assert {len(secret) for secret in secrets} == {43}  # 32 bytes in base64


@pytest.mark.parametrize(("rate", "burst"), [(0.2, 1), (100.0, 100), (2.5, 3)])
def test_without_a_burst_a_seconds_worth_may_come_at_once(keys: PostgresKeys, rate: float, burst: int) -> None:
    assert make(keys, requests_per_second=rate).key.burst == burst


def test_every_broken_rule_of_a_new_key_is_told_and_nothing_is_made(keys: PostgresKeys) -> None:
    with pytest.raises(ConfigurationError) as told:
        keys.create("", ["score", "fly"], by="ann", now=NOW, requests_per_second=-1, burst=0, expires_at=NOW)
    for words in ("name must be", "scopes are fly", "rate is -1", "burst is 0", "must be after 2026-05-01"):
        assert words in str(told.value)
    for values in ({"burst": 5}, {"requests_per_second": float("nan")}, {"requests_per_second": float("inf")}):
        with pytest.raises(ConfigurationError):
            make(keys, **values)
    with pytest.raises(ConfigurationError, match="scopes are none"):
        keys.create("shop", [], by="ann", now=NOW)
    assert keys.listed() == []


def test_a_revoked_key_stays_revoked_as_it_was(keys: PostgresKeys) -> None:
    identifier = make(keys).key.id
    keys.revoke(identifier, by="bob", now=NOW + DAY)
    again = keys.revoke(identifier, by="cat", now=NOW + 2 * DAY)
    assert (again.revoked_by, again.revoked_at, again.state(NOW)) == ("bob", NOW + DAY, "revoked")


def test_a_key_follows_another_which_expires_after_the_grace(keys: PostgresKeys) -> None:
    old = make(keys, requests_per_second=7.0, burst=9)
    new = keys.rotate(old.key.id, by="bob", now=NOW + DAY, grace=timedelta(hours=2))
    first, second = keys.listed()
    assert second == new.key
    assert (first.replaced_by, first.expires_at) == (new.key.id, NOW + DAY + timedelta(hours=2))
    assert (first.state(NOW + DAY), first.state(NOW + 2 * DAY)) == ("replaced", "expired")
    assert (second.name, second.scopes, second.requests_per_second, second.burst) == ("shop", first.scopes, 7.0, 9)
    assert (second.created_by, second.expires_at, second.state(NOW + 2 * DAY)) == ("bob", None, "live")
    assert split(new.clear)[1] != split(old.clear)[1]


def test_the_grace_never_prolongs_a_key_and_its_follower_lives_as_long_as_it_was_to(keys: PostgresKeys) -> None:
    old = make(keys, expires_at=NOW + 30 * DAY)
    keys.rotate(old.key.id, by="bob", now=NOW + 29 * DAY, grace=7 * DAY)
    first, second = keys.listed()
    assert first.expires_at == NOW + 30 * DAY
    assert second.expires_at == NOW + 59 * DAY


def test_what_is_not_live_is_not_rotated(keys: PostgresKeys) -> None:
    replaced, revoked, expired = make(keys).key.id, make(keys).key.id, make(keys, expires_at=NOW + DAY).key.id
    follower = keys.rotate(replaced, by="bob", now=NOW, grace=DAY).key.id
    keys.revoke(revoked, by="bob", now=NOW)
    for identifier, words in ((replaced, f"is replaced by {follower}"), (revoked, "is revoked"), (expired, "is expired")):
        with pytest.raises(ConfigurationError, match=words):
            keys.rotate(identifier, by="bob", now=NOW + DAY / 2 if identifier == replaced else NOW + DAY, grace=DAY)
    with pytest.raises(ConfigurationError, match="must not be negative"):
        keys.rotate(follower, by="bob", now=NOW, grace=-DAY)
    assert len(keys.listed()) == 4


def test_of_two_who_rotate_a_key_at_once_one_wins(keys: PostgresKeys) -> None:
    identifier, told = make(keys).key.id, []

    def rotate() -> None:
        try:
            told.append(keys.rotate(identifier, by="bob", now=NOW, grace=DAY).key.id)
        except ConfigurationError as error:
            told.append(str(error))

    threads = [threading.Thread(target=rotate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys.listed()) == 2
    assert sum("is replaced by" in words for words in told) == 3


def test_an_unknown_key_is_named_without_its_secret(keys: PostgresKeys) -> None:
    for act in (lambda key: keys.revoke(key, by="bob", now=NOW), lambda key: keys.rotate(key, by="bob", now=NOW, grace=DAY)):
        with pytest.raises(ConfigurationError, match='no key "0123"') as told:
            act("evl_0123_whatnobodymaysee")
        assert "whatnobodymaysee" not in str(told.value)


def test_every_change_rings(keys: PostgresKeys, everloop_database: str) -> None:
    with connect(everloop_database, autocommit=True) as listening:
        listening.execute("LISTEN everloop_api_key")
        first = make(keys).key.id
        second = keys.rotate(first, by="bob", now=NOW, grace=DAY).key.id
        keys.revoke(second, by="bob", now=NOW)
        with connect(everloop_database) as connection:
            connection.execute("DELETE FROM api_key WHERE id = %s", (first,))
        heard = [note.payload for note in listening.notifies(timeout=5, stop_after=5)]
    assert sorted(heard) == sorted([first, second, first, second, first])


def test_the_table_refuses_what_is_no_digest(everloop_database: str) -> None:
    statement = (
        "INSERT INTO api_key (id, name, sha256, scopes, created_at, created_by) VALUES ('a', 'a', 'clear', '{score}', now(), 'a')"
    )
    with pytest.raises(psycopg.errors.CheckViolation), connect(everloop_database) as connection:
        connection.execute(statement)
