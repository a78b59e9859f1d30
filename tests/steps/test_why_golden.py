"""Whole stories as an auditor reads them: asked, trained, refused; forced, promoted, rolled back; asked by hand, serving."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from everloop.decide.policy import RetrainPolicy
from everloop.decide.release.rollout import Action, Kind
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.verdict import Outcome, Reason, combine
from everloop.interval import Interval
from everloop.ports import Decision, Measurement
from everloop.settings import PROJECT
from everloop.steps import monitor, provenance, release, rollback
from everloop.steps.deciding import act, decide_and_append
from everloop.steps.why import lines, story
from everloop.use_case import UseCase
from fakes.ledger import InMemoryLedger
from fakes.measurements import InMemoryMeasurements
from fakes.registry import InMemoryRegistry

GOLDEN = PROJECT / "tests" / "golden" / "why"
START = datetime(2013, 5, 6, tzinfo=UTC)
WEEK = timedelta(days=7)


class Loop:
    """A year of one use case, decision by decision, by the steps that take them; verdicts on models are given."""

    def __init__(self, use_case: UseCase, registry: InMemoryRegistry) -> None:
        retrain = RetrainPolicy(cooldown=timedelta(days=28))
        self.use_case = replace(use_case, retrain=retrain, rollout=replace(use_case.rollout, approval=True))
        self.registry, self.ledger, self.measurements = registry, InMemoryLedger(), InMemoryMeasurements()
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def tick(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    def drift(self, weeks: int, champion: str) -> list[dict]:
        """The monitor sees `weeks` weeks of drift."""
        last = Interval(START + (weeks - 1) * WEEK, START + weeks * WEEK)
        for n in range(weeks):
            reason = {"check": "drift.share", "outcome": "fail", "text": "3 of 4 inputs moved", "numbers": {"share": 0.75}}
            detail = {"because": "3 of 4 inputs moved", "reasons": [reason], "trained_through": "2013-03-28T00:00:00+00:00"}
            week = Interval(START + n * WEEK, START + (n + 1) * WEEK)
            found = Measurement(
                interval=week, release=champion, kind="drift", subject="window", value=0.75, verdict="fail", detail=detail
            )
            self.measurements.write("toys", [found])
        answer = monitor.decide(self.measurements, self.ledger, self.use_case, [last], now=self.tick())
        return [{"row": answer["row"], "reason": answer["reason"]}]

    def train(self, run: str, made: str, events: list[dict], actor: str = "dag:toys_retrain", reason: str = "") -> None:
        asked = provenance.asked(
            self.ledger, self.use_case, run, events, {"reason": reason}, actor=actor, reason=reason, now=self.tick()
        )
        provenance.registered(
            self.ledger, self.registry, self.use_case, made, run, asked_in=asked, now=self.tick(),
            version={"version": "1", "run_id": "f00d"}, training_set={"rows": 900, "left_out": 2, "parts": {"fit": 600}},
        )  # fmt: skip

    def judge(self, made: str, outcome: Outcome) -> None:
        auc = {"value": 0.71 if outcome is Outcome.PASS else 0.55, "low": 0.54, "high": 0.72, "floor": 0.6}
        verdict = combine([Reason("gate.auc_floor", outcome, f"AUC {auc['value']}, floor 0.6", auc)])
        self.say("everloop", "gate_passed" if verdict.passed else "gate_failed", made, verdict.because(), verdict.to_json())

    def say(self, actor: str, action: str, subject: str, reason: str, evidence: dict | None = None) -> None:
        def decide(state: ReleaseState) -> Decision:
            return Decision(
                actor=actor, action=action, subject=subject, after=state, reason=reason, evidence=evidence or {}
            )  # fmt: skip

        decide_and_append(self.ledger, "toys", decide, self.tick())

    def release(self, made: str, actor: str, reason: str, *, forced: bool = False) -> None:
        release.record_approval(self.ledger, self.use_case, made, True, actor, self.tick(), reason="looked at the slices")
        release.release(
            self.ledger, self.registry, self.use_case, made, actor=actor, reason=reason, now=self.tick(), forced=forced
        )  # fmt: skip

    def roll(self, kind: Kind, text: str, outcome: Outcome = Outcome.PASS, **changes: object) -> None:
        def choose(state: ReleaseState) -> Action:
            numbers = {"errors": 3, "requests": 412, "low": 0.002, "high": 0.019}
            after = replace(state, since=self.now, **changes)
            return Action(kind, after, combine([Reason("rollout.error_rate", outcome, text, numbers)]))

        self.tick()
        act(self.ledger, "toys", None, choose, self.now)


@pytest.fixture
def told(toys: UseCase, registry: InMemoryRegistry, ids: dict[str, str]) -> InMemoryLedger:
    """`old` is asked for by hand and serves; `new` is refused and forced, promoted, and goes back; `newer` is refused."""
    loop, (old, new, newer) = Loop(toys, registry), (ids["old"], ids["new"], ids["newer"])
    idle = {"challenger": None, "rollout": None, "stage": Stage.IDLE, "weight": 0.0}
    loop.train("manual-1", old, [], "ann", "the first model")
    loop.judge(old, Outcome.PASS)
    loop.release(old, "ann", "the first model")
    loop.roll(Kind.PROMOTE, "20 rows scored in the real scorer", champion=old, **idle)
    loop.train("asset-2", new, loop.drift(2, old))
    loop.judge(new, Outcome.FAIL)
    loop.say("ben", "forced", new, "a drill", {"overruled": "gate_failed"})
    loop.release(new, "ben", "a drill", forced=True)
    loop.roll(Kind.ADVANCE, "errors alike", stage=Stage.CANARY, weight=0.1)
    loop.roll(Kind.PROMOTE, "errors alike", champion=new, previous=old, challenger=None, stage=Stage.WATCH, weight=0.0)
    loop.roll(Kind.ROLL_BACK, "errors rose", Outcome.FAIL, champion=old, previous=None, **idle)
    loop.train("asset-3", newer, loop.drift(4, old))
    loop.judge(newer, Outcome.FAIL)
    return loop.ledger


def rendered(ledger: InMemoryLedger, subject: str, ids: dict[str, str]) -> str:
    """The story with nicknames for ids, and without hashes, which are those of the code of the day."""
    text = "\n".join(lines(story(ledger, "toys", subject))) + "\n"
    text = re.sub(r"\b[0-9a-f]{64}\b", "<sha256>", text)
    for name, found in ids.items():
        text = text.replace(found, f"<{name}>").replace(found[:8], f"<{name}>")
    return text


@pytest.mark.parametrize("name", ["old", "new", "newer"])
def test_a_whole_story_reads_as_agreed(name: str, told: InMemoryLedger, ids: dict[str, str]):
    """A wanted change: delete the golden file, run again, and read the difference."""
    golden, found = GOLDEN / f"{name}.txt", rendered(told, ids[name], ids)
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found)
        pytest.fail(f"{golden.name} was missing and is written now: read it and run again")
    assert found == golden.read_text()


def test_a_reverted_release_tells_who_reverted_it(told: InMemoryLedger, toys: UseCase, registry: InMemoryRegistry, ids):
    at = datetime(2026, 3, 2, tzinfo=UTC)
    promoted = Decision(
        actor="ann", action="promoted", subject=ids["newer"], after=ReleaseState(champion=ids["newer"]), reason="-"
    )
    told.append("toys", promoted, expected=told.head("toys")[0], at=at)
    rollback.revert(told, registry, toys, actor="ben", reason="complaints", now=at)
    last = story(told, "toys", ids["newer"]).entries[-1]
    assert (last.action, last.reason, last.after.champion) == ("reverted", "ben: complaints", ids["old"])


def test_a_rollouts_story_begins_with_how_its_release_was_made(told: InMemoryLedger, ids: dict[str, str]):
    rollout = next(entry.after.rollout for entry in told.entries("toys", subject=ids["new"]) if entry.after.rollout)
    actions = [entry.action for entry in story(told, "toys", rollout).entries]
    assert actions == [
        "retrain_wanted", "registered", "gate_failed", "forced", "approved", "forced", "advanced", "promoted", "rolled_back",
    ]  # fmt: skip
