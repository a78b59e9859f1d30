from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from everloop.decide.statistics.clusters import Clusters, Likeness
from everloop.decide.watch.concept import residuals
from everloop.learn.reference import Blocks, describe, quantile_edges

LABELS = np.array([True, False, False, False])
ONE, ALL = LABELS[:1], np.ones(500, dtype=bool)


def test_every_row_is_in_exactly_one_bin_or_missing() -> None:
    values = [*range(100), None, None]
    rows = pa.table({"x": pa.array(values, pa.float64()), "carrier": ["AA"] * 90 + ["ZZ"] * 10 + [None, "UA"]})
    found = describe(rows, ("carrier", "x"), {"carrier": ("AA", "UA")}, ALL[:102], ONE, np.array([0.5]), {"auc": 0.7})
    assert list(found["columns"]) == ["carrier", "x"]
    assert found["columns"]["carrier"] == {
        "kind": "category",
        "values": ["AA", "UA"],
        "counts": [90, 1],
        "other": 10,
        "missing": 1,
    }
    numeric = found["columns"]["x"]
    assert (sum(numeric["counts"]), numeric["missing"]) == (100, 2)
    assert max(abs(count - 10) for count in numeric["counts"]) <= 1
    assert len(numeric["counts"]) == len(numeric["edges"]) + 1


def test_counts_are_those_of_searchsorted_from_the_left() -> None:
    values = np.random.default_rng(1).gamma(1.0, 3.0, 500).round(1).astype(np.float32).astype(float)
    found = describe(pa.table({"x": values}), ("x",), {}, ALL, ALL, values, {})["columns"]["x"]
    bins = np.searchsorted(found["edges"], values, side="left")
    assert found["counts"] == np.bincount(bins, minlength=len(found["edges"]) + 1).tolist()


def test_a_constant_column_and_an_empty_one_have_all_rows_in_place() -> None:
    rows = pa.table({"one": [2.0] * 4, "none": pa.array([None] * 4, pa.float64()), "flag": [True, False, None, True]})
    found = describe(rows, ("one", "none", "flag"), {}, LABELS, LABELS[:2], np.array([0.1, 0.2]), {})
    assert found["columns"]["one"] == {"kind": "numeric", "edges": [2.0], "counts": [4, 0], "missing": 0}
    assert found["columns"]["none"] == {"kind": "numeric", "edges": [], "counts": [0], "missing": 4}
    assert found["columns"]["flag"]["missing"] == 1
    assert (found["rows"], found["label_rate"]) == (4, 0.25)


def test_fences_lie_as_far_beyond_the_quartiles_as_normal_rows_seldom_do() -> None:
    values = np.arange(101.0)
    values[[0, 100]] = (-200, 500)
    found = describe(pa.table({"x": values}), ("x",), {}, ALL[:101], ONE, np.array([0.5]), {})["columns"]["x"]
    assert found["fences"] == pytest.approx([25 - 2.2 * 50, 75 + 2.2 * 50])
    assert found["outside"] == 2
    tied = describe(pa.table({"x": [0.0] * 80 + [1.0] * 21}), ("x",), {}, ALL[:101], ONE, np.array([0.5]), {})["columns"]["x"]
    assert "fences" not in tied
    assert "outside" not in tied


def test_edges_of_a_heavy_tie_are_distinct() -> None:
    assert quantile_edges(np.array([0.0] * 95 + [1.0] * 5)).tolist() == [0.0]


def test_held_out_scores_keep_their_range_and_how_far_labels_lay_from_them() -> None:
    rng = np.random.default_rng(2)
    scores = rng.uniform(0.1, 0.7, 1000)
    labels = rng.random(1000) < scores
    found = describe(pa.table({"x": [1.0]}), ("x",), {}, ONE, labels, scores, {})["score"]
    assert found["range"] == [scores.min(), scores.max()]
    assert found["residuals"]["rows"] == found["counts"]
    assert sum(found["residuals"]["labels"]) == labels.sum()
    assert sum(found["residuals"]["squares"]) == pytest.approx(((labels - scores) ** 2).sum())


def test_blocks_of_time_are_kept_where_they_are_known() -> None:
    rng = np.random.default_rng(3)
    scores = rng.uniform(0.1, 0.7, 1000)
    labels, days = rng.random(1000) < scores, np.arange(1000) // 50
    blocks = Blocks(days[:4], days, {"auc": Likeness(0.02, 19)})
    found = describe(pa.table({"x": [1.0] * 4}), ("x",), {}, LABELS, labels, scores, {}, blocks=blocks)
    assert Clusters(**found["labels"]) == Clusters.of([4], [1])
    assert found["alike"] == {"auc": {"correlation": 0.02, "freedom": 19}}
    assert found["score"]["residuals"] == residuals(found["score"]["edges"], labels, scores, days)
    assert found["score"]["residuals"]["blocks"] == 20
    without = describe(pa.table({"x": [1.0] * 4}), ("x",), {}, LABELS, labels, scores, {})
    assert not {"labels", "alike"} & set(without)
    assert "blocks" not in without["score"]["residuals"]
