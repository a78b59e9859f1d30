"""What was read a moment ago is used again, for as long as it may, and by the same rule as history."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from everloop.adapters.features.stores.judged import Stored
from everloop.serve.features.cache import ViewCache
from everloop.serve.features.look import Look
from serve.world import AT, DELAYS, WEATHER

HOUR = timedelta(hours=1)


def stored(at: datetime = AT, *values: float) -> Stored:
    return at, at, values


@pytest.fixture
def cache() -> ViewCache:
    return ViewCache(WEATHER, maximum=3)


def test_a_row_is_known_until_its_moment_and_remembered_after_it(cache: ViewCache) -> None:
    cache.keep([("JFK",)], [stored(AT, 1.0, 2.0)], until=10.0, epoch=0)
    fresh, late = cache.look([("JFK",)], 10.0, 10.0), cache.look([("JFK",)], 10.1, 10.1)
    assert (fresh.lacking, late.lacking) == ([], [0])
    assert fresh.stored == late.stored == [stored(AT, 1.0, 2.0)]
    assert late.unknown == []


def test_that_an_entity_has_no_row_is_known_too(cache: ViewCache) -> None:
    cache.keep([("LGA",)], [None], until=10.0, epoch=0)
    assert cache.look([("LGA",), ("EWR",)], 5.0, 5.0).lacking == [1]
    assert cache.look([("LGA",), ("EWR",)], 11.0, 11.0).unknown == [1]


def test_an_entity_without_its_key_is_never_asked_for(cache: ViewCache) -> None:
    look = cache.look([(None,)], 0.0, 1.0)
    assert (look.stored, look.lacking, look.unknown, look.due) == ([None], [], [], [])


def test_an_entity_whose_time_is_over_soon_is_due_until_then(cache: ViewCache) -> None:
    cache.keep([("JFK",)], [None], until=10.0, epoch=0)
    looks = [cache.look([("JFK",)], now, now + 4.0) for now in (6.0, 6.1, 10.0, 10.1)]
    assert [[look.entities[one] for one in look.due] for look in looks] == [[], [("JFK",)], [("JFK",)], []]


def test_what_was_asked_for_before_all_was_forgotten_is_not_kept_after_it(cache: ViewCache) -> None:
    before = cache.epoch
    cache.forget()
    cache.keep([("JFK",)], [stored(AT, 1.0, 2.0)], until=10.0, epoch=before)
    assert cache.look([("JFK",)], 5.0, 5.0).unknown == [0]


def test_what_was_read_longest_ago_goes_first(cache: ViewCache) -> None:
    for n, name in enumerate("abc"):
        cache.keep([(name,)], [None], until=float(n), epoch=0)
    cache.keep([("a",), ("d",)], [None, None], until=9.0, epoch=0)
    assert cache.look([(name,) for name in "abcd"], 0.0, 0.0).unknown == [1]


def test_rows_count_as_history_counts_them(cache: ViewCache) -> None:
    ttl = timedelta(seconds=WEATHER.ttl_seconds or 0)
    given = [stored(AT, 1.0, 2.0)] * 4 + [None]
    as_of = [AT, AT + ttl, AT + ttl + timedelta(microseconds=1), AT - timedelta(microseconds=1), AT]
    columns: dict[str, list[float]] = {}
    flags: list[tuple[str, ...]] = [("kept",)] * 5
    counts = cache.judge(Look([], given, [], [], []), as_of, columns, flags)
    assert columns == {"weather__temp": [1.0, 1.0, None, None, None], "weather__wind": [2.0, 2.0, None, None, None]}
    assert flags == [("kept",), ("kept",), ("kept", "stale:weather"), ("kept", "early:weather"), ("kept", "missing:weather")]
    assert counts == {"fresh": 2, "stale": 1, "early": 1, "absent": 1}


def test_a_row_whose_correction_was_not_known_yet_is_early() -> None:
    columns: dict[str, list[float]] = {}
    flags: list[tuple[str, ...]] = [()]
    ViewCache(DELAYS).judge(Look([], [(AT - HOUR, AT + HOUR, (0.5,))], [], [], []), [AT], columns, flags)
    assert (columns, flags) == ({"delays__rate": [None]}, [("early:delays",)])
