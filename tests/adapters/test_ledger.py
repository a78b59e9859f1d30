"""The ledger's contract, held by PostgreSQL and by the fake; and what only PostgreSQL can promise."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from everloop.adapters.database import connect, migrate
from everloop.adapters.ledger import PostgresLedger, linked
from everloop.decide.chain import GENESIS, canonical, entry_hash
from everloop.decide.release.state import ReleaseState, Stage
from everloop.errors import DataError, LedgerConflict, SourceError
from everloop.ports import Decision, Ledger
from fakes.ledger import InMemoryLedger

AT = datetime(2013, 4, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture(params=["postgres", "memory"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "memory":
        return InMemoryLedger()
    return PostgresLedger(request.getfixturevalue("everloop_database"))


def decision(action: str = "promoted", subject: str = "r1", **changes) -> Decision:
    after = ReleaseState(champion=subject, stage=Stage.WATCH, weight=0.25, since=AT, resume=Stage.CANARY)
    return Decision(**{"actor": "ann", "action": action, "subject": subject, "after": after, "reason": "it is better", **changes})


def test_an_empty_ledger_stands_at_row_zero_with_an_idle_state(ledger: Ledger):
    assert ledger.head("flights") == (0, ReleaseState())
    assert ledger.entries("flights") == []
    assert ledger.verify("flights") is None
    assert ledger.use_cases() == []


def test_an_entry_reads_back_as_it_was_written(ledger: Ledger):
    evidence = {
        "auc": 0.1 + 0.2,
        "n": 10**22,
        "huge": 1e300,
        "tiny": 5e-324,
        "at": AT,
        "text": "grün ☃",
        "list": [1.0, None, True],
    }
    first = ledger.append("flights", decision(evidence=evidence), expected=0, at=AT)
    assert ledger.entries("flights") == [first]
    assert first.seq == 1
    assert first.at == AT
    assert first.previous_hash == GENESIS
    assert first.before == ReleaseState()
    assert first.after.stage is Stage.WATCH
    assert first.after.since == AT
    assert first.evidence["auc"] == evidence["auc"]
    assert ledger.head("flights") == (1, first.after)
    assert ledger.verify("flights") is None


def test_each_row_carries_the_state_and_the_hash_of_the_row_before(ledger: Ledger):
    first = ledger.append("flights", decision(), expected=0, at=AT)
    second = ledger.append("flights", decision("concluded"), expected=1, at=AT + timedelta(days=1))
    assert second.before == first.after
    assert second.previous_hash == first.hash
    assert ledger.verify("flights") is None


@pytest.mark.parametrize("expected", [0, 2])
def test_a_decision_on_a_state_that_is_not_the_latest_is_a_conflict(ledger: Ledger, expected: int):
    ledger.append("flights", decision(), expected=0, at=AT)
    with pytest.raises(LedgerConflict, match=f"flights no longer ends at row {expected}.*decide again"):
        ledger.append("flights", decision(), expected=expected, at=AT)
    assert len(ledger.entries("flights")) == 1


def test_use_cases_have_chains_of_their_own(ledger: Ledger):
    ledger.append("flights", decision(), expected=0, at=AT)
    ledger.append("claims", decision(), expected=0, at=AT)
    assert ledger.use_cases() == ["claims", "flights"]
    assert [e.seq for e in ledger.entries("claims")] == [1]
    assert ledger.verify("claims") is None


def test_entries_are_filtered_by_position_subject_and_action(ledger: Ledger):
    for seq, (action, subject) in enumerate([("released", "r1"), ("promoted", "r1"), ("released", "r2")]):
        ledger.append("flights", decision(action, subject), expected=seq, at=AT)
    assert [e.seq for e in ledger.entries("flights", after=1)] == [2, 3]
    assert [e.seq for e in ledger.entries("flights", subject="r1")] == [1, 2]
    assert [e.seq for e in ledger.entries("flights", action="released")] == [1, 3]
    assert [e.seq for e in ledger.entries("flights", action="released", subject="r2")] == [3]


def test_evidence_with_nan_is_refused_and_nothing_is_written(ledger: Ledger):
    with pytest.raises(DataError, match=r"evidence\.auc is nan"):
        ledger.append("flights", decision(evidence={"auc": float("nan")}), expected=0, at=AT)
    assert ledger.entries("flights") == []


def test_a_time_without_zone_is_refused(ledger: Ledger):
    with pytest.raises(DataError, match="no time zone"):
        ledger.append("flights", decision(), expected=0, at=datetime(2013, 1, 1))


def test_of_two_racing_deciders_exactly_one_wins_each_round(ledger: Ledger):
    rounds, wins = 15, {"ann": 0, "bob": 0}
    barrier = threading.Barrier(2)

    def decide(actor: str) -> None:
        for expected in range(rounds):
            barrier.wait(timeout=20)
            try:
                ledger.append("flights", decision(actor=actor), expected=expected, at=AT)
                wins[actor] += 1
            except LedgerConflict:
                pass

    run_together(lambda: decide("ann"), lambda: decide("bob"))
    assert sum(wins.values()) == rounds
    assert [e.seq for e in ledger.entries("flights")] == list(range(1, rounds + 1))
    assert ledger.verify("flights") is None


def run_together(*tasks: Callable[[], None]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)


@pytest.mark.parametrize("statement", ["UPDATE ledger SET reason = 'x'", "DELETE FROM ledger", "TRUNCATE ledger"])
def test_the_database_refuses_to_change_what_was_written(everloop_database: str, statement: str):
    PostgresLedger(everloop_database).append("flights", decision(), expected=0, at=AT)
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"), connect(everloop_database) as connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE ledger SET reason = 'x' WHERE seq = 2", "row 2 of flights was changed"),
        ("UPDATE ledger SET evidence = '{\"auc\": 0.9}' WHERE seq = 3", "row 3 of flights was changed"),
        ("UPDATE ledger SET at = at + interval '1 microsecond' WHERE seq = 1", "row 1 of flights was changed"),
        ("DELETE FROM ledger WHERE seq = 1", "row 2 of flights stands where row 1 should"),
    ],
)
def test_verification_finds_what_an_owner_of_the_database_changed(everloop_database: str, statement: str, words: str):
    ledger = PostgresLedger(everloop_database)
    for seq in range(3):
        ledger.append("flights", decision(evidence={"auc": 0.7}), expected=seq, at=AT)
    with connect(everloop_database) as connection:
        connection.execute("ALTER TABLE ledger DISABLE TRIGGER ledger_append_only")
        connection.execute(statement)
    assert ledger.verify("flights").startswith(words)


def test_a_state_with_a_field_of_newer_code_still_verifies_and_reads(everloop_database: str):
    ledger = PostgresLedger(everloop_database)
    row = linked("flights", decision(), 0, AT, {}, GENESIS)
    row |= {"after": row["after"] | {"moon": "full"}}
    row |= {"hash": entry_hash(row)}
    with connect(everloop_database) as connection:
        values = [canonical(value) if isinstance(value, dict) else value for value in row.values()]
        connection.execute(f"INSERT INTO ledger ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})", values)
    assert ledger.verify("flights") is None
    assert ledger.head("flights") == (1, decision().after)


def test_an_append_rings(everloop_database: str):
    with connect(everloop_database, autocommit=True) as listener:
        listener.execute("LISTEN everloop_ledger")
        PostgresLedger(everloop_database).append("flights", decision(), expected=0, at=AT)
        assert [n.payload for n in listener.notifies(timeout=5, stop_after=1)] == ["flights 1"]


def test_migrations_may_run_twice_and_at_once(database: str):
    run_together(*[lambda: migrate(database)] * 4)
    migrate(database)
    assert PostgresLedger(database).append("flights", decision(), expected=0, at=AT).seq == 1


def test_an_absent_database_is_told_without_its_password():
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:1/everloop does not answer") as caught:
        connect("postgresql://ann:secret@127.0.0.1:1/everloop")
    assert "secret" not in str(caught.value)
