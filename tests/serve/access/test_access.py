"""Who is let through, who is refused with which words, and that what was verified once is forgotten when it must be."""

from __future__ import annotations

from datetime import timedelta

import pytest

from everloop.api_key import Scope, spell, split
from everloop.serve.access import Access, Key, Keyring
from everloop.serve.access.limits import Limit
from everloop.serve.problems import Refused
from serve.access.rings import NOW, key, ring

BOOTSTRAP = "a bootstrap key, spelled as it likes"


def access(keyring: Keyring | None, bootstrap: str | None = None) -> Access:
    made = Access(bootstrap)
    made.keyring = keyring
    return made


def refused(found: Key | Refused) -> tuple[int, str]:
    assert isinstance(found, Refused)
    return found.status, str(found)


def test_the_holder_of_a_key_is_let_through_again_and_again() -> None:
    one, clear = key()
    door = access(ring(one))
    assert [door.admit(clear, Scope.SCORE, 0.0, NOW) for _ in range(3)] == [one, one, one]


def test_missing_unknown_and_expired_keys_are_401_and_the_last_two_alike() -> None:
    one, clear = key(expires_at=NOW + timedelta(hours=1))
    door = access(ring(one))
    missing = refused(door.admit(None, Scope.SCORE, 0.0, NOW))
    unknown = refused(door.admit("evl_0_x", Scope.SCORE, 0.0, NOW))
    assert door.admit(clear, Scope.SCORE, 0.0, NOW) == one
    expired = door.admit(clear, Scope.SCORE, 0.0, NOW + timedelta(hours=1))
    assert missing == (401, "API key: is missing")
    assert unknown == refused(expired) == (401, "API key: is unknown, expired or revoked")
    assert isinstance(expired, Refused)
    assert expired.headers() == {"WWW-Authenticate": "Bearer"}


def test_a_wrong_secret_of_a_known_id_stays_wrong_after_the_right_one() -> None:
    one, clear = key()
    door = access(ring(one))
    wrong = spell(one.id, split(clear)[1][::-1])
    statuses = [getattr(door.admit(text, Scope.SCORE, 0.0, NOW), "status", 200) for text in (wrong, clear, wrong, clear)]
    assert statuses == [401, 200, 401, 200]


def test_a_lacking_scope_is_403_and_names_those_there_are_and_not_the_key() -> None:
    one, clear = key(scopes=frozenset({"score", "read"}))
    found = access(ring(one)).admit(clear, Scope.PUSH, 0.0, NOW)
    assert refused(found) == (403, 'API key: lacks the scope "push", has read, score')
    assert isinstance(found, Refused)
    assert clear not in str(found.body())
    assert split(clear)[1] not in str(found.body())


def test_beyond_its_limit_a_key_is_429_with_the_seconds_to_wait() -> None:
    one, clear = key(limit=Limit(rate=0.5, burst=2.0))
    other, unlimited = key()
    door = access(ring(one, other))
    assert [door.admit(clear, Scope.SCORE, 10.0, NOW) for _ in range(2)] == [one, one]
    found = door.admit(clear, Scope.SCORE, 10.5, NOW)
    assert refused(found) == (429, "API key: may send 0.5 requests a second, 2 at once")
    assert isinstance(found, Refused)
    assert (found.retry_after, found.headers()) == (pytest.approx(1.5), {"Retry-After": "2"})
    assert door.admit(unlimited, Scope.SCORE, 10.5, NOW) == other
    assert door.admit(clear, Scope.SCORE, 12.0, NOW) == one


def test_a_lacking_scope_costs_nothing_of_the_limit() -> None:
    one, clear = key(limit=Limit(rate=0.5, burst=1.0))
    door = access(ring(one))
    assert refused(door.admit(clear, Scope.PUSH, 0.0, NOW))[0] == 403
    assert door.admit(clear, Scope.SCORE, 0.0, NOW) == one


def test_a_new_keyring_ends_a_revoked_key_at_once() -> None:
    one, clear = key()
    other, unaffected = key()
    door = access(ring(one, other))
    assert door.admit(clear, Scope.SCORE, 0.0, NOW) == one
    door.keyring = ring(other)
    assert refused(door.admit(clear, Scope.SCORE, 0.0, NOW))[0] == 401
    assert door.admit(unaffected, Scope.SCORE, 0.0, NOW) == other


def test_a_new_keyring_gives_no_new_tokens_but_to_a_new_limit() -> None:
    one, clear = key(limit=Limit(rate=0.01, burst=1.0))
    door = access(ring(one))
    assert door.admit(clear, Scope.SCORE, 0.0, NOW) == one
    door.keyring = ring(one)
    assert refused(door.admit(clear, Scope.SCORE, 1.0, NOW))[0] == 429
    wider = Key(id=one.id, name=one.name, digest=one.digest, scopes=one.scopes, limit=Limit(rate=0.01, burst=5.0))
    door.keyring = ring(wider)
    assert door.admit(clear, Scope.SCORE, 2.0, NOW) == wider


def test_the_bootstrap_key_may_do_all_without_a_limit_also_before_the_keys_are_read() -> None:
    for keyring in (None, ring(), ring(guarded=False), ring(key()[0])):
        door = access(keyring, BOOTSTRAP)
        for scope in Scope:
            found = door.admit(BOOTSTRAP, scope, 0.0, NOW)
            assert isinstance(found, Key)
            assert found.id == "bootstrap"
        assert refused(door.admit(None, Scope.SCORE, 0.0, NOW)) == (401, "API key: is missing")


def test_with_no_key_at_all_the_service_is_open() -> None:
    door = access(ring(guarded=False))
    for presented in (None, "anything"):
        found = door.admit(presented, Scope.ADMIN, 0.0, NOW)
        assert isinstance(found, Key)
        assert found.name == "anybody"
    one, clear = key()
    door.keyring = ring(one)
    assert refused(door.admit(None, Scope.SCORE, 0.0, NOW))[0] == 401
    assert door.admit(clear, Scope.SCORE, 0.0, NOW) == one


def test_it_does_not_open_again_when_the_last_key_is_revoked() -> None:
    door = access(ring(guarded=True))
    assert refused(door.admit(None, Scope.SCORE, 0.0, NOW))[0] == 401


@pytest.mark.parametrize(("bootstrap", "presented"), [(None, None), (None, "evl_0_x"), (BOOTSTRAP, "evl_0_x")])
def test_before_the_keys_are_read_nobody_is_judged_by_them(bootstrap: str | None, presented: str | None) -> None:
    found = access(None, bootstrap).admit(presented, Scope.SCORE, 0.0, NOW)
    assert refused(found)[0] == 503
    assert isinstance(found, Refused)
    assert found.headers() == {"Retry-After": "1"}


def test_what_is_remembered_is_bounded_by_the_live_keys() -> None:
    pairs = [key(limit=Limit(1e6, 1e6)) for _ in range(20)]
    door = access(ring(*(one for one, _ in pairs)), BOOTSTRAP)
    for text in [*(clear for _, clear in pairs), BOOTSTRAP, *(f"evl_{n}_wrong" for n in range(1000))]:
        door.admit(text, Scope.SCORE, 0.0, NOW)
    assert len(door._verified) == 21
    door.keyring = ring(pairs[0][0])
    door.admit(pairs[0][1], Scope.SCORE, 0.0, NOW)
    assert (len(door._verified), len(door._buckets)) == (1, 1)
