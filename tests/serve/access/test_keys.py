"""Which clear text finds which key, and where a request may put it."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.api_key import Scope, spell, split
from everloop.serve.access import presented_key
from serve.access.rings import NOW, key, ring


def test_a_key_is_found_by_its_whole_text_alone() -> None:
    first, clear = key()
    second, other = key()
    keys = ring(first, second)
    assert keys.find(clear, NOW) == first
    assert keys.find(other, NOW) == second
    identifier, secret = split(clear)
    wrong = (
        "",
        "evl",
        "evl_",
        clear[:-1],
        clear + "A",
        clear.upper(),
        f"x{clear}",
        secret,
        spell(second.id, secret),
        spell("0" * 16, secret),
    )
    assert [keys.find(text, NOW) for text in wrong] == [None] * len(wrong)
    assert identifier == first.id


@given(st.text())
def test_no_other_text_finds_a_key(text: str) -> None:
    one, _ = key()
    assert ring(one).find(text, NOW) is None
    assert ring(one).find(spell(one.id, text), NOW) is None


def test_a_key_is_found_until_it_expires() -> None:
    one, clear = key(expires_at=NOW)
    assert ring(one).find(clear, NOW - timedelta(microseconds=1)) == one
    assert ring(one).find(clear, NOW) is None


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_allows_itself_and_admin_allows_all(scope: Scope) -> None:
    one, _ = key(scopes=frozenset({scope.value}))
    assert {asked for asked in Scope if one.may(asked)} == (set(Scope) if scope is Scope.ADMIN else {scope})


def test_a_key_does_not_show_its_digest() -> None:
    one, _ = key()
    assert "digest" not in repr(one)
    assert repr(one.digest) not in repr(ring(one))


HEADERS = [
    ([(b"host", b"a"), (b"x-api-key", b"k1")], "k1"),
    ([(b"authorization", b"Bearer k2"), (b"host", b"a")], "k2"),
    ([(b"authorization", b"bEARER  k2 ")], "k2"),
    ([(b"authorization", b"Bearer k2"), (b"x-api-key", b"k1")], "k1"),
    ([(b"x-api-key", b"k1"), (b"authorization", b"Bearer k2")], "k1"),
    ([(b"x-api-key", b"")], ""),
    ([(b"authorization", b"Basic dTpw")], None),
    ([(b"authorization", b"Bearerk2")], None),
    ([], None),
]


@pytest.mark.parametrize(("headers", "found"), HEADERS)
def test_a_key_may_come_in_either_header(headers: list[tuple[bytes, bytes]], found: str | None) -> None:
    assert presented_key(headers) == found


@given(st.lists(st.binary(min_size=1).filter(lambda value: value.strip() == value), min_size=2, unique=True))
def test_different_bytes_are_different_keys(values: list[bytes]) -> None:
    texts = [presented_key([(b"x-api-key", value)]) for value in values]
    assert all(first != second for first, second in pairwise(texts))
