"""What drift makes of references and windows that lack something."""

from everloop.decide.policy import DriftPolicy
from everloop.decide.statistics.clusters import Clusters
from everloop.decide.verdict import Outcome
from everloop.decide.watch.distances import jensen_shannon, stability, wasserstein
from everloop.decide.watch.drift import compare_labels, judge, moved_share, strangers, unknown_ignored
from everloop.decide.watch.shift import Shift, compare
from everloop.decide.watch.sketch import cells

STILL = Shift(
    rows=900, psi=0.0, jensen_shannon=0.0, wasserstein=None, missing_rate=0.0, reference_missing_rate=0.0, unknown_rate=0.0
)  # fmt: skip


def test_a_shift_is_made_of_the_distances_of_all_cells_and_the_area_of_the_bins():
    reference = {"kind": "numeric", "edges": [0.0, 1.0, 3.0], "counts": [40, 30, 20, 10], "missing": 25}
    window = {"counts": [5, 10, 30, 15], "missing": 20}
    before, after = cells(reference), cells(window)
    assert compare(reference, window) == Shift(
        rows=80,
        psi=stability(before, after),
        jensen_shannon=jensen_shannon(before, after),
        wasserstein=wasserstein([0.0, 1.0, 3.0], before[:4], after[:4]),
        missing_rate=0.25,
        reference_missing_rate=0.2,
        unknown_rate=0.0,
        reference_unknown_rate=0.0,
    )


def test_a_reference_that_does_not_speak_of_missing_values_had_none():
    found = compare({"edges": [], "counts": [100]}, {"counts": [50], "missing": 50})
    assert (found.missing_rate, found.reference_missing_rate, found.unknown_rate, found.reference_unknown_rate) == (0.5, 0, 0, 0)


def test_labels_are_not_compared_where_either_side_has_none():
    some = Clusters.independent(900, 50)
    assert compare_labels({"label_rate": 0.2}, some) is None
    assert compare_labels({"label_rate": 0.2, "rows": 0}, some) is None
    assert compare_labels({"label_rate": 0.2, "rows": 100}, Clusters()) is None
    assert compare_labels({"label_rate": 0.5, "rows": 1}, Clusters.independent(1, 1)).rate == 1


def test_a_share_of_no_column_is_none_and_no_column_that_moved_fails_nothing():
    assert moved_share({}, DriftPolicy()) == 0
    verdict = judge({}, STILL, DriftPolicy())
    assert (verdict.reasons[0].text, verdict.reasons[0].numbers["share"]) == ("no column is watched", 0)
    unscored = judge({"a": STILL}, None, DriftPolicy())
    assert [[reason.check for reason in one.reasons] for one in (verdict, unscored)] == [["drift.columns", "drift.score"]] * 2
    assert judge({"a": STILL}, STILL, DriftPolicy(share=0)).outcome is Outcome.PASS


def test_names_that_no_column_has_are_told_in_their_order():
    assert unknown_ignored({"a": STILL}, DriftPolicy(ignore=("z", "a", "b"))) == ["z", "b"]
    assert strangers({"a": STILL}, DriftPolicy(unknown_rate=None)) == {}


def test_every_measure_is_told_by_its_name_where_it_reaches_its_limit():
    moved = Shift(
        rows=900, psi=1.0, jensen_shannon=0.5, wasserstein=0.75, missing_rate=0.5, reference_missing_rate=0.25, unknown_rate=0.25
    )
    policy = DriftPolicy(psi=1.0, jensen_shannon=0.5, wasserstein=0.75, missing_rate=0.25, unknown_rate=0.25)
    assert moved.beyond(policy) == {
        "psi": 1.0, "jensen_shannon": 0.5, "wasserstein": 0.75, "missing_rate": 0.25, "unknown_rate": 0.25,
    }  # fmt: skip
    assert STILL.beyond(policy) == {}
