"""The commands that look at accounts, quarantine and parity, on a lake that holds nothing yet."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from everloop.adapters.ledger import PostgresLedger
from everloop.adapters.measurements import PostgresMeasurements
from everloop.decide.release.state import ReleaseState
from everloop.interval import Interval
from everloop.ports import Decision, Measurement

WEEK = Interval(datetime(2013, 4, 2, tzinfo=UTC), datetime(2013, 4, 9, tzinfo=UTC))


def test_an_empty_lake_has_accounts_that_add_up_and_nothing_in_quarantine(run, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    assert run("accounts", "flights") == (0, "flights: all accounts add up")
    assert run("quarantine", "list", "flights") == (0, "0 rows in quarantine")
    assert run("quarantine", "show", "flights", "flights") == (0, "0 rows")
    assert run("quarantine", "show", "flights", "flights", "--csv", str(file)) == (0, f"0 rows written to {file}")
    done = run("quarantine", "repair", "flights", "flights", str(file), "--reason", "nothing to mend")
    assert done == (0, "0 rows published, 0 stay in quarantine, 0 as they were")


def replayed(verdict: str, equal: int) -> Measurement:
    reasons = [{"check": "parity.share", "outcome": verdict, "text": "", "numbers": {}}]
    shares = {"rows": 2, "equal": equal, "low": 0.1, "high": 0.9, "unavailable": 0}
    detail = shares | {"differing": {}, "worst": [], "reasons": reasons}
    return Measurement(
        interval=WEEK, release="aaaa", kind="parity", subject="window", value=equal / 2, verdict=verdict, detail=detail
    )


def test_parity_is_told_of_what_serves_and_ends_with_1_when_it_fails(run, everloop_database: str) -> None:
    assert run("parity", "flights") == (0, "flights: nothing serves yet")
    after = ReleaseState(champion="aaaa", previous="bbbb")
    promoted = Decision(actor="tests", action="promoted", subject="aaaa", after=after, reason="-")
    PostgresLedger(everloop_database).append("flights", promoted, expected=0, at=WEEK.end)
    assert run("parity", "flights") == (0, "aaaa: nothing that it served was replayed yet")
    for verdict, equal, code in (("pass", 2, 0), ("fail", 1, 1)):
        PostgresMeasurements(everloop_database).write("flights", [replayed(verdict, equal)])
        found, told = run("parity", "flights")
        assert (found, told.splitlines()[0].split("  ")[1:3]) == (code, ["aaaa", verdict])
