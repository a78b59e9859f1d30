"""Why: the rows that concern a release, and no others, in words and as data."""

import json
import re
from datetime import UTC, datetime

import pytest

from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.verdict import Outcome, Reason, combine
from everloop.errors import ReleaseError
from everloop.ports import Decision
from everloop.steps.why import lines, story, to_json
from fakes.ledger import InMemoryLedger

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
A = ReleaseState(champion="a")
CANARY = ReleaseState(champion="a", challenger="b", rollout="t1", stage=Stage.CANARY, weight=0.25)
B = ReleaseState(champion="b", previous="a")
NUMBERS = {"value": 0.721234567, "limit": 0.7, "rows": 900}
VERDICT = combine([Reason("gate.auc", Outcome.PASS, "AUC 0.72 against 0.70", NUMBERS)]).to_json()
WANTED = {"window": "w", "windows": [{"end": "w", "measures": {"drift": {"verdict": "fail", "reasons": ["x" * 400]}}}]}


@pytest.fixture
def ledger() -> InMemoryLedger:
    rows = [
        ("promoted", "a", A, {}),
        ("retrain_wanted", "a", A, WANTED),
        ("retrain_asked", "run-9", A, {}),
        ("registered", "b", A, {"run": "run-1", "asked_in": [2], "files_sha256": {"model.ubj": "ff" * 32}}),
        ("gate_passed", "b", A, VERDICT),
        ("released", "b", CANARY, {}),
        ("gate_failed", "c", CANARY, {}),
        ("promoted", "b", B, {}),
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


@pytest.mark.parametrize(
    ("subject", "release", "rows"),
    [
        ("b", "b", [2, 4, 5, 6, 8, 10]),
        ("a", "a", [1, 2, 8, 10]),
        ("t1", "b", [2, 4, 5, 6, 8]),
        ("run-1", "b", [2, 4]),
        ("run-9", None, [3]),
        ("c", "c", [7]),
        ("erasure requests 1 to 2", None, [9]),
        (None, "a", [1, 2, 8, 10]),
    ],
)
def test_the_rows_about_a_subject_are_told_and_no_others(
    ledger: InMemoryLedger, subject: str | None, release: str | None, rows: list[int]
):
    told = story(ledger, "toys", subject)
    assert [entry.seq for entry in told.entries] == rows
    assert told.release == release
    assert [int(found) for found in re.findall(r"Z  row (\d+)  ", "\n".join(lines(told)))] == rows


def test_a_row_is_told_with_who_why_what_follows_the_numbers_it_rests_on_and_its_hash(ledger: InMemoryLedger):
    told = list(lines(story(ledger, "toys", "b")))
    at = told.index("2026-03-01 12:00:00Z  row 5  gate passed b by ann: reason 5")
    assert told[at + 1 : at + 4] == [
        "    pass         gate.auc: AUC 0.72 against 0.70",
        "                 limit 0.7, rows 900, value 0.721235",
        f"    hash {ledger.entries('toys')[4].hash}",
    ]
    assert "    then: a serves, b on trial at 25% of the traffic (canary)" in told
    assert f"      model.ubj: {'ff' * 32}" in told
    assert "    asked for the training that made b" in told
    assert "    predictions: 5" in lines(story(ledger, "toys", "erasure requests 1 to 2"))


def test_long_evidence_is_folded_in_the_text_and_whole_in_the_data(ledger: InMemoryLedger):
    told = story(ledger, "toys", "b")
    (folded,) = (line for line in lines(told) if line.startswith("    windows: "))
    assert len(folded) < 180
    assert folded.endswith("more characters in --json)")
    data = to_json(told)
    assert data["entries"][0]["evidence"] == WANTED
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("a", "a of toys: it serves since 2026-03-01 12:00:00Z (row 10)"),
        ("b", "b of toys: it does not serve, a does; last: reverted (row 10)"),
        ("c", "c of toys: it does not serve, a does; last: gate failed (row 7)"),
        ("run-9", "run-9 of toys: 1 rows"),
    ],
)
def test_first_it_says_how_the_release_stands(ledger: InMemoryLedger, subject: str, said: str):
    assert next(lines(story(ledger, "toys", subject))) == said


def test_a_release_whose_place_was_taken_is_told_as_superseded(ledger: InMemoryLedger):
    ledger.rows["toys"] = ledger.rows["toys"][:7]
    other = ReleaseState(champion="a", challenger="d", rollout="t2", stage=Stage.CHECK)
    decision = Decision(actor="ann", action="forced", subject="d", after=other, reason="it is better")
    ledger.append("toys", decision, expected=7, at=NOW)
    assert next(lines(story(ledger, "toys", "b"))) == "b of toys: it does not serve, a does; last: superseded by d (row 8)"
    assert next(lines(story(ledger, "toys", "d"))) == "d of toys: it is on trial (check), a serves"


def test_what_is_on_trial_is_told_by_default(ledger: InMemoryLedger):
    ledger.rows["toys"] = ledger.rows["toys"][:7]
    told = story(ledger, "toys")
    assert (told.subject, told.release) == ("b", "b")
    assert next(lines(told)) == "b of toys: it is on trial (canary), a serves"


def test_a_release_of_which_nothing_says_how_it_was_trained_is_said_to_be_so(ledger: InMemoryLedger):
    assert list(lines(story(ledger, "toys", "c")))[1].startswith("No row says how c was trained")
    assert not any(line.startswith("No row says") for line in lines(story(ledger, "toys", "b")))


def test_the_last_line_says_whether_the_chain_verifies(ledger: InMemoryLedger):
    last = ledger.entries("toys")[-1]
    assert (
        list(lines(story(ledger, "toys", "b")))[-1] == f"The chain of toys verifies: 10 rows, the last one has hash {last.hash}"
    )
    assert to_json(story(ledger, "toys", "b"))["chain"] == {"rows": 10, "head": last.hash, "intact": True, "broken": None}
    ledger.rows["toys"][4]["reason"] = "another reason"
    told = story(ledger, "toys", "b")
    assert list(lines(told))[-1].startswith("The chain of toys is BROKEN: row 5 of toys was changed")
    assert to_json(told)["chain"]["intact"] is False


def test_what_nobody_decided_about_is_said(ledger: InMemoryLedger):
    assert list(lines(story(ledger, "claims"))) == ["The ledger of claims is empty: nothing was ever decided"]
    with pytest.raises(ReleaseError, match="No row of the ledger of toys speaks of z; it speaks of a, run-9, b, c, erasure"):
        story(ledger, "toys", "z")
    with pytest.raises(ReleaseError, match="it speaks of nothing: it is empty"):
        story(ledger, "claims", "z")
