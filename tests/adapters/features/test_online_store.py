"""What `OnlineStore` and `AsyncOnlineStore` promise, of PostgreSQL, Redis and a Redis cluster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from adapters.features.stores import NOON, PLAN, RATES, ROUTES, rate, table
from everloop.adapters.features.stores.contract import OnlineStore, Origin, PlannedRead, open_online, open_online_async
from everloop.adapters.features.stores.judged import Found
from everloop.adapters.features.stores.packed import pack
from everloop.errors import ConfigurationError, SourceError
from everloop.release import FeaturePlan, ViewPlan
from fakes.redis_server import running

MINUTE = timedelta(minutes=1)


class Store:
    """A store's two faces: rows are written by one, and read by both, which must say the same."""

    def __init__(self, uri: str, by_loop: bool) -> None:
        self.uri, self.by_loop = uri, by_loop
        self.store: OnlineStore = open_online(uri)
        self.store.prepare([RATES, ROUTES])
        self._runner = asyncio.Runner()
        self._async = open_online_async(uri)
        self._runner.run(self._async.open())

    def write(self, *rows: dict[str, Any], view: ViewPlan = RATES) -> int:
        if self.by_loop:
            return self.store.write(view, [table(view, rows)])
        return self._runner.run(self._async.write(view, rows))

    def read(self, rows: Sequence[dict[str, Any]], as_of: Sequence[datetime], plan: FeaturePlan = PLAN) -> list[Found]:
        read = PlannedRead(plan)
        found = self.store.read(read, rows, as_of)
        assert read.judges.judged(self._runner.run(self._async.stored(read, rows)), as_of) == found
        return found

    def look(self, carrier: str | None, as_of: datetime) -> tuple[str, float | None]:
        ((status, vector),) = self.read([{"carrier": carrier}], [as_of])
        assert status["routes"] == "absent"
        return status["rates"], vector["rates__rate"]

    def newest(self) -> dict[str, datetime]:
        found = self.store.newest([RATES, ROUTES])
        assert self._runner.run(self._async.newest([RATES, ROUTES])) == found
        return found

    def close(self) -> None:
        self.store.close()
        self._runner.run(self._async.close())
        self._runner.close()


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[str]:
    """A cluster of one node, which refuses whatever touches two slots at once."""
    with running(cluster_enabled="yes") as server:
        client = Redis.from_url(server.uri)
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        until = time.monotonic() + 30
        while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            assert time.monotonic() < until
            time.sleep(0.1)
        client.close()
        yield f"redis+cluster://127.0.0.1:{server.port}"


@pytest.fixture(params=["postgres", "redis", "cluster"])
def uri(request: pytest.FixtureRequest) -> str:
    if request.param == "cluster":
        found = str(request.getfixturevalue("redis_cluster"))
        Redis.from_url(found.replace("redis+cluster", "redis")).flushall()
        return found
    return str(request.getfixturevalue({"postgres": "database", "redis": "redis_uri"}[request.param]))


@pytest.fixture(params=["loop", "scorer"])
def store(request: pytest.FixtureRequest, uri: str) -> Iterator[Store]:
    store = Store(uri, by_loop=request.param == "loop")
    yield store
    store.close()


def test_an_older_event_never_overwrites_a_newer_one(store: Store) -> None:
    assert store.write(rate("UA", 0.2, NOON)) == 1
    assert store.write(rate("UA", 0.9, NOON - MINUTE, NOON + timedelta(days=9))) == 0
    assert store.look("UA", NOON) == ("fresh", 0.2)


def test_a_correction_with_the_same_event_time_lands_and_an_older_version_does_not(store: Store) -> None:
    store.write(rate("UA", 0.2, NOON, NOON))
    assert store.write(rate("UA", 0.3, NOON, NOON + MINUTE)) == 1
    assert store.write(rate("UA", 0.2, NOON, NOON)) == 0
    assert store.look("UA", NOON + MINUTE) == ("fresh", 0.3)


def test_another_value_with_the_same_two_times_lands(store: Store) -> None:
    store.write(rate("UA", 0.2, NOON))
    assert store.write(rate("UA", None, NOON)) == 1
    assert store.look("UA", NOON) == ("fresh", None)


def test_writing_twice_changes_nothing(store: Store) -> None:
    assert store.write(rate("UA", 0.2, NOON), rate("AA", None, NOON)) == 2
    assert store.write(rate("UA", 0.2, NOON), rate("AA", None, NOON)) == 0


def test_the_latest_of_several_rows_of_one_key_counts(store: Store) -> None:
    rows = [rate("UA", 0.1 * n, NOON + n % 3 * MINUTE) for n in range(5)]
    assert store.write(*rows) == 1
    assert store.look("UA", NOON + 2 * MINUTE) == ("fresh", pytest.approx(0.2))


def test_rows_without_a_key_or_a_time_are_no_feature_rows(store: Store) -> None:
    timeless = rate("AA", 0.2, NOON) | {"created": None}
    assert store.write(rate(None, 0.2, NOON), timeless) == 0
    assert store.write() == 0
    assert store.newest() == {}


@pytest.mark.parametrize(
    ("as_of", "status"),
    [
        (NOON, "fresh"),
        (NOON + timedelta(hours=1), "fresh"),
        (NOON + timedelta(hours=1, microseconds=1), "stale"),
        (NOON - timedelta(microseconds=1), "early"),
    ],
)
def test_ttl_bounds_are_inclusive(store: Store, as_of: datetime, status: str) -> None:
    store.write(rate("UA", 0.2, NOON))
    assert store.look("UA", as_of) == (status, 0.2 if status == "fresh" else None)


def test_a_row_not_yet_created_is_not_seen(store: Store) -> None:
    store.write(rate("UA", 0.2, NOON, NOON + 5 * MINUTE))
    assert store.look("UA", NOON + 4 * MINUTE) == ("early", None)


def test_unknown_and_missing_keys_are_absent(store: Store) -> None:
    store.write(rate("UA", 0.2, NOON))
    assert store.look("ZZ", NOON) == ("absent", None)
    assert store.look(None, NOON) == ("absent", None)


def test_many_requests_are_answered_in_order(store: Store) -> None:
    store.write({"origin": "JFK", "dest": "LAX", "busy": True, "event_timestamp": NOON, "created": NOON}, view=ROUTES)
    store.write(rate("UA", 0.2, NOON), rate("B6", 0.4, NOON))
    rows = [
        {"carrier": "B6"},
        {"carrier": "UA", "origin": "JFK", "dest": "LAX"},
        {"carrier": "B6", "origin": "LAX", "dest": "JFK"},
    ]
    found = store.read(rows, [NOON, NOON, NOON + timedelta(days=1)])
    assert [status["rates"] for status, _ in found] == ["fresh", "fresh", "stale"]
    assert [vector["rates__rate"] for _, vector in found] == [0.4, 0.2, None]
    assert [vector["routes__busy"] for _, vector in found] == [None, True, None]
    assert [status["routes"] for status, _ in found] == ["absent", "fresh", "absent"]
    assert store.read([], []) == []


def test_the_newest_event_of_each_view_is_known(store: Store) -> None:
    store.write(rate("UA", 0.2, NOON), rate("AA", 0.2, NOON + MINUTE))
    store.write(rate("B6", 0.2, NOON - MINUTE))
    assert store.newest() == {"rates": NOON + MINUTE}


def test_a_view_may_gain_and_lose_features(store: Store) -> None:
    store.write(rate("UA", 0.2, NOON))
    wider = ViewPlan(
        name="rates", table=RATES.table, join_keys=RATES.join_keys, features={"late": "int", "rate": "float"}, ttl_seconds=None
    )
    store.store.prepare([wider])
    plan = FeaturePlan(service="demo", request={}, views=(wider,))
    assert store.read([{"carrier": "UA"}], [NOON], plan) == [({"rates": "fresh"}, {"rates__late": None, "rates__rate": 0.2})]


def test_what_is_dropped_is_absent(store: Store) -> None:
    store.write(rate("UA", 0.2, NOON), rate("AA", 0.2, NOON))
    store.store.drop([RATES])
    store.store.prepare([RATES])
    assert store.look("UA", NOON) == ("absent", None)
    assert store.newest() == {}


ALL = ViewPlan(
    name="all",
    table="online.demo_all",
    join_keys={"text": "string", "number": "int", "when": "timestamp", "flag": "bool"},
    features={"t": "string", "n": "int", "f": "float", "b": "bool", "at": "timestamp"},
    ttl_seconds=None,
)
MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": TEXTS | st.sampled_from(["", "}", "{a}", "a}b", "\\N", '"', "\n"]),
            "number": INTEGERS,
            "when": MOMENTS,
            "flag": st.booleans(),
            "t": st.none() | TEXTS,
            "n": st.none() | INTEGERS,
            "f": st.none() | st.floats(allow_nan=False),
            "b": st.none() | st.booleans(),
            "at": st.none() | MOMENTS,
            "event_timestamp": MOMENTS,
            "created": MOMENTS,
        }
    ),
    min_size=1,
    max_size=10,
    unique_by=lambda row: tuple(row[name] for name in ALL.join_keys),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_every_value_comes_back_exactly(store: Store, rows: list[dict[str, Any]]) -> None:
    store.store.drop([ALL])
    store.store.prepare([ALL])
    assert store.write(*rows, view=ALL) == len(rows)
    assert store.write(*rows, view=ALL) == 0
    timed = ViewPlan(
        name="all", table=ALL.table, join_keys=ALL.join_keys, features={**ALL.features, "created": "timestamp"}, ttl_seconds=None
    )
    plan = FeaturePlan(service="demo", request={}, views=(timed,))
    found = store.read(rows, [datetime(2200, 1, 1, tzinfo=UTC)] * len(rows), plan)
    wanted = [{f"all__{name}": row[name] for name in timed.features} for row in rows]
    assert [vector for _, vector in found] == wanted


VERSIONS = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 2), st.integers(0, 2), st.floats(0, 1, width=16)), min_size=1, max_size=12
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(versions=VERSIONS, data=st.data())
def test_rows_in_any_order_and_number_of_calls_leave_the_latest(
    store: Store, versions: list[tuple[str, int, int, float]], data: st.DataObject
) -> None:
    store.store.drop([RATES])
    store.store.prepare([RATES])
    facts = {
        (c, event, created): rate(c, value, NOON + event * MINUTE, NOON + created * MINUTE)
        for c, event, created, value in versions
    }
    left = data.draw(st.permutations(list(facts.values())))
    while left:
        size = data.draw(st.integers(1, len(left)))
        store.write(*left[:size])
        left = left[size:]
    for carrier in {c for c, _, _ in facts}:
        latest = max(key for key in facts if key[0] == carrier)
        assert store.look(carrier, NOON + 9 * MINUTE) == ("fresh", facts[latest]["rate"])


class StoppedError(Exception):
    pass


def many(count: int) -> list[dict[str, Any]]:
    return [rate(f"C{n}", n / count, NOON) for n in range(count)]


def test_a_stopped_write_goes_on_where_it_was_and_ends_as_if_it_had_not_stopped(uri: str) -> None:
    store = open_online(uri)
    store.prepare([RATES, ROUTES])
    batches = [table(RATES, many(40)[start : start + 10]) for start in range(0, 40, 10)]

    def stopping() -> Iterator[Any]:
        yield from batches[:2]
        raise StoppedError

    origin = Origin("demo_rates/monday", 3)
    with pytest.raises(StoppedError):
        store.write(RATES, stopping(), origin)
    assert store.write(RATES, batches, origin) == 20
    assert store.write(RATES, batches, origin) == 0
    found = store.read(PlannedRead(PLAN), many(40), [NOON] * 40)
    assert [vector["rates__rate"] for _, vector in found] == [n / 40 for n in range(40)]
    store.close()


def test_a_stopped_write_begins_again_when_its_rows_have_changed(uri: str) -> None:
    store = open_online(uri)
    store.prepare([RATES])

    def stopping() -> Iterator[Any]:
        yield table(RATES, many(10))
        raise StoppedError

    with pytest.raises(StoppedError):
        store.write(RATES, stopping(), Origin("demo_rates/monday", 3))
    corrected = [row | {"rate": 2.0} for row in many(10)]
    assert store.write(RATES, [table(RATES, corrected)], Origin("demo_rates/monday", 4)) == 10
    store.close()


def test_what_a_write_has_lost_is_offered_again(database: str) -> None:
    """A write that is through leaves no note: offering the rows again repairs a store that lost them."""
    store = open_online(database)
    store.prepare([RATES])
    origin = Origin("demo_rates/monday", 3)
    store.write(RATES, [table(RATES, many(10))], origin)
    with psycopg.connect(database) as connection:
        connection.execute("TRUNCATE online.demo_rates")
    assert store.write(RATES, [table(RATES, many(10))], origin) == 10
    store.close()


def test_redis_keeps_a_row_well_past_its_ttl_and_one_without_a_ttl_for_ever(redis_uri: str) -> None:
    store, client = open_online(redis_uri), Redis.from_url(redis_uri)
    store.write(RATES, [table(RATES, [rate("UA", 0.2, NOON)])])
    ahead = datetime.now(UTC) + timedelta(days=400)
    store.write(RATES, [table(RATES, [rate("AA", 0.2, ahead)])])
    route = {"origin": "JFK", "dest": "LAX", "busy": True, "event_timestamp": NOON, "created": NOON}
    store.write(ROUTES, [table(ROUTES, [route])])
    days = {key: client.pttl(key) / 86_400_000 for key in client.scan_iter("{online*")}
    assert sorted(round(day) for day in days.values()) == [0, 30, 430]
    store.close()
    client.close()


def test_a_store_that_does_not_answer_is_named(redis_uri: str) -> None:
    with running() as server:
        store = open_online(server.uri)
        store.write(RATES, [table(RATES, many(1))])
    with pytest.raises(SourceError, match=f"Redis 127.0.0.1:{server.port} does not answer.*EVERLOOP_ONLINE"):
        store.read(PlannedRead(PLAN), many(1), [NOON])
    store.close()


def test_a_uri_that_names_no_store_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r'"mongodb://" names no online store.*redis://'):
        open_online("mongodb://localhost")


def test_a_hash_tag_holds_the_rows_of_many_entities() -> None:
    columns = {"carrier": [f"C{n}" for n in range(6400)], "rate": [0.1] * 6400, "flights": [1] * 6400}
    packed = pack(RATES, columns | {"event_timestamp": [0] * 6400, "created": [0] * 6400})
    assert len(packed) == 64
    assert all(50 < len(rows) < 150 for rows in packed.values())
