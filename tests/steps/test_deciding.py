"""Deciding again when somebody else was first; writing what was decided, and nothing else."""

from datetime import UTC, datetime

import pytest

from everloop.decide.release.rollout import Action, Kind
from everloop.decide.release.state import ReleaseState
from everloop.decide.verdict import Outcome, Reason, combine
from everloop.errors import LedgerConflict
from everloop.ports import Decision
from everloop.steps.deciding import act, decide_and_append, finite, mirror
from fakes.ledger import InMemoryLedger
from fakes.registry import InMemoryRegistry

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def promotion(release: str, **evidence: object) -> Decision:
    return Decision(
        actor="ann", action="promoted", subject=release, after=ReleaseState(champion=release), reason="good", evidence=evidence
    )


class Rival:
    """Decides on the state it is shown after somebody else has written `times` rows in between."""

    def __init__(self, ledger: InMemoryLedger, times: int) -> None:
        self.ledger, self.times, self.seen = ledger, times, []

    def decide(self, state: ReleaseState) -> Decision:
        self.seen.append(state.champion)
        if self.times:
            self.times -= 1
            seq, _ = self.ledger.head("toys")
            self.ledger.append("toys", promotion(f"rival{seq}"), expected=seq, at=NOW)
        return promotion("mine")


def test_a_lost_race_is_decided_again_on_the_new_state():
    ledger = InMemoryLedger()
    rival = Rival(ledger, times=2)
    entry = decide_and_append(ledger, "toys", rival.decide, NOW)
    assert entry.seq == 3
    assert rival.seen == [None, "rival0", "rival1"]
    assert ledger.head("toys")[1].champion == "mine"


def test_who_loses_every_race_gives_up_with_the_conflict():
    ledger = InMemoryLedger()
    with pytest.raises(LedgerConflict, match="decide again"):
        decide_and_append(ledger, "toys", Rival(ledger, times=99).decide, NOW)
    assert {entry.subject for entry in ledger.entries("toys")}.isdisjoint({"mine"})


def test_wanting_nothing_writes_nothing():
    ledger = InMemoryLedger()
    assert decide_and_append(ledger, "toys", lambda state: None, NOW) is None
    assert ledger.entries("toys") == []


def test_an_unbounded_interval_never_keeps_a_decision_from_being_written():
    ledger = InMemoryLedger()
    entry = decide_and_append(ledger, "toys", lambda state: promotion("r1", high=float("inf"), deep=[{"p": float("nan")}]), NOW)
    assert ledger.entries("toys") == [entry]
    assert entry.evidence == {"high": "inf", "deep": [{"p": "nan"}]}
    assert finite((1.5, -float("inf"))) == [1.5, "-inf"]


def action(kind: Kind, text: str) -> Action:
    return Action(kind, ReleaseState(), combine([Reason("x", Outcome.PASS, text)]), "ann")


def test_a_refusal_is_written_once_until_something_else_is_said():
    ledger = InMemoryLedger()
    for kind, text in [(Kind.REFUSE, "stale")] * 3 + [(Kind.REFUSE, "rejected"), (Kind.REFUSE, "stale"), (Kind.WAIT, "so")]:
        act(ledger, "toys", "r1", lambda state, kind=kind, text=text: action(kind, text), NOW)
    assert [entry.reason for entry in ledger.entries("toys")] == ["stale", "rejected", "stale"]


def test_an_action_is_written_about_the_release_on_trial_with_its_verdict():
    ledger = InMemoryLedger()
    begun = Action(Kind.RELEASE, ReleaseState(challenger="r2"), combine([Reason("x", Outcome.PASS, "go", {"n": 3})]), "ann")
    act(ledger, "toys", "r2", lambda state: begun, NOW)
    acted = act(ledger, "toys", None, lambda state: action(Kind.ROLL_BACK, "worse"), NOW)
    assert (acted.entry.subject, acted.entry.action, acted.entry.actor) == ("r2", "rolled_back", "ann")
    assert ledger.entries("toys")[0].evidence["reasons"][0]["numbers"] == {"n": 3}
    assert acted.summary()["seq"] == 2


def test_a_registry_that_is_down_is_said_and_stops_nothing(caplog: pytest.LogCaptureFixture):
    registry = InMemoryRegistry()
    assert mirror(registry, "toys", ReleaseState(champion="r1"))
    registry.down = True
    assert not mirror(registry, "toys", ReleaseState(champion="r2"))
    assert "the next decision tries again" in caplog.text
    assert registry.aliases == {"champion": "r1"}
