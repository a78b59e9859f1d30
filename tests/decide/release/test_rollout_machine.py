"""Random rollouts, step by step: what holds in every state that any order of looks and people's words can lead to."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.evidence import Evidence, LoadCheck
from everloop.decide.release.rollout import UNDER_TRIAL, Action, Kind, abort, advance, begin, force, pause, resume, revert, skip
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.verdict import Outcome
from fakes.batches import Row, batch, evidence

T0 = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = RolloutPolicy(
    steps=(0.25, 1.0), minimum_time=MINUTE, minimum_requests=40, shadow_requests=40, watch_labels=60, minimum_labels=20,
    watch_time=MINUTE, patience=timedelta(hours=1),
)  # fmt: skip
FORWARD = frozenset({Kind.ADVANCE, Kind.PROMOTE, Kind.CONCLUDE})
ON_TRIAL = frozenset({Stage.CHECK, Stage.SHADOW, Stage.CANARY, Stage.PAUSED})
BY = {"actor": "ann", "reason": "so"}
RELEASES = st.sampled_from(["a", "b", "c"])
FIRST = ReleaseState(champion="old", since=T0)


class Rollouts(RuleBasedStateMachine):
    """One use case's releases under everything that can happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.now, self.number = FIRST, T0, 0
        self.rows: list[Row] = []
        self.champions = {"old"}

    def take(self, action: Action) -> None:
        """An action is taken; what must hold of any."""
        if action.kind in (Kind.WAIT, Kind.REFUSE):
            assert action.after == self.state
        if action.after.champion != self.state.champion:
            assert action.kind in (Kind.PROMOTE, Kind.SKIP, Kind.ROLL_BACK, Kind.REVERT)
        if action.kind is Kind.PROMOTE:
            assert (action.after.champion, action.after.previous) == (self.state.challenger, self.state.champion)
        if action.after.rollout != self.state.rollout:
            self.rows = []
        assert action.reason
        self.state = action.after
        self.champions.add(str(self.state.champion))

    @rule(minutes=st.sampled_from([0, 1, 10, 90]))
    def wait(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @rule(count=st.integers(1, 120), failing=st.sampled_from([0, 0, 0, 120]), missing=st.sampled_from([0, 0, 0, 120]))
    @precondition(lambda self: self.state.stage in UNDER_TRIAL - {Stage.CHECK})
    def users_ask(self, count: int, failing: int, missing: int) -> None:
        self.rows += batch(self.state, self.now, count, first=len(self.rows), failing=failing, missing=missing)

    @rule(order=st.randoms())
    def all_goes_well(self, order: random.Random) -> None:
        """Without this rule few runs would come as far as the watch."""
        self.now += 10 * MINUTE
        if self.state.stage in UNDER_TRIAL - {Stage.CHECK}:
            self.rows += batch(self.state, self.now - MINUTE, 120, first=len(self.rows))
        self.look(order)

    @rule(order=st.randoms())
    def look(self, order: random.Random) -> None:
        seen = evidence(self.rows, self.state)
        action = advance(self.state, seen, POLICY, self.now)
        shuffled = list(self.rows)
        order.shuffle(shuffled)
        again = advance(self.state, evidence(shuffled, self.state), POLICY, self.now)
        assert (again.kind, again.after) == (action.kind, action.after)
        assert advance(self.state, seen, POLICY, self.now) == action
        if self.state.stage not in UNDER_TRIAL:
            assert action.kind is Kind.WAIT
        if action.kind in FORWARD:
            assert action.verdict.passed
            assert self.state.stage is Stage.CHECK or len(self.rows) >= POLICY.minimum_requests
        self.take(action)

    @rule()
    def look_without_evidence(self) -> None:
        action = advance(self.state, Evidence(), POLICY, self.now)
        assert (action.kind, action.after) == (Kind.WAIT, self.state)

    @rule(broken=st.booleans())
    @precondition(lambda self: self.state.stage is Stage.CHECK)
    def the_scorer_refuses_or_is_away(self, broken: bool) -> None:
        check = LoadCheck(refused="changed bytes") if broken else LoadCheck(unreachable="nobody answers")
        action = advance(self.state, Evidence(check=check), POLICY, self.now)
        assert action.kind not in FORWARD
        assert not broken or action.kind is Kind.ROLL_BACK
        self.take(action)

    @rule(release=RELEASES, supersede=st.booleans())
    def begin(self, release: str, supersede: bool) -> None:
        self.number += 1
        action = begin(self.state, release, f"t{self.number}", self.now, reason="gate passed", supersede=supersede)
        assert action.after == self.state or action.after.stage is Stage.CHECK
        self.take(action)

    @rule(release=RELEASES, skip_shadow=st.booleans(), supersede=st.booleans())
    def force(self, release: str, skip_shadow: bool, supersede: bool) -> None:
        self.number += 1
        options = {"skip_shadow": skip_shadow, "supersede": supersede}
        self.take(force(self.state, release, f"t{self.number}", POLICY, self.now, **BY, **options))

    @rule()
    def pause(self) -> None:
        action = pause(self.state, self.now, **BY)
        self.take(action)
        assert self.state.weight == 0 or action.kind in (Kind.WAIT, Kind.REFUSE)

    @rule()
    def resume(self) -> None:
        self.take(resume(self.state, POLICY, self.now, **BY))

    @rule()
    def skip(self) -> None:
        was = self.state
        action = skip(self.state, POLICY, self.now, **BY)
        self.take(action)
        if was.stage in (Stage.IDLE, Stage.CHECK, Stage.PAUSED):
            assert action.kind in (Kind.WAIT, Kind.REFUSE)
        elif was.stage is Stage.WATCH:
            assert (self.state.stage, self.state.champion) == (Stage.IDLE, was.champion)

    @rule()
    def abort(self) -> None:
        was = self.state
        self.take(abort(self.state, self.now, **BY))
        assert self.state.stage is Stage.IDLE
        assert self.state.champion == (was.previous if was.stage is Stage.WATCH and was.previous else was.champion)

    @rule(data=st.data())
    def revert(self, data: st.DataObject) -> None:
        self.take(revert(self.state, data.draw(st.sampled_from(sorted(self.champions))), self.now, **BY))
        assert self.state.stage is Stage.IDLE

    @invariant()
    def somebody_serves(self) -> None:
        assert self.state.champion in self.champions

    @invariant()
    def only_a_canary_has_traffic(self) -> None:
        assert 0 <= self.state.weight <= 1
        assert (self.state.weight > 0) is (self.state.stage is Stage.CANARY)

    @invariant()
    def a_challenger_and_a_rollout_are_named_while_there_is_one_and_never_else(self) -> None:
        assert (self.state.challenger is not None) is (self.state.stage in ON_TRIAL)
        assert (self.state.rollout is not None) is (self.state.stage is not Stage.IDLE)
        assert (self.state.resume is not None) is (self.state.stage is Stage.PAUSED)
        assert self.state.challenger != self.state.champion

    @invariant()
    def steps_are_those_of_the_policy_and_nothing_began_in_the_future(self) -> None:
        assert 0 <= self.state.step < len(POLICY.steps)
        assert self.state.since is not None
        assert self.state.since <= self.now


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)

STAGES = st.sampled_from(
    [
        ReleaseState(champion="old", challenger="new", rollout="r", stage=Stage.SHADOW, since=T0),
        ReleaseState(champion="old", challenger="new", rollout="r", stage=Stage.CANARY, weight=0.25, since=T0),
        ReleaseState(champion="old", challenger="new", rollout="r", stage=Stage.CANARY, weight=1.0, step=1, since=T0),
        ReleaseState(champion="new", previous="old", rollout="r", stage=Stage.WATCH, since=T0),
    ]
)
RANK = {Kind.ROLL_BACK: 0, Kind.PAUSE: 1, Kind.WAIT: 1, Kind.ADVANCE: 2, Kind.PROMOTE: 2, Kind.CONCLUDE: 2}
SEVERITY = (Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.FAIL)


SHADOWED = ReleaseState(champion="old", challenger="new", rollout="r", stage=Stage.SHADOW, since=T0 - 10 * MINUTE)
BEFORE = batch(SHADOWED, T0 - 5 * MINUTE, 300, first=1_000)
BEFORE[7] = {**BEFORE[7], "error": "cannot score"}
"""What the other release answered before the stage began, with an error: all that there is where it does not answer beside."""


def judged(state: ReleaseState, count: int, minutes: int = 10, **harm: float) -> Action:
    before = [] if state.stage is Stage.SHADOW else BEFORE
    rows = before + batch(state, T0 + 5 * timedelta(seconds=1), count, **harm)
    return advance(state, evidence(rows, state), POLICY, T0 + minutes * MINUTE)


@settings(deadline=None, max_examples=80)
@given(STAGES, st.integers(1, 400), st.sampled_from(["failing", "missing"]), st.integers(0, 200), st.integers(0, 200))
def test_more_harm_never_improves_a_verdict(state: ReleaseState, count: int, harm: str, some: int, more: int):
    better, worse = judged(state, count, **{harm: some}), judged(state, count, **{harm: some + more})
    assert RANK[worse.kind] <= RANK[better.kind]
    assert SEVERITY.index(worse.verdict.outcome) >= SEVERITY.index(better.verdict.outcome)


@settings(deadline=None, max_examples=40)
@given(STAGES, st.integers(1, 400), st.floats(1, 60_000), st.floats(1, 100))
def test_a_slower_release_is_never_judged_better(state: ReleaseState, count: int, milliseconds: float, factor: float):
    better, worse = judged(state, count, slow_ms=milliseconds), judged(state, count, slow_ms=milliseconds * factor)
    assert RANK[worse.kind] <= RANK[better.kind]


@settings(deadline=None, max_examples=40)
@given(STAGES, st.integers(0, 400), st.integers(0, 59))
def test_nothing_goes_on_before_its_time_whatever_the_evidence(state: ReleaseState, count: int, seconds: int):
    rows = batch(state, T0, count)
    policy = replace(POLICY, minimum_time=MINUTE, watch_time=MINUTE)
    assert advance(state, evidence(rows, state), policy, T0 + timedelta(seconds=seconds)).kind not in FORWARD


@settings(deadline=None, max_examples=40)
@given(STAGES, st.integers(0, 39))
def test_fewer_rows_than_the_policy_wants_never_pass(state: ReleaseState, count: int):
    assert judged(state, count).kind not in FORWARD


def test_enough_good_traffic_takes_every_stage_on():
    """The other properties would hold of a machine that never moves."""
    for state, kind in zip(STAGES.elements, (Kind.ADVANCE, Kind.ADVANCE, Kind.PROMOTE, Kind.CONCLUDE), strict=True):
        assert judged(state, 400).kind is kind
        assert judged(state, 400, failing=400).kind is (Kind.ADVANCE if state.stage is Stage.SHADOW else Kind.ROLL_BACK)
