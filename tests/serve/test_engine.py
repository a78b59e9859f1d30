"""The model in memory against the batch's own encoding."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from everloop.errors import ReleaseError
from everloop.learn.encode import Encoder
from everloop.serve.engine import Engine
from serve.world import CARRIERS, COLUMNS, bundle


def test_rows_are_encoded_cell_by_cell_as_the_batch_encodes_a_table() -> None:
    noise = np.random.default_rng(0)

    def value(name: str) -> object:
        if noise.random() < 0.2:
            return None
        return str(noise.choice([*CARRIERS, "??"])) if name == "carrier" else float(noise.normal() * 1e5)

    rows = [{name: value(name) for name in COLUMNS} for _ in range(200)]
    schema = pa.schema({name: pa.string() if name == "carrier" else pa.float64() for name in COLUMNS})
    expected = Encoder.of(bundle().manifest).table(pa.Table.from_pylist(rows, schema))
    np.testing.assert_array_equal(Engine(bundle()).encode(rows), expected)


def test_a_model_of_another_width_does_not_load() -> None:
    with pytest.raises(ReleaseError, match="6 columns that its manifest names"):
        Engine(bundle(columns=4))


def test_only_unseen_values_of_categories_count_as_unknown() -> None:
    engine = Engine(bundle())
    assert engine.unknown({"carrier": "ZZ", "distance": 1.0}) == ("carrier",)
    assert engine.unknown({"carrier": None}) == engine.unknown({"carrier": "AA"}) == engine.unknown({}) == ()
