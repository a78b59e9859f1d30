"""Two deciders at once, through the ledger's compare-and-swap: every row follows from the state that it was decided on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.rollout import Action, Kind, abort, advance, begin, force, pause, resume, revert, skip
from everloop.decide.release.state import ReleaseState, Stage
from everloop.ports import Decision, Entry
from everloop.steps.deciding import Acted, act
from fakes.batches import batch, evidence
from fakes.ledger import InMemoryLedger

T0 = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = RolloutPolicy(
    steps=(0.25, 1.0), minimum_time=MINUTE, minimum_requests=40, shadow_requests=40, watch_labels=60, minimum_labels=20,
    watch_time=MINUTE, patience=timedelta(hours=1),
)  # fmt: skip
BY = {"actor": "ann", "reason": "so"}
Choose = Callable[[ReleaseState, datetime], Action]


def look(count: int, failing: int) -> Choose:
    """The rollout's own look, after so many requests of which so many of the challenger's answers failed."""

    def choose(state: ReleaseState, now: datetime) -> Action:
        rows = batch(state, now - MINUTE, count, failing=failing) if state.rollout and state.stage is not Stage.PAUSED else []
        return advance(state, evidence(rows, state), POLICY, now)

    return choose


def begun(release: str, number: int, supersede: bool) -> Choose:
    return lambda state, now: begin(state, release, f"t{number}", now, reason="gate passed", supersede=supersede)


def forced(release: str, number: int, skip_shadow: bool) -> Choose:
    return lambda state, now: force(
        state, release, f"f{number}", POLICY, now, skip_shadow=skip_shadow, supersede=True, **BY
    )  # fmt: skip


DECIDERS: st.SearchStrategy[Choose] = st.one_of(
    st.builds(look, st.sampled_from([0, 10, 200]), st.sampled_from([0, 0, 200])),
    st.builds(begun, st.sampled_from("abc"), st.integers(0, 10**6), st.booleans()),
    st.builds(forced, st.sampled_from("abc"), st.integers(0, 10**6), st.booleans()),
    st.just(lambda state, now: pause(state, now, **BY)),
    st.just(lambda state, now: resume(state, POLICY, now, **BY)),
    st.just(lambda state, now: skip(state, POLICY, now, **BY)),
    st.just(lambda state, now: abort(state, now, **BY)),
    st.sampled_from(["old", "a"]).map(lambda to: lambda state, now: revert(state, to, now, **BY)),
)


class RacedLedger(InMemoryLedger):
    """Between the reading and the writing of one decider the other one may decide: `rival` is run once, then."""

    def __init__(self) -> None:
        super().__init__()
        self.rival: Callable[[], object] | None = None

    def append(self, use_case: str, decision: Decision, *, expected: int, at: datetime) -> Entry:
        rival, self.rival = self.rival, None
        if rival:
            rival()
        return super().append(use_case, decision, expected=expected, at=at)


class Races(RuleBasedStateMachine):
    """Deciders on one ledger, alone and against each other."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger, self.now = RacedLedger(), T0
        first = Decision(actor="ann", action="promoted", subject="old", after=ReleaseState(champion="old", since=T0), reason="-")
        self.ledger.append("toys", first, expected=0, at=T0)

    def decide(self, choose: Choose) -> Acted:
        return act(self.ledger, "toys", None, lambda state: choose(state, self.now), self.now)

    def follows(self, acted: Acted, choose: Choose) -> None:
        """The row that was written says what its decider wants on the state that was then the latest, and no other."""
        if acted.entry is None:
            assert acted.action.kind in (Kind.WAIT, Kind.REFUSE)
            return
        wanted = choose(acted.entry.before, acted.entry.at)
        assert (acted.entry.action, acted.entry.after) == (wanted.kind.value, wanted.after)

    @rule(choose=DECIDERS)
    def one_decides(self, choose: Choose) -> None:
        self.now += 5 * MINUTE
        self.follows(self.decide(choose), choose)

    @rule(first=DECIDERS, second=DECIDERS)
    def two_decide_at_once(self, first: Choose, second: Choose) -> None:
        self.now += 5 * MINUTE
        rivals: list[Acted] = []
        self.ledger.rival = lambda: rivals.append(self.decide(second))
        acted = self.decide(first)
        self.ledger.rival = None
        self.follows(acted, first)
        for rival in rivals:
            self.follows(rival, second)

    @rule(choose=DECIDERS)
    def the_same_look_is_taken_twice_at_once(self, choose: Choose) -> None:
        """A task that is retried while its first attempt still runs must not decide twice."""
        before = self.ledger.head("toys")[0]
        self.two_decide_at_once(choose, choose)
        rows = self.ledger.entries("toys", after=before)
        assert len({(row.before, row.after, row.action) for row in rows}) == len(rows)

    @invariant()
    def the_chain_is_whole_and_every_row_begins_where_the_one_before_ended(self) -> None:
        rows = self.ledger.entries("toys")
        assert self.ledger.verify("toys") is None
        assert all(later.before == earlier.after for earlier, later in pairwise(rows))

    @invariant()
    def a_champion_serves_and_only_a_canary_takes_traffic_from_it(self) -> None:
        for row in self.ledger.entries("toys"):
            assert row.after.champion is not None
            assert 0 <= row.after.weight <= 1
            assert (row.after.weight > 0) is (row.after.stage is Stage.CANARY)

    @invariant()
    def whoever_was_promoted_had_been_on_trial(self) -> None:
        rows = [row for action in (Kind.PROMOTE, Kind.SKIP) for row in self.ledger.entries("toys", after=1, action=action.value)]
        for row in (row for row in rows if row.after.champion != row.before.champion):
            assert row.before.stage is Stage.CANARY
            assert (row.after.champion, row.after.previous) == (row.before.challenger, row.before.champion)


TestRaces = Races.TestCase
TestRaces.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
