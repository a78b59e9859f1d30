"""What asked for a training and what came of it: written once, linked by row numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from everloop.decide.release.state import ReleaseState
from everloop.ports import Decision
from everloop.release import Bundle, manifest_bytes, sha256
from everloop.steps.provenance import ASKED, REGISTERED, asked, registered
from everloop.use_case import UseCase
from fakes.ledger import InMemoryLedger
from fakes.registry import InMemoryRegistry

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FORM = {"reason": "new carriers", "through": None, "force": True, "drill": False}


@pytest.fixture
def ledger() -> InMemoryLedger:
    """One row, so that numbers do not all begin at one."""
    made = InMemoryLedger()
    set_up = Decision(actor="ann", action="promoted", subject="a", after=ReleaseState(champion="a"), reason="so")
    made.append("toys", set_up, expected=0, at=NOW)
    return made


def by_hand(ledger: InMemoryLedger, toys: UseCase, run: str, actor: str = "ann") -> list[int]:
    return asked(ledger, toys, run, [], FORM, actor=actor, reason="new carriers", now=NOW)


def test_who_asks_by_hand_is_written_once_a_run_with_the_reason_and_what_the_form_said(ledger: InMemoryLedger, toys: UseCase):
    assert [by_hand(ledger, toys, run) for run in ("manual-1", "manual-1", "manual-2")] == [[2], [2], [3]]
    row = ledger.entries("toys", action=ASKED)[0]
    assert (row.actor, row.subject, row.reason) == ("ann", "manual-1", "new carriers")
    assert row.evidence == {"parameters": {"reason": "new carriers", "force": True}}
    assert row.before == row.after


@pytest.mark.parametrize(
    ("events", "rows"),
    [
        ([{"row": 7, "reason": "drift"}], [7]),
        ([{"row": 9}, {"row": 7}, {"row": 9}], [7, 9]),
    ],
)
def test_what_the_monitor_asked_for_is_in_the_ledger_already(
    ledger: InMemoryLedger, toys: UseCase, events: list[dict[str, Any]], rows: list[int]
):
    found = asked(ledger, toys, "asset-1", events, {}, actor="dag:toys_retrain", reason="drift", now=NOW)
    assert found == rows
    assert ledger.head("toys")[0] == 1


def test_an_event_that_names_no_row_leaves_one(ledger: InMemoryLedger, toys: UseCase):
    events = [{"reason": "rung by hand in Airflow"}]
    found = asked(ledger, toys, "asset-1", events, {}, actor="dag:toys_retrain", reason="rung by hand in Airflow", now=NOW)
    (row,) = ledger.entries("toys", action=ASKED)
    assert (found, row.actor, row.reason) == ([row.seq], "dag:toys_retrain", "rung by hand in Airflow")


def register(ledger: InMemoryLedger, registry: InMemoryRegistry, toys: UseCase, bundle: Bundle, run: str) -> int:
    version = {"version": "3", "run_id": "r", "url": "http://mlflow/3"}
    counts = {"rows": 900, "left_out": 2}
    return registered(
        ledger, registry, toys, bundle.id, run, asked_in=[1], version=version, training_set=counts, now=NOW
    )  # fmt: skip


def test_a_release_is_written_with_all_that_made_it(
    ledger: InMemoryLedger, registry: InMemoryRegistry, bundles: dict[str, Bundle], toys: UseCase
):
    bundle = bundles["new"]
    seq = register(ledger, registry, toys, bundle, "manual-1")
    (row,) = ledger.entries("toys", subject=bundle.id)
    assert (row.seq, row.action, row.before) == (seq, REGISTERED, row.after)
    assert row.evidence["manifest_sha256"] == sha256(manifest_bytes(bundle.manifest))
    assert row.evidence["manifest_sha256"].startswith(bundle.id)
    assert row.evidence["files_sha256"] == bundle.manifest.files
    assert (row.evidence["run"], row.evidence["asked_in"], row.evidence["snapshot"]) == ("manual-1", [1], {"toys": 3})
    assert row.evidence["trained_through"] == "2013-04-28T00:00:00+00:00"
    assert (row.evidence["training_set"]["rows"], row.evidence["version"]["version"]) == (900, "3")
    assert row.reason == (
        "trained by run manual-1 on labels from 2013-01-28 00:00Z through 2013-04-28 00:00Z; toys version 3; code unknown"
    )


def test_a_repeated_task_writes_nothing_and_another_run_that_made_the_same_release_writes_its_own_row(
    ledger: InMemoryLedger, registry: InMemoryRegistry, bundles: dict[str, Bundle], toys: UseCase
):
    runs = ("manual-1", "manual-1", "manual-2", "manual-1")
    assert [register(ledger, registry, toys, bundles["new"], run) for run in runs] == [2, 2, 3, 2]
