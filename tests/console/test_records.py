from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from everloop.console.records import releases
from everloop.decide.release.state import ReleaseState, Stage
from everloop.ports import Decision
from fakes.ledger import InMemoryLedger

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SERVING = ReleaseState(champion="aaaa")
TRIAL = ReleaseState(champion="aaaa", challenger="bbbb", rollout="1-b", stage=Stage.CANARY, weight=0.25)


def fates(*rows: tuple[str, str, ReleaseState]) -> dict[str, str]:
    ledger = InMemoryLedger()
    judged = [("gate_passed", name, ReleaseState()) for name in ("aaaa", "bbbb", "cccc")]
    for seq, (action, subject, after) in enumerate([*judged, *rows]):
        decision = Decision(actor="ann", action=action, subject=subject, after=after, reason="because")
        ledger.append("flights", decision, expected=seq, at=NOW)
    return {row.release: row.fate for row in releases(ledger.entries("flights"))}


def test_a_release_on_trial_is_told_so_until_another_takes_its_place() -> None:
    begun = (("promoted", "aaaa", SERVING), ("released", "bbbb", TRIAL), ("advanced", "bbbb", replace(TRIAL, weight=0.5)))
    assert fates(*begun) == {"aaaa": "promoted", "bbbb": "on trial", "cccc": ""}
    other = replace(TRIAL, challenger="cccc", rollout="2-c", stage=Stage.CHECK, weight=0.0)
    assert fates(*begun, ("forced", "cccc", other)) == {"aaaa": "promoted", "bbbb": "superseded by cccc", "cccc": "forced"}


def test_a_release_that_is_watched_stays_promoted_when_another_goes_on_trial() -> None:
    watched = ReleaseState(champion="bbbb", previous="aaaa", rollout="1-b", stage=Stage.WATCH)
    other = ReleaseState(champion="bbbb", previous="aaaa", challenger="cccc", rollout="2-c", stage=Stage.CHECK)
    found = fates(("promoted", "bbbb", watched), ("released", "cccc", other))
    assert (found["bbbb"], found["cccc"]) == ("promoted", "on trial")


def test_a_revert_ends_the_trial_that_was_under_way() -> None:
    found = fates(("promoted", "aaaa", SERVING), ("released", "bbbb", TRIAL), ("reverted", "cccc", ReleaseState(champion="cccc")))
    assert found == {"aaaa": "left by a revert", "bbbb": "ended by a revert", "cccc": "reverted to"}
