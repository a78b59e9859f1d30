from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from everloop.decide.policy import Direction, Invariance
from everloop.learn.encode import Encoder
from everloop.learn.perturb import Extent, boundary_rows, extents, noisy, raised, unlike, without

ENCODER = Encoder(("carrier", "v__x", "w__y"), {"carrier": ("AA", "UA")})
ROWS = pa.table({"carrier": ["AA", "UA", "ZZ", "UA"], "v__x": [1.0, 2.0, None, 4.0], "w__y": [10, 20, 30, 40]})
MATRIX = ENCODER.table(ROWS)
EXTENTS = {"v__x": Extent(1.0, 4.0, 1.5), "w__y": Extent(10.0, 40.0, 11.0)}


def invariance(column: str, **how) -> Invariance:
    return Invariance(column=column, tolerance=0.1, share=0.1, **how)


def test_extents_are_those_of_what_was_learnt_from_without_gaps() -> None:
    found = extents(ROWS, ENCODER)
    assert set(found) == {"v__x", "w__y"}
    assert (found["v__x"].low, found["v__x"].high) == (1.0, 4.0)
    assert found["w__y"].deviation == pytest.approx(np.std([10, 20, 30, 40]))
    nothing = ROWS.set_column(1, "v__x", pa.array([None, None, None, float("nan")], pa.float64()))
    assert set(extents(nothing, ENCODER)) == {"w__y"}


def test_a_category_is_set_to_each_value_and_an_unknown_one_to_missing() -> None:
    as_ua, as_never = unlike(invariance("carrier", values=("UA", "??")), MATRIX, ENCODER, seed=1)
    assert as_ua[:, 0].tolist() == [1.0] * 4
    assert np.isnan(as_never[:, 0]).all()
    assert np.array_equal(as_ua[:, 1:], MATRIX[:, 1:], equal_nan=True)


def test_a_number_is_moved_either_way_and_a_gap_stays_one() -> None:
    up, down = unlike(invariance("v__x", step=0.5), MATRIX, ENCODER, seed=1)
    assert np.array_equal(up[:, 1], np.float32([1.5, 2.5, np.nan, 4.5]), equal_nan=True)
    assert np.array_equal(down[:, 1], np.float32([0.5, 1.5, np.nan, 3.5]), equal_nan=True)
    more = raised(Direction(column="w__y", step=5, tolerance=0, share=0), MATRIX, ENCODER)
    assert more[:, 2].tolist() == [15, 25, 35, 45]


def test_a_shuffled_column_keeps_its_values_and_its_seed_decides() -> None:
    (one,) = unlike(invariance("w__y"), MATRIX, ENCODER, seed=3)
    (again,) = unlike(invariance("w__y"), MATRIX, ENCODER, seed=3)
    assert sorted(one[:, 2]) == sorted(MATRIX[:, 2])
    assert np.array_equal(one, again, equal_nan=True)


def test_noise_is_a_share_of_each_spread_and_leaves_categories_alone() -> None:
    many = np.repeat(MATRIX[:1], 20_000, axis=0)
    found = noisy(many, ENCODER, EXTENTS, 0.1, seed=5)
    assert np.array_equal(found[:, 0], many[:, 0])
    assert found[:, 1].std() == pytest.approx(0.15, rel=0.03)
    assert found[:, 2].std() == pytest.approx(1.1, rel=0.03)


def test_a_view_that_is_away_takes_all_of_its_features_and_no_others() -> None:
    found = without(MATRIX, ENCODER, ["w"])
    assert np.isnan(found[:, 2]).all()
    assert np.array_equal(found[:, :2], MATRIX[:, :2], equal_nan=True)
    assert not np.isnan(MATRIX[:, 2]).any()


def test_boundary_rows_reach_past_all_that_was_seen() -> None:
    names, rows = boundary_rows(ROWS.slice(1, 1), ENCODER, EXTENTS)
    by_name = dict(zip(names, rows, strict=True))
    assert np.isnan(by_name["nothing known"]).all()
    assert np.isnan(by_name["categories never seen"][0])
    assert by_name["v__x = -2"].tolist() == [1.0, -2.0, 20.0]
    assert by_name["w__y = 70"][2] == 70
    assert np.isfinite(rows[~np.isnan(rows)]).all()
    assert len(names) == 2 + 2 * 6 * 2
