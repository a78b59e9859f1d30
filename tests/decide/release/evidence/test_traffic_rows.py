"""Which rows count for what: the stage's beginning, who answered, thresholds, ties."""

import time
import warnings
from dataclasses import replace
from datetime import timedelta, timezone

import numpy as np
import pytest

from decide.release.evidence.test_traffic import CANARY, COST, NOW, THRESHOLDS, columns, gather, row
from everloop.decide.fairness import GroupCounts
from everloop.decide.release.evidence import LATENCY_EDGES, Arm, Assigned, ByUnit, Evidence, LoadCheck, from_traffic, trial
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.statistics.clusters import Clusters
from everloop.errors import ConfigurationError

MINUTE = timedelta(minutes=1)
LOADS = LoadCheck(rows=3)
WATCH = ReleaseState(champion="new", previous="old", rollout="r", stage=Stage.WATCH, since=NOW)
MINE = {"arm": "challenger", "release": "new"}


def checked(state: ReleaseState, *rows, thresholds=THRESHOLDS, groups=()) -> Evidence:
    sexes = {"request.sex": ["f"] * len(rows)}
    return from_traffic(columns(*rows) | sexes, state, cost=COST, thresholds=thresholds, groups=groups, check=LOADS)


def latency(*milliseconds: float) -> tuple[int, ...]:
    return tuple(np.bincount(np.searchsorted(LATENCY_EDGES, milliseconds), minlength=len(LATENCY_EDGES) + 1).tolist())


def test_the_load_check_is_kept_with_and_without_rows_and_when_nothing_is_on_trial():
    assert checked(CANARY) == Evidence(check=LOADS)
    assert checked(ReleaseState(champion="old", since=NOW), row()) == Evidence(check=LOADS)
    assert checked(CANARY, row()).check == LOADS


def test_what_is_on_trial_is_held_against_the_champion_and_in_the_watch_against_the_previous_one():
    assert trial(CANARY) == trial(replace(CANARY, stage=Stage.SHADOW)) == ("new", "old")
    assert trial(WATCH) == ("new", "old")


def test_a_stage_begins_with_its_first_moment():
    evidence = gather(CANARY, row(at=NOW), row(at=NOW - timedelta(microseconds=1)), row(at=NOW, **MINE))
    assert (evidence.traffic, evidence.candidate.requests, evidence.baseline.requests) == (2, 1, 1)


def test_a_state_without_a_beginning_counts_all_rows():
    rows = [row(at=NOW - MINUTE), row(at=NOW - MINUTE, entity="f", **MINE)]
    evidence = gather(replace(CANARY, since=None), *rows)
    assert (evidence.traffic, evidence.candidate.requests, evidence.baseline.requests) == (2, 1, 1)
    assert evidence.assigned == Assigned(candidate=1, baseline=1)


def test_the_arm_is_the_challengers_whichever_release_stood_in_for_it():
    evidence = gather(CANARY, row(arm="challenger", release="old", error="boom"), row())
    assert (evidence.candidate.errors, evidence.candidate.requests, evidence.baseline.requests) == (1, 1, 1)


def test_the_champion_answers_in_the_shadow_since_the_stage_began():
    shadow = replace(CANARY, stage=Stage.SHADOW, weight=0.0)
    evidence = gather(shadow, row(), row(at=NOW - MINUTE))
    assert (evidence.baseline.requests, evidence.assigned) == (1, Assigned())


def test_at_full_weight_the_other_release_is_all_that_it_answered_before():
    full = replace(CANARY, weight=1.0)
    evidence = gather(full, row(at=NOW - MINUTE), row(**MINE), row(at=NOW - MINUTE, **MINE), row(request_id="z", **MINE))
    assert (evidence.candidate.requests, evidence.baseline.requests) == (2, 1)


def at_minutes(*minutes, **changes):
    return [row(at=NOW + n * MINUTE, entity=f"u{n}", request_id=f"q{n}", **changes) for n in minutes]


@pytest.mark.parametrize("state", [replace(CANARY, weight=1.0), WATCH])
def test_where_the_other_release_answered_before_time_is_divided_into_batches(state):
    """40 minutes of the stage are twenty batches of two, and as long ones before it."""
    failed = {"error": "boom", "flags": ["missing:aircraft"]}
    last = row(at=NOW + 40 * MINUTE - timedelta(microseconds=1), entity="last", request_id="last", **MINE)
    ours = [*at_minutes(0, 1, 2, 3, 4, **MINE), *at_minutes(5, 6, **MINE, **failed), last]
    theirs = [*at_minutes(-1, -2, -3, -40), *at_minutes(-4, **failed, shadow_release="new", shadow_score=0.9)]
    evidence = gather(state, *ours, *theirs)
    # Minutes 0 and 1, 2 and 3, 4 and 5, 6, the last; and -1 and -2, -3 and -4, -40.
    assert evidence.candidate.by_batch.errors == Clusters.of([2, 2, 2, 1, 1], [0, 0, 1, 1, 0])
    assert evidence.candidate.by_batch.missing == evidence.candidate.by_batch.errors
    assert evidence.candidate.by_batch.slow.trials_squared == 4 + 4 + 4 + 1 + 1
    assert evidence.baseline.by_batch.errors == Clusters.of([2, 2, 1], [0, 1, 0])
    assert evidence.candidate.by_entity.errors == Clusters.of([1] * 8, [0] * 6 + [1] * 2)


def test_where_both_answer_at_the_same_time_there_are_no_batches():
    rows = [*at_minutes(0, 1, **MINE), *at_minutes(2, 3)]
    for state in (CANARY, replace(CANARY, stage=Stage.SHADOW, weight=0.0), replace(CANARY, weight=1.0, since=None)):
        evidence = gather(state, *rows)
        assert evidence.candidate.by_batch == evidence.baseline.by_batch == ByUnit()


def test_rows_of_one_moment_are_one_batch():
    evidence = gather(replace(CANARY, weight=1.0), *[row(at=NOW, request_id=f"q{n}", **MINE) for n in range(3)])
    assert evidence.candidate.by_batch.errors == Clusters.of([3], [0])
    after = gather(replace(CANARY, weight=1.0), *[row(at=NOW - MINUTE, request_id=f"q{n}") for n in range(3)])
    assert after.baseline.by_batch.errors == Clusters.of([3], [0])


def test_groups_are_named_as_they_come():
    rows = columns(row(**MINE), row(**MINE), row(**MINE)) | {"request.size": [1, 2.5, None]}
    groups = from_traffic(rows, CANARY, cost=COST, thresholds=THRESHOLDS, groups=["size"]).groups["size"]
    assert sorted(groups) == ["(missing)", "1", "2.5"]
    rows = columns(row(**MINE), row(**MINE)) | {"request.size": [1, 2.5]}
    assert sorted(from_traffic(rows, CANARY, cost=COST, thresholds=THRESHOLDS, groups=["size"]).groups["size"]) == ["1", "2.5"]


def test_an_arm_is_counted_whole():
    rows = [
        row(request_id="a", latency_ms=5.0, flags=["missing:aircraft"], **MINE),
        row(request_id="a", latency_ms=90.0, error="boom", **MINE),
        row(request_id="b", latency_ms=None, **MINE),
        row(request_id="c", latency_ms=70_000.0, **MINE),
    ]
    evidence = gather(CANARY, *rows, row())
    one, none = Clusters.of([4], [1]), Clusters.of([1], [0])
    ours = ByUnit(errors=one, missing=one, slow=Clusters.of([2], [1]))
    theirs = ByUnit(errors=none, missing=none, slow=none)
    assert evidence.candidate == Arm(requests=4, errors=1, incomplete=1, latency=latency(5.0, 70_000.0), by_entity=ours)
    assert evidence.baseline == Arm(requests=1, latency=latency(4.0), by_entity=theirs)
    assert evidence.candidate + evidence.baseline == Arm(
        requests=5, errors=1, incomplete=1, latency=latency(4.0, 5.0, 70_000.0), by_entity=ours + theirs
    )


def test_an_entity_belongs_to_the_arm_that_answered_it_last_and_of_rows_at_once_to_the_later():
    settled = NOW + timedelta(seconds=2)
    early, late = row(entity="x", at=settled, **MINE), row(entity="x", at=settled + MINUTE)
    assert gather(CANARY, late, early).assigned == Assigned(baseline=1)
    assert gather(CANARY, row(entity="x", at=settled - timedelta(microseconds=1))).assigned == Assigned()
    both = [row(entity=str(i % 40), at=settled, **(MINE if i < 40 else {})) for i in range(80)]
    assert gather(CANARY, *both).assigned == Assigned(baseline=40)
    assert gather(CANARY, *both[::-1]).assigned == Assigned(candidate=40)


def test_rows_pair_only_where_both_releases_scored_without_an_error():
    theirs, ours = {"shadow_release": "new", "shadow_score": 0.9}, {**MINE, "shadow_release": "old", "shadow_score": 0.9}
    sound = gather(CANARY, row(**theirs), row(**ours)).pairs
    assert (sound.offered, sound.unscored.hits, sound.count) == (1, 0, 2)
    for broken in ({"error": "boom"}, {"score": None}):
        found = gather(CANARY, row(**theirs | broken), row(**ours | broken)).pairs
        assert (found.offered, found.unscored.hits, found.count) == (0, 0, 0)
    unscored = gather(CANARY, row(**theirs | {"shadow_score": None}), row(**ours | {"shadow_score": None})).pairs
    assert (unscored.offered, unscored.unscored.hits, unscored.count) == (1, 1, 0)
    beside = gather(CANARY, row(**theirs | {"shadow_release": "older"}), row(**ours | {"shadow_release": "older"})).pairs
    assert (beside.offered, beside.count) == (0, 0)


def test_a_first_release_has_nothing_to_pair_with():
    first = ReleaseState(challenger="new", rollout="r", stage=Stage.CANARY, weight=0.25, since=NOW)
    evidence = checked(first, row(**MINE), thresholds={}, groups=())
    assert (evidence.pairs, evidence.costs, evidence.expected) == (Evidence().pairs, Evidence().costs, Evidence().expected)
    assert evidence.candidate.requests == 1


def test_a_score_at_the_threshold_is_an_alarm_of_either_release():
    evidence = gather(CANARY, row(score=0.5, shadow_release="new", shadow_score=0.4, label=False))
    assert (evidence.costs.candidate, evidence.costs.baseline) == (1.0, 1.0)
    assert (evidence.expected.candidate, evidence.expected.baseline) == (pytest.approx(0.55), pytest.approx(0.55))
    at_it = checked(CANARY, row(score=0.4, label=0.0, **MINE), groups=["sex"]).groups["sex"]["f"]
    assert replace(at_it, units={}) == GroupCounts(rows=1, selected=1, negatives=1, false_positives=1)


def test_the_highest_price_bounds_what_a_row_can_cost():
    dear = replace(COST, false_positive=7)
    rows = columns(row(shadow_release="new", shadow_score=0.2, label=False))
    assert from_traffic(rows, CANARY, cost=dear, thresholds=THRESHOLDS).costs.largest == 7


def test_groups_leave_out_what_another_release_was_scored_beside():
    rows = [row(shadow_release="older", shadow_score=0.9), row(shadow_release="new", shadow_score=None), row(score=None, **MINE)]
    # Nor does what the champion failed on, which is asked of the challenger always, and would make it a large part of the sample.
    rows.append(row(error="boom", score=None, shadow_release="new", shadow_score=0.9))
    assert checked(CANARY, *rows, groups=["sex"]).groups == {"sex": {}}


def test_a_release_without_threshold_is_told_with_those_that_have_one():
    with pytest.raises(ConfigurationError) as told:
        checked(CANARY, row(**MINE), thresholds={"older": 0.5, "old": 0.5}, groups=["sex"])
    assert str(told.value) == (
        "No decision threshold of release \"new\" was given (given: ['old', 'older']): take it from its manifest"
    )


def test_moments_are_the_same_in_any_time_zone(monkeypatch):
    east = timezone(timedelta(hours=2))
    rows = [row(at=NOW.astimezone(east)), row(at=(NOW - timedelta(microseconds=1)).astimezone(east))]
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evidence = gather(replace(CANARY, since=NOW.astimezone(east)), *rows)
        at = np.array(["2026-01-01T12:00:00", "2026-01-01T11:59:59"], dtype="datetime64[us]")
        of_arrays = from_traffic(columns(*rows) | {"at": at}, CANARY, cost=COST, thresholds=THRESHOLDS)
    monkeypatch.undo()
    time.tzset()
    assert evidence.traffic == of_arrays.traffic == 1


@pytest.mark.parametrize("unit", ["ns", "us", "s"])
def test_moments_of_arrays_may_be_of_any_unit(unit):
    rows = columns(row(), row(at=NOW - MINUTE))
    at = np.array([moment.replace(tzinfo=None) for moment in rows["at"]], dtype=f"datetime64[{unit}]")
    assert from_traffic(rows | {"at": at}, CANARY, cost=COST, thresholds=THRESHOLDS).traffic == 1
