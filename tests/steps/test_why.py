"""Why: the rows that concern a release, and no others, in words."""

from datetime import UTC, datetime

import pytest

from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.verdict import Outcome, Reason, combine
from everloop.ports import Decision
from everloop.steps.why import why
from fakes.ledger import InMemoryLedger

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
A = ReleaseState(champion="a")
CANARY = ReleaseState(champion="a", challenger="b", rollout="t1", stage=Stage.CANARY, weight=0.25)
B = ReleaseState(champion="b", previous="a")


@pytest.fixture
def ledger() -> InMemoryLedger:
    verdict = combine([Reason("gate.auc", Outcome.PASS, "AUC 0.72 against 0.70")]).to_json()
    rows = [
        ("promoted", "a", A, {}),
        ("gate_passed", "b", A, verdict),
        ("released", "b", CANARY, {}),
        ("promoted", "b", B, {}),
        ("gate_failed", "c", B, {}),
        ("erased", "erasure requests 1 to 2", B, {"predictions": 5}),
        ("reverted", "b", A, {}),
    ]
    made = InMemoryLedger()
    for seq, (action, subject, after, evidence) in enumerate(rows):
        decision = Decision(
            actor="ann", action=action, subject=subject, after=after, reason=f"reason {seq + 1}", evidence=evidence
        )
        made.append("toys", decision, expected=seq, at=NOW)
    return made


def rows_told(lines: list[str]) -> list[int]:
    return [int(line.split("row ")[1].split()[0]) for line in lines if "  row " in line]


@pytest.mark.parametrize(
    ("subject", "rows"), [("b", [2, 3, 4, 7]), ("a", [1, 4, 7]), ("t1", [3, 4]), ("c", [5]), (None, [1, 4, 7])]
)
def test_the_rows_about_a_subject_are_told_and_no_others(ledger: InMemoryLedger, subject: str | None, rows: list[int]):
    assert rows_told(why(ledger, "toys", subject)) == rows


def test_a_row_is_told_with_who_why_what_follows_and_what_it_rests_on(ledger: InMemoryLedger):
    assert why(ledger, "toys", "b")[:4] == [
        "b of toys",
        "2026-03-01 12:00:00Z  row 2  gate passed b by ann: reason 2",
        "    pass         gate.auc: AUC 0.72 against 0.70",
        "2026-03-01 12:00:00Z  row 3  released b by ann: reason 3",
    ]
    assert "    then: a serves, b on trial at 25% of the traffic (canary)" in why(ledger, "toys", "b")
    assert "    predictions: 5" in why(ledger, "toys", "erasure requests 1 to 2")


def test_what_nobody_decided_about_is_said(ledger: InMemoryLedger):
    assert why(ledger, "claims") == ["The ledger of claims is empty: nothing was ever decided"]
    assert why(ledger, "toys", "z") == ["No row of the ledger of toys speaks of z; it speaks of a, b, c, erasure requests 1 to 2"]
