"""Forgetting in time and on request, keeping what releases need, and noticing a broken ledger."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from everloop.decide.release.state import ReleaseState
from everloop.errors import ConfigurationError, DataError
from everloop.interval import Interval
from everloop.ports import Decision
from everloop.steps import prediction_log, upkeep
from everloop.use_case import UseCase
from fakes.lake import MemoryLake
from fakes.ledger import InMemoryLedger
from fakes.traffic import InMemoryTraffic, prediction

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
EVER = Interval(datetime(2000, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))


@pytest.fixture
def ledger() -> InMemoryLedger:
    return InMemoryLedger()


@pytest.fixture
def traffic() -> InMemoryTraffic:
    return InMemoryTraffic()


def write(ledger: InMemoryLedger, subject: str, after: ReleaseState, at: datetime) -> None:
    decision = Decision(actor="ann", action="promoted", subject=subject, after=after, reason="so")
    ledger.append("toys", decision, expected=ledger.head("toys")[0], at=at)


def test_what_is_older_than_the_use_case_keeps_is_deleted(traffic: InMemoryTraffic, toys: UseCase):
    traffic.log("toys", [prediction("old", as_of=NOW - 401 * DAY), prediction("new", as_of=NOW - 399 * DAY)])
    assert upkeep.retention(traffic, MemoryLake(), toys, now=NOW)["deleted"] == 1
    assert upkeep.retention(traffic, MemoryLake(), toys, now=NOW)["deleted"] == 0
    assert traffic.served("toys", EVER)["key"].to_pylist() == ["new"]


def test_a_world_that_has_ended_grows_no_older(traffic: InMemoryTraffic, use_case_with: Callable[..., UseCase]):
    ended = use_case_with(end=datetime(2014, 1, 1, tzinfo=UTC))
    traffic.log("toys", [prediction("april", as_of=datetime(2013, 4, 1, tzinfo=UTC))])
    assert upkeep.retention(traffic, MemoryLake(), ended, now=NOW)["deleted"] == 0


def test_the_lake_keeps_the_log_longer_than_the_database(traffic: InMemoryTraffic, use_case_with: Callable[..., UseCase]):
    short, lake = use_case_with(retention=30 * DAY, lake_retention=60 * DAY), MemoryLake()
    traffic.log("toys", [prediction(f"{n} days ago", at=NOW - n * DAY, as_of=NOW - n * DAY) for n in (10, 40, 61, 70)])
    prediction_log.export(traffic, lake, short, now=NOW)
    told = upkeep.retention(traffic, lake, short, now=NOW)
    assert (told["deleted"], told["days_in_lake"]) == (3, 2)
    assert traffic.served("toys", EVER)["request_id"].to_pylist() == ["10 days ago"]
    assert lake.read(prediction_log.TABLE)["request_id"].to_pylist() == ["40 days ago", "10 days ago"]
    assert upkeep.retention(traffic, lake, short, now=NOW)["days_in_lake"] == 0


def test_the_lake_may_not_forget_what_the_database_would_give_it_again(use_case_with: Callable[..., UseCase]):
    with pytest.raises(ConfigurationError, match=r"lake_retention is 399 days.*at least retention \(400 days"):
        use_case_with(lake_retention=399 * DAY)


def test_an_erasure_deletes_records_how_many_and_names_nobody(traffic: InMemoryTraffic, ledger: InMemoryLedger, toys: UseCase):
    traffic.log("toys", [prediction("a", entity="ann"), prediction("b", entity="ann"), prediction("c", entity="bob")])
    for entity in ("ann", "ann", "eve"):
        traffic.request_erasure("toys", entity, NOW)
    result = upkeep.erasure(traffic, MemoryLake(), ledger, toys, now=NOW)
    assert (result["requests"], result["predictions"]) == (3, 2)
    assert traffic.served("toys", EVER)["entity"].to_pylist() == ["bob"]
    assert traffic.erasure_requests("toys") == {}
    entry = ledger.entries("toys")[0]
    assert (entry.action, entry.after) == ("erased", ReleaseState())
    assert "ann" not in str(entry) + str(traffic.requests)


def test_without_a_request_nothing_is_erased_or_written(traffic: InMemoryTraffic, ledger: InMemoryLedger, toys: UseCase):
    assert upkeep.erasure(traffic, MemoryLake(), ledger, toys, now=NOW)["requests"] == 0
    assert ledger.entries("toys") == []


class KilledBeforeClosing(InMemoryTraffic):
    def close_erasures(self, use_case: str, requests: object, at: datetime) -> None:
        raise ConnectionError


def test_an_erasure_that_was_killed_is_done_again(ledger: InMemoryLedger, toys: UseCase):
    traffic = KilledBeforeClosing()
    traffic.request_erasure("toys", "ann", NOW)
    with pytest.raises(ConnectionError):
        upkeep.erasure(traffic, MemoryLake(), ledger, toys, now=NOW)
    assert traffic.erasure_requests("toys") == {1: "ann"}


def test_versions_that_a_living_release_was_trained_on_are_kept(ledger: InMemoryLedger, toys: UseCase):
    assert upkeep.keep_since(ledger, toys, NOW) == NOW - upkeep.KEEP_VERSIONS
    for name, days in (("a", 500), ("b", 300), ("c", 200)):
        write(ledger, name, ReleaseState(champion=name), NOW - days * DAY)
    assert upkeep.keep_since(ledger, toys, NOW) == NOW - 300 * DAY - upkeep.TRAINING_MARGIN
    write(ledger, "d", ReleaseState(champion="c", challenger="d"), NOW - DAY)
    assert upkeep.keep_since(ledger, toys, NOW) == NOW - 300 * DAY - upkeep.TRAINING_MARGIN
    assert upkeep.vacuum(MemoryLake(), ledger, toys, now=NOW)["deleted"] == {}


def test_an_intact_ledger_says_how_long_it_is(ledger: InMemoryLedger, toys: UseCase):
    assert upkeep.verify(ledger, toys) == {"rows": 0, "intact": True}
    write(ledger, "a", ReleaseState(champion="a"), NOW)
    assert upkeep.verify(ledger, toys) == {"rows": 1, "intact": True}


def test_a_broken_ledger_raises_and_names_the_row(ledger: InMemoryLedger, toys: UseCase):
    for name in ("a", "b"):
        write(ledger, name, ReleaseState(champion=name), NOW)
    ledger.rows["toys"][0]["actor"] = "eve"
    with pytest.raises(DataError, match=r"row 1 of toys was changed.*stop releasing"):
        upkeep.verify(ledger, toys)
