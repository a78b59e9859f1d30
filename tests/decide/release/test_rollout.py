from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.decide.fairness import GroupCounts
from everloop.decide.parity_verdict import Standing, Standings
from everloop.decide.policy import FairnessPolicy, RolloutPolicy
from everloop.decide.release.evidence import LATENCY_EDGES, Arm, Assigned, DecisionPairs, Evidence, LoadCheck, PairedCosts
from everloop.decide.release.rollout import UNDER_TRIAL, Kind, abort, advance, begin, force, pause, resume, revert, skip
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.statistics.clusters import Clusters
from everloop.decide.verdict import Outcome

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LATER = T0 + timedelta(hours=1)
POLICY = RolloutPolicy(
    steps=(0.1, 0.5), minimum_time=timedelta(minutes=1), minimum_requests=100, shadow_requests=200, watch_labels=500,
    watch_time=timedelta(minutes=5), patience=timedelta(days=2),
)  # fmt: skip
IDLE = ReleaseState(champion="old", previous="older", since=T0)
CHECK = ReleaseState(champion="old", previous="older", challenger="new", rollout="r", stage=Stage.CHECK, since=T0)
SHADOW = replace(CHECK, stage=Stage.SHADOW)
CANARY = replace(CHECK, stage=Stage.CANARY, weight=0.1)
WATCH = ReleaseState(champion="new", previous="old", rollout="r", stage=Stage.WATCH, since=T0)
PAUSED = replace(CHECK, stage=Stage.PAUSED, resume=Stage.CANARY)


def latency(milliseconds, count):
    buckets = [0] * (len(LATENCY_EDGES) + 1)
    buckets[int(np.searchsorted(LATENCY_EDGES, milliseconds))] = count
    return tuple(buckets)


def evidence(requests=400, errors=0, ms=5.0, differ=0.05, cost=0.5, labels=600, pairs=300):
    return Evidence(
        check=LoadCheck.of([0.2, 0.3]),
        traffic=requests * 10,
        candidate=Arm(requests=requests, errors=errors, latency=latency(ms, requests)),
        baseline=Arm(requests=requests * 9, latency=latency(5.0, requests * 9)),
        pairs=DecisionPairs(
            different=Clusters.independent(pairs, round(differ * pairs)), unscored=Clusters.independent(pairs, 0)
        ),
        costs=PairedCosts.of(*(np.arange(labels) < round(share * labels) for share in (cost, 0.5)), largest=3),
        assigned=Assigned(candidate=requests // 2, baseline=requests // 2 * 9),
    )


GOOD = evidence()


def test_a_good_release_goes_from_check_to_idle_by_every_stage():
    state, kinds, weights = begin(IDLE, "new", "r", T0, reason="gate passed").after, [], []
    for hour in range(1, 10):
        action = advance(state, replace(GOOD, assigned=Assigned()), POLICY, T0 + timedelta(hours=hour))
        kinds.append(action.kind)
        state = action.after
        weights.append(state.weight)
        if state.stage is Stage.IDLE:
            break
    assert kinds == [Kind.ADVANCE, Kind.ADVANCE, Kind.ADVANCE, Kind.PROMOTE, Kind.CONCLUDE]
    assert weights == [0, 0.1, 0.5, 0, 0]
    assert state == ReleaseState(champion="new", previous="old", since=T0 + timedelta(hours=5))


def test_the_first_release_is_promoted_by_the_check_alone():
    state = begin(ReleaseState(), "new", "r", T0, reason="first").after
    action = advance(state, GOOD, POLICY, LATER)
    assert action.kind is Kind.PROMOTE
    assert action.after == ReleaseState(champion="new", since=LATER)


def test_a_person_may_skip_any_stage_but_the_check():
    state, stages = replace(SHADOW, since=T0), []
    for _ in range(4):
        action = skip(state, POLICY, LATER, actor="ada", reason="it is Christmas")
        assert (action.kind, action.actor, action.reason) == (Kind.SKIP, "ada", "ada: it is Christmas")
        state = action.after
        stages.append((state.stage, state.weight))
    assert stages == [(Stage.CANARY, 0.1), (Stage.CANARY, 0.5), (Stage.WATCH, 0), (Stage.IDLE, 0)]
    assert (state.champion, state.previous) == ("new", "old")


@pytest.mark.parametrize(("state", "kind"), [(CHECK, Kind.REFUSE), (PAUSED, Kind.REFUSE), (IDLE, Kind.WAIT)])
def test_what_cannot_be_skipped_stays_as_it_is(state, kind):
    action = skip(state, POLICY, LATER, actor="ada", reason="now")
    assert (action.kind, action.after) == (kind, state)


@pytest.mark.parametrize("state", [SHADOW, CANARY, WATCH])
@pytest.mark.parametrize("after", [timedelta(hours=1), timedelta(days=400)])
def test_without_traffic_a_stage_waits_for_ever(state, after):
    action = advance(state, Evidence(), POLICY, T0 + after)
    assert (action.kind, action.after) == (Kind.WAIT, state)
    assert "no traffic" in action.reason


@pytest.mark.parametrize("state", [CHECK, SHADOW, CANARY, WATCH])
def test_no_evidence_never_passes_whatever_the_policy_wants(state):
    undemanding = replace(
        POLICY, minimum_requests=0, shadow_requests=0, watch_labels=0, minimum_labels=0, minimum_time=timedelta(0)
    )
    assert advance(state, Evidence(), undemanding, LATER).kind is Kind.WAIT


def test_a_release_that_does_not_load_is_withdrawn_at_once():
    action = advance(CHECK, Evidence(check=LoadCheck(refused="model.ubj was changed")), POLICY, T0)
    assert action.kind is Kind.ROLL_BACK
    assert "model.ubj was changed" in action.reason


def served(candidate=None, baseline=None):
    """Good evidence, but for how the features served to either release compared with history."""
    both = {
        name: outcome and Standing(release=name, interval="week 9", outcome=outcome, because="weather__temp differs in 9")
        for name, outcome in (("candidate", candidate), ("baseline", baseline))
    }
    return replace(GOOD, parity=Standings(**both))


@pytest.mark.parametrize("state", [SHADOW, CANARY, WATCH])
@pytest.mark.parametrize("baseline", [None, *Outcome])
def test_a_release_that_is_served_other_features_than_history_goes_back(state, baseline):
    action = advance(state, served(Outcome.FAIL, baseline), POLICY, LATER)
    assert (action.kind, action.after.champion) == (Kind.ROLL_BACK, "old")
    assert "weather__temp differs in 9" in action.reason


@pytest.mark.parametrize(("state", "kind"), [(SHADOW, Kind.ADVANCE), (CANARY, Kind.WAIT), (WATCH, Kind.WAIT)])
def test_a_failing_baseline_holds_what_has_traffic_of_its_own_until_that_is_shown_to_be_sound(state, kind):
    assert advance(state, served(None, Outcome.FAIL), POLICY, LATER).kind is kind
    assert advance(state, served(Outcome.INCONCLUSIVE, Outcome.FAIL), POLICY, LATER).kind is kind
    assert advance(state, served(Outcome.PASS, Outcome.FAIL), POLICY, LATER).kind in (Kind.ADVANCE, Kind.CONCLUDE)


def test_an_unreachable_scorer_is_waited_for_then_a_person_is_asked():
    unreachable = Evidence(check=LoadCheck(unreachable="connection refused"))
    assert advance(CHECK, unreachable, POLICY, LATER).kind is Kind.WAIT
    assert advance(CHECK, unreachable, POLICY, T0 + timedelta(days=3)).after.stage is Stage.PAUSED


def test_the_shadow_does_not_judge_errors_that_users_would_see():
    broken = replace(GOOD, candidate=Arm(requests=400, errors=400))
    assert advance(SHADOW, broken, POLICY, LATER).kind is Kind.ADVANCE
    assert advance(CANARY, broken, POLICY, LATER).kind is Kind.ROLL_BACK


@pytest.mark.parametrize(
    "harm",
    [{"errors": 200}, {"ms": 500.0}, {"differ": 0.8}, {"cost": 0.9}],
    ids=["errors", "latency", "other decisions", "labelled cost"],
)
def test_shown_harm_in_the_canary_gives_all_traffic_back_at_once(harm):
    action = advance(CANARY, evidence(**harm), POLICY, T0)
    assert action.kind is Kind.ROLL_BACK
    assert action.after == ReleaseState(champion="old", previous="older", since=T0)


def test_a_split_that_the_weight_does_not_explain_rolls_back():
    assert (
        "sample ratio mismatch"
        in advance(CANARY, replace(GOOD, assigned=Assigned(candidate=300, baseline=700)), POLICY, T0).reason
    )


def test_shown_harm_in_the_watch_reverts_to_the_previous_release():
    action = advance(WATCH, evidence(cost=0.9), POLICY, T0)
    assert (action.kind, action.after) == (Kind.ROLL_BACK, ReleaseState(champion="old", since=T0))


def test_the_watch_waits_for_labels_without_impatience():
    action = advance(WATCH, evidence(labels=499), POLICY, T0 + timedelta(days=90))
    assert action.kind is Kind.WAIT
    assert "499 same labelled rows" in action.reason


def test_a_stage_lasts_its_minimum_time():
    assert advance(CANARY, GOOD, POLICY, T0 + timedelta(seconds=59)).kind is Kind.WAIT
    assert advance(CANARY, GOOD, POLICY, T0 + timedelta(seconds=60)).kind is Kind.ADVANCE


def test_a_stage_without_verdict_past_patience_pauses_and_keeps_the_challenger_from_traffic():
    unsure = evidence(requests=20)
    assert advance(CANARY, unsure, POLICY, LATER).kind is Kind.WAIT
    action = advance(CANARY, unsure, POLICY, T0 + timedelta(days=3))
    assert action.kind is Kind.PAUSE
    assert (action.after.stage, action.after.resume, action.after.weight) == (Stage.PAUSED, Stage.CANARY, 0)


@pytest.mark.parametrize("state", [IDLE, PAUSED])
def test_what_has_ended_or_is_paused_stays_so_whatever_the_evidence(state):
    assert advance(state, evidence(errors=400), POLICY, LATER).after == state


def test_begin_refuses_while_another_release_is_under_way_unless_it_supersedes():
    refused = begin(CANARY, "newer", "r2", LATER, reason="gate passed")
    assert (refused.kind, refused.after) == (Kind.REFUSE, CANARY)
    assert "new is under way" in refused.reason
    superseding = begin(WATCH, "newer", "r2", LATER, reason="gate passed", supersede=True).after
    assert (superseding.champion, superseding.challenger, superseding.stage) == ("new", "newer", Stage.CHECK)


@pytest.mark.parametrize("release", ["old", "new"])
def test_begin_again_changes_nothing(release):
    assert begin(CANARY, release, "r2", LATER, reason="again").kind is Kind.WAIT


def test_force_may_skip_the_shadow_but_not_without_a_champion():
    skipped = force(IDLE, "new", "r", POLICY, T0, actor="ann", reason="drill", skip_shadow=True)
    assert (skipped.kind, skipped.after.stage, skipped.after.weight) == (Kind.FORCE, Stage.CANARY, 0.1)
    assert skipped.reason == "ann: drill"
    first = force(ReleaseState(), "new", "r", POLICY, T0, actor="ann", reason="first", skip_shadow=True)
    assert first.after.stage is Stage.CHECK


def test_pause_and_resume_come_back_to_the_same_step():
    second = replace(CANARY, step=1, weight=0.5)
    paused = pause(second, LATER, actor="ann", reason="incident").after
    assert paused.weight == 0
    resumed = resume(paused, POLICY, LATER + timedelta(hours=1), actor="ann", reason="over").after
    assert resumed == replace(second, since=LATER + timedelta(hours=1))


def test_a_watch_cannot_be_paused():
    assert pause(WATCH, LATER, actor="ann", reason="?").kind is Kind.REFUSE


def test_abort_and_revert_end_whatever_is_under_way():
    assert abort(PAUSED, LATER, actor="ann", reason="no").after == ReleaseState(champion="old", previous="older", since=LATER)
    assert abort(WATCH, LATER, actor="ann", reason="no").after.champion == "old"
    assert abort(IDLE, LATER, actor="ann", reason="no").kind is Kind.WAIT
    assert revert(CANARY, "older", LATER, actor="ann", reason="bad").after == ReleaseState(champion="older", since=LATER)
    assert revert(IDLE, "old", LATER, actor="ann", reason="bad").kind is Kind.WAIT


counts = st.integers(0, 1500)
share = st.floats(0, 1)


@st.composite
def some_evidence(draw):
    requests, labels, pairs = draw(counts), draw(counts), draw(counts)
    checks = [None, LoadCheck(), LoadCheck.of([0.5]), LoadCheck.of([None]), LoadCheck(refused="no"), LoadCheck(unreachable="no")]
    made = evidence(
        requests,
        int(draw(share) ** 4 * requests),
        draw(st.floats(0.2, 900)),
        draw(share),
        draw(share),
        labels,
        pairs,
    )
    return replace(made, check=draw(st.sampled_from(checks)), assigned=Assigned(candidate=draw(counts), baseline=draw(counts)))


def legal(state):
    assert 0 <= state.weight <= 1
    on_trial = state.stage in {Stage.CHECK, Stage.SHADOW, Stage.CANARY, Stage.PAUSED}
    assert on_trial == (state.challenger is not None)
    assert (state.rollout is not None) == (state.stage is not Stage.IDLE)
    assert state.weight == 0 or state.stage is Stage.CANARY
    assert (state.resume is not None) == (state.stage is Stage.PAUSED)
    assert state.champion is not None or state.stage in {Stage.IDLE, Stage.CHECK, Stage.PAUSED}


@settings(max_examples=120, deadline=None)
@given(st.lists(some_evidence(), min_size=1, max_size=8), st.booleans())
def test_any_evidence_leads_to_a_legal_state_by_the_same_way_twice(run, first):
    state, now = begin(ReleaseState() if first else IDLE, "new", "r", T0, reason="gate passed").after, T0
    for seen in run:
        now += timedelta(hours=20)
        action = advance(state, seen, POLICY, now)
        assert action == advance(state, seen, POLICY, now)
        legal(action.after)
        if state.stage not in UNDER_TRIAL:
            assert action.after == state
        if action.kind in {Kind.ADVANCE, Kind.PROMOTE, Kind.CONCLUDE}:
            assert action.verdict.outcome is Outcome.PASS
        state = action.after


BETTER_FIRST = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([CANARY, WATCH]),
    st.integers(0, 800),
    st.integers(0, 50),
    st.floats(0.2, 200),
    st.floats(0.3, 0.7),
    st.sampled_from(["errors", "ms", "cost"]),
    st.floats(1.0, 8.0),
)
def test_more_harm_never_improves_the_verdict(state, requests, errors, ms, cost, kind, factor):
    base = {"requests": requests, "errors": min(errors, requests), "ms": ms, "cost": cost}
    worse = base | {kind: min(requests, int(base[kind] * factor) + 1) if kind == "errors" else base[kind] * factor}
    outcomes = [advance(state, evidence(**values), POLICY, LATER).verdict.outcome for values in (base, worse)]
    assert BETTER_FIRST.index(outcomes[0]) <= BETTER_FIRST.index(outcomes[1])


def grouped(selected):
    rows = 4_000
    return {"sex": {"f": GroupCounts(rows=rows, selected=int(selected * rows)), "m": GroupCounts(rows=rows, selected=1_200)}}


def test_a_release_that_selects_one_group_far_less_often_is_rolled_back():
    rule = FairnessPolicy.four_fifths("sex")
    action = advance(CANARY, replace(GOOD, groups=grouped(0.15)), POLICY, LATER, rule)
    assert action.kind is Kind.ROLL_BACK
    assert "sex" in action.reason
    assert advance(CANARY, replace(GOOD, groups=grouped(0.29)), POLICY, LATER, rule).kind is Kind.ADVANCE
    assert advance(CANARY, replace(GOOD, groups=grouped(0.15)), POLICY, LATER).kind is Kind.ADVANCE


def test_groups_with_few_rows_hold_up_nothing():
    few = {"sex": {"f": GroupCounts(rows=9, selected=0), "m": GroupCounts(rows=90, selected=60)}}
    assert advance(CANARY, replace(GOOD, groups=few), POLICY, LATER, FairnessPolicy.four_fifths("sex")).kind is Kind.ADVANCE


def test_an_equal_release_is_rarely_rolled_back_however_often_one_looks():
    """A/A: both arms alike (1% errors, same latency, both models equally costly), 20 looks at a canary; alpha is 5% a rollout."""
    rng, state, runs, rolled_back = np.random.default_rng(11), replace(CANARY, weight=0.5), 60, 0
    for _ in range(runs):
        errors, cost = rng.random((2, 3000)) < 0.01, rng.choice([0.0, 1.0, 3.0], p=[0.7, 0.2, 0.1], size=(2, 3000))
        slow = np.searchsorted(LATENCY_EDGES, rng.lognormal(2.5, 0.5, (2, 3000)))
        for n in range(150, 3001, 150):
            arms = [
                Arm(requests=n, errors=int(e[:n].sum()), latency=tuple(np.bincount(s[:n], minlength=257).tolist()))
                for e, s in zip(errors, slow, strict=True)
            ]
            seen = Evidence(traffic=2 * n, candidate=arms[0], baseline=arms[1], costs=PairedCosts.of(cost[0][:n], cost[1][:n]))
            if advance(state, seen, POLICY, T0).kind is Kind.ROLL_BACK:
                rolled_back += 1
                break
    assert rolled_back / runs <= POLICY.alpha


def test_a_harmful_release_is_rolled_back_in_every_run():
    rng, state = np.random.default_rng(12), replace(CANARY, weight=0.5)
    for _ in range(20):
        errors = [int(e) for e in (rng.random((2, 1500)) < [[0.08], [0.01]]).sum(axis=1)]
        seen = Evidence(
            traffic=3000, candidate=Arm(requests=1500, errors=errors[0]), baseline=Arm(requests=1500, errors=errors[1])
        )
        assert advance(state, seen, POLICY, T0).kind is Kind.ROLL_BACK
