"""The model in memory against the batch's own encoding and scores."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from everloop.errors import ReleaseError
from everloop.learn.encode import Encoder
from everloop.learn.scoring import Model
from everloop.serve.block import FEW
from everloop.serve.model import ServedModel
from serve.world import CARRIERS, COLUMNS, bundle


def drawn(rows: int) -> dict[str, list[object]]:
    """Columns of numbers and carriers, some of them missing, some of the carriers unknown."""
    noise = np.random.default_rng(0)

    def value(name: str) -> object:
        if noise.random() < 0.2:
            return None
        return str(noise.choice([*CARRIERS, "??"])) if name == "carrier" else float(noise.normal() * 1e5)

    return {name: [value(name) for _ in range(rows)] for name in COLUMNS}


def table(columns: dict[str, list[object]]) -> pa.Table:
    return pa.table({name: pa.array(v, pa.string() if name == "carrier" else pa.float64()) for name, v in columns.items()})


@pytest.fixture(scope="module")
def served() -> ServedModel:
    return ServedModel(bundle(), "xgboost")


def test_columns_are_encoded_cell_by_cell_as_the_batch_encodes_a_table(served: ServedModel) -> None:
    columns = drawn(200)
    expected = Encoder.of(bundle().manifest).table(table(columns))
    np.testing.assert_array_equal(served.encode(columns, 200).matrix, expected)
    np.testing.assert_array_equal(served.encode({k: pa.array(v) for k, v in columns.items()}, 200).matrix, expected)
    for row in range(20):
        alone = served.encode({name: [values[row]] for name, values in columns.items()}, 1).matrix
        np.testing.assert_array_equal(alone, expected[row : row + 1])
    few = served.encode({name: values[:40] for name, values in columns.items()}, 40).matrix
    assert few.flags.c_contiguous
    np.testing.assert_array_equal(few, expected[:40])


@pytest.mark.parametrize("rows", [1, 2, FEW, FEW + 1])
def test_whole_numbers_are_rounded_as_the_batch_rounds_them(served: ServedModel, rows: int) -> None:
    # To a double first, and from there to a float: at once it would be the next float.
    number = 2**60 + 2**36 + 1
    matrix = served.encode({"distance": [number] * rows}, rows).matrix
    assert set(matrix[:, COLUMNS.index("distance")].tolist()) == {2.0**60}


def test_scores_are_those_of_the_batch_bit_by_bit(served: ServedModel) -> None:
    matrix = served.encode(drawn(200), 200).matrix
    np.testing.assert_array_equal(served.score(matrix), Model.of(bundle()).score(matrix))
    alone = [served.score(matrix[row : row + 1])[0] for row in range(20)]
    np.testing.assert_array_equal(alone, served.score(matrix)[:20])


def test_contributions_are_those_of_the_batch(served: ServedModel) -> None:
    matrix = served.encode(drawn(5), 5).matrix
    found = [[*shares.values()] for shares in served.contributions(matrix)]
    np.testing.assert_array_equal(np.array(found, dtype=np.float32), Model.of(bundle()).contributions(matrix))


def test_a_model_of_another_width_does_not_load() -> None:
    with pytest.raises(ReleaseError, match="6 columns that its manifest names"):
        ServedModel(bundle(columns=4), "xgboost")


def test_only_unseen_values_of_categories_count_as_unknown(served: ServedModel) -> None:
    assert served.encode({"carrier": ["ZZ", None, "AA"], "distance": [1.0, 2.0, 3.0]}, 3).unknown == {0: ("carrier",)}
    assert served.encode({}, 2).unknown == {}
