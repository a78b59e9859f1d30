"""From rows of the log to sums: whose each row is, and which arm, segment and guardrail it counts for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from decide.experiment.worlds import COST, THRESHOLD, rows
from everloop.decide.experiment.observed import Observed, observe
from everloop.decide.policy import Covariate, Metric
from everloop.decide.release.evidence import LATENCY_EDGES, ByUnit, OwnViews
from everloop.decide.statistics.clusters import Clusters


def seen(given: Mapping[str, Any], **changes: Any) -> Observed:
    asked = {"metric": Metric.COST, "covariate": Covariate.CONTROL, "cost": COST, "threshold": THRESHOLD}
    return observe(given, **(asked | changes))


def test_rows_are_summed_by_entity_and_only_where_they_have_a_metric() -> None:
    found = seen(rows())
    assert (found.control.sums.entities, found.control.sums.rows, found.control.sums.mean) == (1, 2, 2.0)
    assert (found.treatment.sums.entities, found.treatment.sums.rows, found.treatment.sums.mean) == (1, 1, 3.0)
    assert (found.entities.baseline, found.entities.candidate, found.crossed) == (1, 1, 0)
    assert found.treatment.answers.requests == 2
    assert (found.control.answers.incomplete, found.treatment.answers.incomplete) == (1, 0)


def test_earlier_rows_of_the_same_entities_are_a_covariate_and_of_others_are_none() -> None:
    past = rows(entity=["ann", "cid", "ann", "cid"], label=[False, True, False, True])
    found = seen(rows(), covariate=Covariate.BEFORE, before=past)
    assert found.control.sums.covariate == pytest.approx((0.0 + 1.0) / 2)
    assert np.isnan(found.treatment.sums.covariate)
    assert (found.control.sums.mean, found.treatment.sums.mean) == (2.0, 3.0)
    assert seen(rows(), covariate=Covariate.NONE, before=past).control.sums.sums[2] == 0


def test_a_row_that_the_treatment_failed_counts_for_it_with_the_answer_that_was_given() -> None:
    failed = rows(
        error=[None, None, "ValueError: no clock", None],
        decision=[False, True, None, False],
        score=[0.1, 0.6, None, 0.2],
        shadow_release=[None, "bbbb", "aaaa", "aaaa"],
        shadow_score=[None, 0.7, 0.1, 0.5],
        label=[True, False, True, True],
    )
    found = seen(failed)
    assert found.treatment.answers.errors == 1
    # The control's 0.1 in its place is a negative decision, which costs 3.
    assert (found.treatment.sums.rows, found.treatment.sums.mean) == (2, 3.0)


def test_a_row_that_nobody_answered_has_no_metric() -> None:
    failed = rows(error=["down", None, "down", None], decision=[None, True, None, False], score=[None, 0.6, None, 0.2])
    found = seen(failed, metric=Metric.SELECTION_RATE)
    assert (found.control.sums.rows, found.treatment.sums.rows) == (1, 1)
    control, treatment = found.control.answers, found.treatment.answers
    assert (control.shared_errors, treatment.errors, treatment.shared_errors) == (1, 1, 0)


def test_rows_of_one_request_share_its_latency_and_count_once() -> None:
    found = seen(rows(request_id=["q1", "q1", "q3", "q3"]), metric=Metric.LATENCY_MS, covariate=Covariate.NONE)
    assert (found.control.sums.rows, found.control.sums.mean) == (1, 2.0)
    assert found.treatment.answers.timed == 1


def test_an_entity_that_met_both_arms_is_told() -> None:
    assert seen(rows(entity=["ann", "ann", "ann", "bob"])).crossed == 1


def test_segments_hold_their_own_rows() -> None:
    values = {"colour": np.array(["red", "blue", "red", "red"])}
    found = seen(rows(), segments=values)
    assert {key: sums.rows for key, sums in found.control.segments.items()} == {("colour", "red"): 1, ("colour", "blue"): 1}
    assert {key: sums.entities for key, sums in found.treatment.segments.items()} == {("colour", "red"): 1}


def test_batches_of_different_entities_add_up_in_any_order() -> None:
    def half(places: list[int]) -> Observed:
        part = {name: [column[i] for i in places] for name, column in rows().items()}
        values = {"colour": np.array(["red", "blue", "red", "red"])[places]}
        return seen(part, segments=values)

    whole = half([0, 1, 2, 3])
    for merged in (half([0, 1]) + half([2, 3]), half([2, 3]) + half([0, 1])):
        assert merged.control.sums.products == pytest.approx(whole.control.sums.products)
        assert merged.treatment.answers == whole.treatment.answers
        assert merged.entities == whole.entities
        assert merged.control.segments.keys() == whole.control.segments.keys()


def test_no_row_shows_nothing() -> None:
    found = seen({name: [] for name in rows()})
    assert found.control.sums.entities == found.treatment.sums.entities == found.crossed == 0


def several() -> dict[str, Any]:
    """Nine rows: "ann" and "cid" of the control, "bob" and "dan" of the treatment."""
    return {
        "request_id": ["q1", "q2", "q2", "q3", "q4", "q5", "q6", "q7", "q8"],
        "entity": ["ann", "ann", "cid", "cid", "bob", "dan", "dan", "dan", "dan"],
        "arm": ["champion"] * 4 + ["challenger"] * 5,
        "score": [0.1, 0.6, 0.2, 0.9, 0.4, 0.2, 0.8, 0.7, 0.1],
        "decision": [False, True, False, True, True, False, True, True, False],
        "shadow_release": ["bbbb", None, "bbbb", "bbbb", "aaaa", "aaaa", None, "aaaa", "aaaa"],
        "shadow_score": [0.3, None, 0.1, 0.8, 0.2, 0.6, None, 0.7, 0.25],
        "flags": [(), ("missing:weather",), (), (), ("stale:weather",), (), (), ("features_unavailable",), ()],
        "error": [None] * 9,
        "latency_ms": [1.0, LATENCY_EDGES[0], 5.0, np.nan, 2.0, 1e9, 3.0, 4.0, 5.0],
        "label": [True, False, None, False, True, True, False, None, False],
    }


def test_every_sum_by_hand() -> None:
    """By entity: rows with a label, their cost, what the control's score expected of them, and how many had that."""
    ann, cid = [2, 3 + 1, 3 * 0.1, 1], [1, 1, 0.1, 1]
    bob, dan = [1, 0, 3 * 0.2, 1], [3, 3 + 1 + 0, 0.4 + 0.75, 2]
    found = seen(several())
    for side, entities in ((found.control, (ann, cid)), (found.treatment, (bob, dan))):
        values = np.array(entities, dtype=float)
        assert side.sums.entities == 2
        assert side.sums.sums == pytest.approx(values.sum(axis=0))
        assert side.sums.products == pytest.approx(values.T @ values)


def test_what_the_same_entities_showed_before_stands_beside_what_they_show_now() -> None:
    past = {name: [column[i] for i in (0, 3, 1, 5)] for name, column in several().items()} | {
        "entity": ["bob", "ann", "bob", "abe"], "label": [True, True, None, True], "request_id": ["p1", "p2", "p3", "p4"],
    }  # fmt: skip
    found = seen(several(), covariate=Covariate.BEFORE, before=past, segments={"all": np.array(["of them"] * 9)})
    ann, cid, bob, dan = [2, 4, 0, 1], [1, 1, 0, 0], [1, 0, 3, 1], [3, 4, 0, 0]
    for side, entities in ((found.control, (ann, cid)), (found.treatment, (bob, dan))):
        values = np.array(entities, dtype=float)
        assert side.sums.sums.tolist() == values.sum(axis=0).tolist()
        assert side.sums.products.tolist() == (values.T @ values).tolist()
        assert side.segments["all", "of them"].products.tolist() == side.sums.products.tolist()


def test_without_a_covariate_that_is_asked_for_there_is_none() -> None:
    found = observe(several(), Metric.COST, cost=COST, threshold=THRESHOLD, before=several())
    assert found.control.sums.sums.tolist() == [3, 5, 0, 0]
    assert found.treatment.sums.sums.tolist() == [4, 4, 0, 0]


def test_answers_count_rows_whose_features_were_not_all_fresh_and_latencies_by_their_bin() -> None:
    found = seen(several())
    control, treatment = found.control.answers, found.treatment.answers
    assert (control.requests, control.incomplete, treatment.requests, treatment.incomplete) == (4, 1, 5, 2)
    assert len(control.latency) == len(treatment.latency) == len(LATENCY_EDGES) + 1
    # Bins are closed above. The second row of "q2" shares its latency, and that of "q3" is not known.
    expected = np.zeros(len(LATENCY_EDGES) + 1, dtype=int)
    expected[0] += 1
    expected[sum(edge < 1.0 for edge in LATENCY_EDGES)] += 1
    assert control.latency == tuple(expected.tolist())
    assert (treatment.latency[-1], sum(treatment.latency)) == (1, 5)


def test_entities_are_the_units_of_what_the_guardrails_count() -> None:
    found = seen(several())
    # "bob" has one row, without a fresh feature; "dan" four, of which one; the slowest row of all is one of his.
    assert found.treatment.answers.by_entity == ByUnit(
        errors=Clusters.of([1, 4], [0, 0]), missing=Clusters.of([1, 4], [1, 1]), slow=Clusters.of([1, 4], [0, 1]),
    )  # fmt: skip
    assert found.control.answers.by_entity.missing == Clusters.of([2, 2], [1, 0])


def test_only_views_that_one_of_both_releases_reads_count_as_missing() -> None:
    own = OwnViews(candidate=frozenset({"weather"}), baseline=frozenset())
    found = seen(several(), own_views=own)
    # The store that was away for one row of the treatment was away for both releases.
    assert (found.control.answers.incomplete, found.treatment.answers.incomplete, found.same_views) == (0, 1, False)
    found = seen(several(), own_views=OwnViews(candidate=frozenset(), baseline=frozenset({"weather"})))
    assert (found.control.answers.incomplete, found.treatment.answers.incomplete, found.same_views) == (1, 0, False)
    same = seen(several(), own_views=OwnViews(candidate=frozenset(), baseline=frozenset()))
    assert (same.control.answers.incomplete, same.treatment.answers.incomplete, same.same_views) == (0, 0, True)
    assert not seen(several()).same_views


def test_batches_read_the_same_views_where_each_of_them_does() -> None:
    same, other = Observed(same_views=True), Observed(same_views=False)
    assert (same + same).same_views
    assert not (same + other).same_views
    assert not (other + same).same_views


def test_an_error_that_the_control_shares_is_not_the_treatments() -> None:
    shared = seen(rows(error=[None, None, None, "down"], score=[0.1, 0.6, 0.4, None], shadow_score=[None, 0.7, None, None]))
    assert (shared.treatment.answers.errors, shared.treatment.answers.shared_errors) == (0, 1)


def test_an_error_of_the_control_counts_where_the_treatment_could_have_answered() -> None:
    def control(shadow: str | None, score: float | None) -> tuple[int, int]:
        found = seen(
            rows(
                error=["down", None, None, None], score=[None, 0.6, 0.4, 0.2], shadow_release=[shadow, "bbbb", None, "aaaa"],
                shadow_score=[score, 0.7, None, 0.5],
            )
        ).control.answers  # fmt: skip
        return found.errors, found.shared_errors

    assert [control("bbbb", 0.4), control("bbbb", None), control(None, None)] == [(1, 0), (0, 1), (0, 1)]


def test_a_segment_has_the_same_sums_as_its_rows_alone() -> None:
    colours = np.array(["red", "blue", "red", "red", "red", "blue", "blue", "red", "blue"])
    found = seen(several(), segments={"colour": colours, "size": np.arange(9) % 2})
    assert set(found.control.segments) == set(found.treatment.segments) == {
        ("colour", "red"), ("colour", "blue"), ("size", "0"), ("size", "1"),
    }  # fmt: skip
    reds = {name: [value for value, colour in zip(column, colours, strict=True) if colour == "red"]
            for name, column in several().items()}  # fmt: skip
    alone = seen(reds)
    assert found.control.segments["colour", "red"].products.tolist() == alone.control.sums.products.tolist()
    assert found.treatment.segments["colour", "red"].products.tolist() == alone.treatment.sums.products.tolist()
    assert [side.segments["size", "0"].entities for side in (found.control, found.treatment)] == [2, 2]


def test_entities_of_both_batches_and_those_that_met_both_arms_add_up() -> None:
    first, second = seen(several()), seen(rows(entity=["x", "y", "y", "z"]))
    for both in (first + second, second + first):
        assert (both.entities.baseline, both.entities.candidate, both.crossed) == (4, 4, 1)
    crossed = Observed(crossed=1) + Observed(crossed=2)
    assert crossed.crossed == 3


def test_a_segment_of_one_batch_only_is_kept() -> None:
    none, some = seen(rows()), seen(rows(entity=["x", "x", "y", "y"]), segments={"colour": np.array(["red"] * 4)})
    for both in (none + some, some + none):
        assert {key: sums.entities for key, sums in both.control.segments.items()} == {("colour", "red"): 1}
        assert both.treatment.segments["colour", "red"].rows == 1
