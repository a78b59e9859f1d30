from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from everloop.decide.fairness import GroupCounts
from everloop.decide.policy import CostMatrix
from everloop.decide.release.evidence import COLUMNS, Assigned, ByUnit, DecisionPairs, Evidence, from_traffic
from everloop.decide.release.evidence.units import UnitCosts
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.statistics.clusters import Clusters
from everloop.errors import ConfigurationError

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
THRESHOLDS = {"old": 0.5, "new": 0.4}
COST = CostMatrix(false_positive=1, false_negative=3)
CANARY = ReleaseState(champion="old", challenger="new", rollout="r", stage=Stage.CANARY, weight=0.25, since=NOW)


def row(**changes):
    return {
        "request_id": "q", "entity": "e", "at": NOW + timedelta(seconds=5), "as_of": NOW, "arm": "champion", "release": "old",
        "score": 0.3, "flags": [], "shadow_release": None, "shadow_score": None, "error": None, "latency_ms": 4.0, "label": None,
    } | changes  # fmt: skip


def columns(*rows):
    return {name: [r[name] for r in rows] for name in COLUMNS}


def gather(state, *rows):
    return from_traffic(columns(*rows), state, cost=COST, thresholds=THRESHOLDS)


def test_no_rows_are_no_evidence():
    assert gather(CANARY) == Evidence()


def test_arms_count_what_they_answered_since_the_stage_began():
    evidence = gather(
        CANARY,
        row(request_id="a", at=NOW - timedelta(minutes=5)),
        row(request_id="b"),
        row(request_id="c", arm="challenger", release="new"),
        row(request_id="d", arm="challenger", release="new", score=None, error="ValueError: no"),
    )
    assert (evidence.candidate.requests, evidence.candidate.errors, evidence.baseline.requests) == (2, 1, 1)
    assert evidence.traffic == 3


def test_at_full_weight_the_other_release_is_known_from_the_rollout_before():
    state = ReleaseState(champion="old", challenger="new", rollout="r", stage=Stage.CANARY, weight=1.0, since=NOW)
    before = row(at=NOW - timedelta(minutes=5), request_id="a")
    evidence = gather(state, before, row(arm="challenger", release="new", request_id="b"))
    assert evidence.baseline.requests == 1


def test_a_stage_that_has_just_begun_divides_a_year_before_it_into_no_more_batches_than_rows():
    state = ReleaseState(champion="new", previous="old", rollout="r", stage=Stage.WATCH, since=NOW)
    before = [row(at=NOW - timedelta(days=days), request_id=f"b{days}") for days in (360, 180, 1)]
    evidence = gather(state, *before, row(at=NOW, request_id="a", release="new"))
    assert evidence.baseline.by_batch.errors == Clusters.of([1, 1, 1], [0, 0, 0])
    assert evidence.candidate.by_batch.errors == Clusters.of([1], [0])


def test_a_request_of_many_rows_counts_its_latency_once():
    evidence = gather(CANARY, *[row(request_id="one", arm="challenger", release="new") for _ in range(5)])
    assert (evidence.candidate.requests, evidence.candidate.timed) == (5, 1)


def test_decisions_pair_by_row_whoever_answered():
    evidence = gather(
        CANARY,
        row(score=0.1, shadow_release="new", shadow_score=0.9),
        row(arm="challenger", release="new", score=0.9, shadow_release="old", shadow_score=0.1),
        row(arm="challenger", release="new", score=0.9, shadow_release="old", shadow_score=0.6),
        row(score=0.1),
    )
    assert (evidence.pairs.count, evidence.pairs.different.hits) == (3, 2)


def test_pairs_of_rows_that_are_put_in_another_order_are_counted_in_time_by_entity():
    def both(old, new, second):
        return row(score=old, shadow_release="new", shadow_score=new, at=NOW + timedelta(seconds=second), entity=f"e{second}")

    rows = [both(0.1, 0.2, 1), both(0.3, 0.1, 2), both(0.5, 0.3, 3), both(0.7, 0.6, 4)]
    expected = Clusters.of([1, 1], [1, 0])
    assert gather(CANARY, *rows).pairs.disordered == expected
    assert gather(CANARY, *(rows[place] for place in (2, 0, 3, 1))).pairs.disordered == expected
    answered = row(
        arm="challenger", release="new", score=0.6, shadow_release="old", shadow_score=0.7, entity="e4", at=rows[3]["at"]
    )
    assert gather(CANARY, *rows[:3], answered).pairs.disordered == expected


def test_a_shadow_without_a_score_counts_against_the_release_on_trial_only():
    state = ReleaseState(champion="old", challenger="new", rollout="r", stage=Stage.SHADOW, since=NOW)
    evidence = gather(
        state,
        row(shadow_release="new", shadow_score=0.2),
        row(shadow_release="new"),
        row(shadow_release="new", score=None, error="both failed"),
    )
    assert (evidence.pairs.offered, evidence.pairs.unscored.hits, evidence.pairs.count) == (2, 1, 1)


def test_costs_use_each_release_s_own_threshold():
    both = {"shadow_release": "new", "score": 0.45, "shadow_score": 0.45}
    evidence = gather(CANARY, row(**both, label=True), row(**both, label=False), row(**both))
    assert evidence.costs.count == 2
    assert evidence.costs.baseline == pytest.approx(1.5)  # 0.45 < 0.5: misses the positive
    assert evidence.costs.candidate == pytest.approx(0.5)  # 0.45 >= 0.4: an alarm for nothing
    assert evidence.costs.cells == ((0.0, 3.0, 1), (1.0, 0.0, 1))
    assert evidence.costs.largest == 3


def test_costs_are_expected_of_all_pairs_by_the_mean_of_both_scores():
    evidence = gather(CANARY, row(shadow_release="new", score=0.3, shadow_score=0.5), row(shadow_release="new", shadow_score=0.1))
    assert evidence.expected.count == 2
    assert evidence.expected.candidate == pytest.approx((0.6 * 1 + 0.2 * 3) / 2)  # an alarm at 0.4, none at 0.2
    assert evidence.expected.baseline == pytest.approx((0.4 * 3 + 0.2 * 3) / 2)


def test_entities_are_the_units_of_what_is_counted():
    evidence = gather(
        CANARY,
        row(entity="x", request_id="a", flags=["missing:aircraft"]),
        row(entity="x", request_id="b", flags=["missing:aircraft"]),
        row(entity="y", request_id="c", error="boom", shadow_release="new", shadow_score=0.3),
        row(entity="z", request_id="d", arm="challenger", release="new"),
    )
    assert evidence.baseline.by_entity == ByUnit(
        errors=Clusters.of([2, 1], [0, 1]), missing=Clusters.of([2, 1], [2, 0]), slow=Clusters.of([2, 1], [0, 0]),
    )  # fmt: skip
    assert evidence.candidate.by_entity.errors == Clusters.of([1], [0])


def test_pairs_know_their_entities_and_the_days_of_data_time():
    shadowed, day = {"shadow_release": "new", "shadow_score": 0.45, "score": 0.45, "label": True}, timedelta(days=1)
    rows = [
        row(**shadowed, entity="x"),
        row(**shadowed, entity="x", as_of=NOW + day),
        row(**shadowed, entity="y", as_of=NOW + day),
        row(**shadowed | {"label": None}, entity="z", as_of=NOW + 2 * day),
        row(shadow_release="new", entity="x"),
        row(entity="w", as_of=NOW + 3 * day),
    ]
    evidence = gather(CANARY, *rows)
    assert evidence.pairs == DecisionPairs(
        different=Clusters.of([2, 1, 1], [2, 1, 1]), unscored=Clusters.of([3, 1, 1], [1, 0, 0])
    )  # fmt: skip
    by_entity, by_day = (UnitCosts.of(np.array(codes), np.zeros(3), np.full(3, 3.0)) for codes in ([0, 0, 1], [0, 1, 1]))
    assert (evidence.costs.entities, evidence.costs.blocks) == (by_entity, by_day)
    assert (evidence.expected.entities.units, evidence.expected.blocks.units) == (3, 3)
    weeks = from_traffic(columns(*rows), CANARY, cost=COST, thresholds=THRESHOLDS, block=timedelta(days=7))
    assert (weeks.costs.blocks.units, weeks.expected.blocks.units) == (1, 1)
    assert weeks.costs.entities == by_entity


def test_an_error_that_the_other_release_shares_is_told_apart():
    failed = {"arm": "challenger", "release": "new", "score": None, "error": "boom"}
    evidence = gather(
        CANARY,
        row(**failed, entity="x", shadow_release="old"),
        row(**failed, entity="x", shadow_release="old", shadow_score=0.3),
        row(**failed, entity="y"),
        row(error="boom", score=None, shadow_release="new"),
        row(error="boom", score=None, shadow_release="new", shadow_score=0.3),
        row(error="boom", score=None),
    )
    assert (evidence.candidate.requests, evidence.candidate.errors, evidence.candidate.shared_errors) == (3, 2, 1)
    assert evidence.candidate.by_entity.errors == Clusters.of([1, 1], [1, 1])
    assert (evidence.baseline.requests, evidence.baseline.errors, evidence.baseline.shared_errors) == (3, 1, 2)


def test_in_the_watch_a_row_that_failed_counts_when_it_is_known_whether_the_other_release_could_answer_it():
    state = ReleaseState(champion="new", previous="old", rollout="r", stage=Stage.WATCH, since=NOW)
    failed, minute = {"release": "new", "score": None, "error": "boom"}, NOW + timedelta(minutes=1)
    last = row(release="new", at=minute, request_id="last")

    def errors(**changes):
        found = gather(state, row(**failed | changes), last).candidate
        return found.errors, found.shared_errors

    waits = timedelta(seconds=10)
    assert errors(at=minute - waits) == (1, 0)
    assert errors(at=minute - waits + timedelta(microseconds=1)) == (0, 1)
    assert errors(at=minute, shadow_release="old", shadow_score=0.3) == (1, 0)
    assert errors(at=minute - waits, shadow_release="old") == (0, 1)
    # The challenger's arm was asked before the answer, so that nothing more is to come.
    assert errors(at=minute, arm="challenger") == (1, 0)


def test_a_view_that_both_read_does_not_count_as_missing():
    flags = ["missing:weather", "stale:aircraft"]
    rows = columns(row(flags=flags), row(flags=flags, arm="challenger", release="new"), row(flags=["features_unavailable"]))

    def found(new, old):
        return from_traffic(rows, CANARY, cost=COST, thresholds=THRESHOLDS, views={"new": new, "old": old})

    both, more = {"weather": 1}, {"weather": 1, "aircraft": 1}
    same = found(both, both)
    assert (same.same_views, same.candidate.incomplete, same.baseline.incomplete) == (True, 0, 0)
    wider = found(more, both)
    assert (wider.same_views, wider.candidate.incomplete, wider.baseline.incomplete) == (False, 1, 0)
    narrower = found(both, more)
    assert (narrower.same_views, narrower.candidate.incomplete, narrower.baseline.incomplete) == (False, 0, 1)
    other = found({"weather": 2}, both)
    assert (other.same_views, other.candidate.incomplete, other.baseline.incomplete) == (False, 1, 1)
    unknown = from_traffic(rows, CANARY, cost=COST, thresholds=THRESHOLDS)
    assert (unknown.same_views, unknown.candidate.incomplete, unknown.baseline.incomplete) == (False, 1, 2)


def test_rows_without_a_fresh_feature_are_incomplete():
    flags = [["missing:aircraft"], ["stale:aircraft", "challenger_failed"], ["features_unavailable"], ["challenger_failed"], []]
    assert gather(CANARY, *[row(request_id=str(i), flags=found) for i, found in enumerate(flags)]).baseline.incomplete == 3


def test_in_the_watch_the_promoted_release_is_held_against_the_previous_one():
    state = ReleaseState(champion="new", previous="old", rollout="r", stage=Stage.WATCH, since=NOW)
    evidence = gather(
        state,
        row(release="new", shadow_release="old", shadow_score=0.2, request_id="a", error="boom", score=None),
        row(release="old", at=NOW - timedelta(minutes=1), request_id="b"),
    )
    assert (evidence.candidate.requests, evidence.candidate.errors, evidence.baseline.requests) == (1, 1, 1)


def test_entities_count_once_and_only_after_the_weight_has_settled():
    evidence = gather(
        CANARY,
        *[row(entity="x", request_id=str(i)) for i in range(4)],
        row(entity="y", arm="challenger", release="new"),
        row(entity="z", arm="challenger", release="new", at=NOW + timedelta(seconds=1)),
    )
    assert evidence.assigned == Assigned(candidate=1, baseline=1)


def test_arrays_give_the_same_evidence_as_lists():
    rows = [row(score=0.1, shadow_release="new", shadow_score=0.9, label=True), row(arm="challenger", release="new")]
    lists = columns(*rows)
    arrays = {name: np.array(values, dtype=object) for name, values in lists.items()}
    for name in ("at", "as_of"):
        arrays[name] = np.array([moment.replace(tzinfo=None) for moment in lists[name]], dtype="datetime64[us]")
    arrays["latency_ms"] = np.array(lists["latency_ms"])
    assert from_traffic(arrays, CANARY, cost=COST, thresholds=THRESHOLDS) == gather(CANARY, *rows)


def test_a_release_without_threshold_is_an_error():
    with pytest.raises(ConfigurationError, match='release "new"'):
        from_traffic(columns(row(shadow_release="new", shadow_score=0.2)), CANARY, cost=COST, thresholds={"old": 0.5})


def test_groups_are_counted_by_what_the_release_on_trial_decides():
    rows = columns(
        row(shadow_release="new", shadow_score=0.45, label=True),
        row(arm="challenger", release="new", score=0.3, label=False),
        row(arm="challenger", release="new", score=0.9, entity="m"),
        row(),
    ) | {"request.sex": ["f", "f", "m", "m"]}
    found = from_traffic(rows, CANARY, cost=COST, thresholds=THRESHOLDS, groups=["sex"]).groups["sex"]
    counts = GroupCounts(rows=2, selected=1, positives=1, true_positives=1, negatives=1, false_positives=0)
    assert replace(found["f"], units={}) == counts
    assert replace(found["m"], units={}) == GroupCounts(rows=1, selected=1)
    assert found["f"].clusters("selection") == Clusters.of([2], [1])
