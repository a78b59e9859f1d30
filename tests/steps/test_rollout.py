"""A rollout, look by look: it goes on only on evidence, goes back at once on harm, and writes each step once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from everloop.decide.release.state import ReleaseState, Stage
from everloop.errors import SourceError
from everloop.interval import Interval
from everloop.ports import Decision, Measurement
from everloop.release import ViewPlan
from everloop.steps import rollout
from everloop.use_case import UseCase
from fakes.lake import MemoryLake
from fakes.ledger import InMemoryLedger
from fakes.measurements import InMemoryMeasurements
from fakes.registry import InMemoryRegistry
from fakes.scorer import InMemoryScorer
from fakes.traffic import InMemoryTraffic, prediction
from steps.conftest import toy_bundle

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
APRIL = datetime(2013, 4, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class UnreachableScorer:
    def check(self, use_case: str, release: str, rows: Any) -> Any:
        raise SourceError("the scoring service does not answer at :8000")


class World:
    """All ports of one use case, a clock, and users who ask for scores."""

    def __init__(self, use_case: UseCase, registry: InMemoryRegistry, scorer: Any) -> None:
        self.use_case, self.registry, self.scorer = use_case, registry, scorer
        self.ledger, self.traffic, self.lake = InMemoryLedger(), InMemoryTraffic(), MemoryLake()
        self.measurements = InMemoryMeasurements()
        self.now = NOW
        self._random = np.random.default_rng(7)
        self._asked = 0

    @property
    def state(self) -> ReleaseState:
        return self.ledger.head("toys")[1]

    @property
    def actions(self) -> list[str]:
        return [entry.action for entry in self.ledger.entries("toys")]

    def put(self, state: ReleaseState) -> None:
        seq, _ = self.ledger.head("toys")
        subject = state.challenger or state.champion or "toys"
        self.ledger.append(
            "toys", Decision(actor="ann", action="set", subject=subject, after=state, reason="so"), expected=seq, at=self.now
        )

    def look(self) -> dict[str, Any]:
        return rollout.step(
            self.ledger, self.traffic, self.registry, self.scorer, self.lake, self.measurements, self.use_case, now=self.now
        )

    def measured(self, release: str, verdict: str) -> None:
        """The monitor has replayed what `release` was served."""
        week = Interval(APRIL, APRIL + timedelta(days=7))
        detail = {"because": "weather__temp differs in 9"}
        found = Measurement(
            interval=week, release=release, kind="parity", subject="window", value=0.5, verdict=verdict, detail=detail
        )
        self.measurements.write("toys", [found])

    def wait(self, seconds: int = 61) -> "World":
        self.now += seconds * SECOND
        return self

    def publish_examples(self, count: int = 30) -> None:
        moments = [APRIL + i * timedelta(hours=1) for i in range(count)]
        rows = {"key": [f"k{i}" for i in range(count)], "colour": ["red"] * count, "size": [1.0] * count, "broke": [True] * count}
        times = pa.array(moments, pa.timestamp("us", "UTC"))
        self.lake.replace(
            "toys", pa.table(rows | {"made_at": times, "seen_at": times}), Interval(APRIL, APRIL + timedelta(days=7))
        )

    def users(
        self, count: int = 400, *, wrong: float = 0.0, errors: float = 0.0, labels: bool = True, flags: Sequence[str] = ()
    ) -> "World":
        """Users ask about twenty days in turn, both arms score; the release on trial is `wrong` on a share of them and fails on
        another, and its answers earn `flags`.
        """
        state, random = self.state, self._random
        new, old = (state.champion, state.previous) if state.stage is Stage.WATCH else (state.challenger, state.champion)
        for _ in range(count):
            self._asked += 1
            entity = f"user{self._asked}"
            truth = bool(random.random() < 0.5)
            right = 0.8 if truth else 0.2
            trial = 1 - right if random.random() < wrong else right
            ours = state.stage is Stage.WATCH or random.random() < state.weight
            fails = ours and random.random() < errors
            row = prediction(
                f"q{self._asked}",
                entity=entity,
                at=self.now + 5 * SECOND,
                as_of=APRIL + timedelta(days=self._asked % 20),
                flags=list(flags) if ours else [],
                arm="challenger" if ours and state.stage is not Stage.WATCH else "champion",
                rollout=state.rollout,
                release=new if ours else old,
                score=trial if ours else right,
                shadow_release=old if ours else new,
                shadow_score=right if ours else trial,
                error="cannot score" if fails else None,
            )
            self.traffic.log("toys", [row])
            if labels:
                self.traffic.record_outcomes("toys", [(row["key"], truth, APRIL)])
        return self


@pytest.fixture
def world(toys: UseCase, registry: InMemoryRegistry) -> World:
    made = World(toys, registry, InMemoryScorer())
    made.publish_examples()
    return made


def trial(ids: dict[str, str], stage: Stage, **changes: Any) -> ReleaseState:
    values = {"champion": ids["old"], "challenger": ids["new"], "rollout": "t1", "stage": stage, "since": NOW}
    return ReleaseState(**(values | changes))


def watch(ids: dict[str, str]) -> ReleaseState:
    return ReleaseState(champion=ids["new"], previous=ids["old"], rollout="t1", stage=Stage.WATCH, since=NOW)


def test_nothing_on_trial_is_nothing_to_do(world: World):
    result = world.look()
    assert (result["action"], result["stage"], result["seq"]) == ("wait", "idle", None)
    assert world.actions == []


def test_the_first_release_serves_once_the_scorer_has_shown_that_it_loads(world: World, ids: dict[str, str]):
    world.put(trial(ids, Stage.CHECK, champion=None))
    result = world.look()
    assert (result["action"], result["champion"], result["stage"], result["mirrored"]) == ("promoted", ids["new"], "idle", True)
    assert world.scorer.checked == [(ids["new"], rollout.CHECK_ROWS)]
    assert world.registry.aliases == {"champion": ids["new"]}


def test_the_load_check_sends_the_latest_examples_as_requests(world: World):
    rows = rollout.recent_requests(world.lake, world.use_case, ["colour", "size"], limit=2)
    assert rows == [
        {"key": "k29", "event_timestamp": "2013-04-02T05:00:00+00:00", "colour": "red", "size": 1.0},
        {"key": "k28", "event_timestamp": "2013-04-02T04:00:00+00:00", "colour": "red", "size": 1.0},
    ]


def test_a_release_that_the_scorer_cannot_load_goes_back_before_any_traffic(world: World, ids: dict[str, str]):
    world.scorer = InMemoryScorer(broken={ids["new"]: "no such column"})
    world.put(trial(ids, Stage.CHECK))
    result = world.look()
    assert (result["action"], result["stage"], result["champion"]) == ("rolled_back", "idle", ids["old"])
    assert "no such column" in result["reason"]


def test_a_release_whose_bytes_were_changed_goes_back(world: World, ids: dict[str, str]):
    world.put(trial(ids, Stage.CHECK, challenger="0123456789abcdef"))
    assert world.look()["action"] == "rolled_back"


def test_a_scorer_that_is_down_says_nothing_of_the_release(world: World, ids: dict[str, str]):
    world.scorer = UnreachableScorer()
    world.put(trial(ids, Stage.CHECK))
    result = world.look()
    assert (result["action"], result["stage"]) == ("wait", "check")
    assert "does not answer at :8000" in result["reason"]


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY, Stage.WATCH])
def test_no_traffic_never_passes(world: World, ids: dict[str, str], stage: Stage):
    world.put(watch(ids) if stage is Stage.WATCH else trial(ids, stage, weight=0.1))
    for _ in range(3):
        assert world.wait(86_400).look()["action"] == "wait"
    assert world.actions == ["set"]


def test_a_good_release_goes_all_the_way(world: World, ids: dict[str, str]):
    world.put(trial(ids, Stage.CHECK))
    told = [world.look()]
    for _ in range(5):
        world.users(1_200)
        told.append(world.wait().look())
    assert [step["action"] for step in told] == ["advanced", "advanced", "advanced", "promoted", "concluded", "wait"]
    assert [step["weight"] for step in told[:3]] == [0.0, 0.1, 0.5]
    assert (world.state.champion, world.state.stage) == (ids["new"], Stage.IDLE)
    assert world.ledger.verify("toys") is None
    assert world.registry.aliases == {"champion": ids["new"]}


def test_a_look_too_early_waits_and_writes_nothing(world: World, ids: dict[str, str]):
    world.put(trial(ids, Stage.SHADOW))
    world.users()
    result = world.wait(10).look()
    assert (result["action"], result["seq"]) == ("wait", None)
    assert world.actions == ["set"]


def test_each_step_rests_on_numbers_in_the_ledger(world: World, ids: dict[str, str]):
    world.put(trial(ids, Stage.SHADOW))
    world.users()
    world.wait().look()
    reasons = {r["check"]: r for r in world.ledger.entries("toys")[-1].evidence["reasons"]}
    assert reasons["rollout.decisions"]["numbers"]["pairs"] == 400
    cost = reasons["rollout.cost"]["numbers"]
    assert (cost["labels"], cost["entities"], cost["blocks"]) == (400, 400, 20)


def test_labels_are_judged_by_the_blocks_of_the_use_case(world: World, ids: dict[str, str]):
    weekly = replace(world.use_case.rollout, block=timedelta(days=7))
    world.use_case = replace(world.use_case, rollout=weekly)
    world.put(trial(ids, Stage.SHADOW))
    world.users()
    world.wait().look()
    reasons = {r["check"]: r for r in world.ledger.entries("toys")[-1].evidence["reasons"]}
    assert reasons["rollout.cost"]["numbers"]["blocks"] == 4


@pytest.mark.parametrize(("own", "action"), [(False, "advanced"), (True, "rolled_back")])
def test_features_that_both_releases_read_are_missing_for_both(world: World, own: bool, action: str):
    shelf = ViewPlan(name="shelf", table="online.shelf", join_keys={"shop": "string"}, features={}, ttl_seconds=None)
    price = replace(shelf, name="price", table="online.price")
    old = toy_bundle(APRIL, views=(shelf,))
    new = toy_bundle(APRIL + timedelta(days=7), views=(shelf, price) if own else (shelf,))
    world.registry = InMemoryRegistry(old, new)
    world.put(trial({"old": old.id, "new": new.id}, Stage.CANARY, weight=0.5))
    world.users(flags=["missing:shelf", "stale:price"])
    assert world.wait().look()["action"] == action


def test_errors_in_the_canary_send_all_traffic_back(world: World, ids: dict[str, str]):
    world.put(trial(ids, Stage.CANARY, step=1, weight=0.5))
    world.users(errors=0.5)
    result = world.wait(10).look()
    assert (result["action"], result["champion"], result["challenger"], result["weight"]) == (
        "rolled_back",
        ids["old"],
        None,
        0.0,
    )
    assert "errors in" in result["reason"]
    assert world.registry.aliases == {"champion": ids["old"]}
    assert world.ledger.entries("toys")[-1].subject == ids["new"]


def test_labels_that_ripen_in_the_watch_bring_the_previous_release_back(world: World, ids: dict[str, str]):
    world.put(watch(ids))
    world.users(1_500, wrong=0.3)
    result = world.wait().look()
    assert (result["action"], result["champion"]) == ("rolled_back", ids["old"])
    assert "cost" in result["reason"]


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY, Stage.WATCH])
def test_a_release_that_is_served_other_features_than_history_goes_back(world: World, ids: dict[str, str], stage: Stage):
    world.put(watch(ids) if stage is Stage.WATCH else trial(ids, stage, weight=0.1))
    world.users(1_200)
    world.measured(ids["new"], "fail")
    result = world.wait().look()
    assert (result["action"], result["champion"]) == ("rolled_back", ids["old"])
    assert "weather__temp differs in 9" in result["reason"]


def test_a_champion_whose_features_fail_holds_the_canary_until_the_challengers_are_sound(world: World, ids: dict[str, str]):
    world.measured(ids["old"], "fail")
    world.put(trial(ids, Stage.SHADOW))
    world.users()
    assert world.wait().look()["stage"] == "canary"
    world.users(1_200)
    held = world.wait().look()
    assert (held["action"], held["stage"]) == ("wait", "canary")
    assert "weather__temp differs in 9" in held["reason"]
    assert world.wait(3 * 86_400).look()["action"] == "paused"
    world.put(trial(ids, Stage.CANARY, weight=0.1, since=world.now))
    world.users(1_200)
    world.measured(ids["new"], "pass")
    assert world.wait().look()["action"] == "advanced"


def test_two_runs_that_look_at_once_write_one_step(world: World, ids: dict[str, str]):
    world.put(trial(ids, Stage.SHADOW))
    world.users()
    world.wait()
    assert [world.look()["action"], world.look()["action"]] == ["advanced", "wait"]


def test_a_paused_rollout_is_left_to_people(world: World, ids: dict[str, str]):
    world.put(trial(ids, Stage.PAUSED, resume=Stage.CANARY))
    result = world.wait(10**6).look()
    assert result["action"] == "wait"
    assert "a person has to" in result["reason"]
