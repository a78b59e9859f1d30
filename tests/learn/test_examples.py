from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from everloop.errors import TrainingError
from everloop.learn.device import Machine, available, has_cupy
from everloop.learn.encode import Encoder
from everloop.learn.examples import Examples
from everloop.learn.fit import Length, fit, parameters
from everloop.learn.job import Job
from everloop.learn.matrices import matrices
from everloop.learn.stream import EncodedBatches

ENCODER = Encoder(("carrier", "v__x", "v__noise"), {"carrier": ("AA", "B6", "UA")})


@pytest.fixture
def small(examples: pa.Table, tmp_path: Path) -> Examples:
    small = Examples(tmp_path / "rows.parquet", rows_at_once=700)
    small.write(examples.to_batches())
    return small


def test_a_part_comes_back_in_order_in_batches_of_no_more_than_the_limit(small: Examples, examples: pa.Table) -> None:
    batches = list(small.batches("fit", ("v__x", "label")))
    assert max(batch.num_rows for batch in batches) <= 700
    assert pa.concat_tables(batches).to_pylist() == [
        {**row, "part": "fit"} for row in examples.slice(0, 1800).select(["v__x", "label"]).to_pylist()
    ]
    assert (small.count("fit"), small.count("fit", "validation"), small.count("absent")) == (1800, 2200, 0)


def test_the_file_is_the_same_however_the_rows_arrive(small: Examples, examples: pa.Table, tmp_path: Path) -> None:
    other = Examples(tmp_path / "other.parquet", rows_at_once=700)
    other.write(examples.to_batches(max_chunksize=13))
    assert other.path.read_bytes() == small.path.read_bytes()


def test_known_values_are_those_of_the_part(small: Examples) -> None:
    assert small.known_values("fit", "carrier") == ("AA", "B6", "UA")
    assert "ZZ" in small.known_values("holdout", "carrier")


def test_xgboost_is_never_handed_more_than_a_batch_however_often_it_asks(
    small: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[int] = []
    real = EncodedBatches.next

    def watched(self, input_data):
        return real(self, lambda data, **rest: (handed.append(len(data)), input_data(data=data, **rest))[1])

    monkeypatch.setattr(EncodedBatches, "next", watched)
    made = matrices(small, ENCODER, Machine("cpu", 1), external=True)
    assert (made.training.num_row(), made.validation.num_row()) == (1800, 400)
    assert 0 < max(handed) <= 700
    assert sum(handed) >= 2200


def test_pages_for_a_gpu_without_cupy_are_an_error_that_says_what_to_install(
    small: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("everloop.learn.matrices.has_cupy", lambda: False)
    with pytest.raises(TrainingError, match="install cupy-cuda12x, raise memory_mb"):
        matrices(small, ENCODER, Machine("cuda", 1), external=True)


def test_rows_for_a_gpu_come_as_its_arrays_where_cupy_is_and_as_numpys_elsewhere(
    small: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[str] = []
    monkeypatch.setattr("xgboost.QuantileDMatrix", lambda batches, **_: batches.next(lambda data, **_: handed.append(type(data))))
    for present in (True, False):
        monkeypatch.setattr("everloop.learn.matrices.has_cupy", lambda present=present: present)
        monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(asarray=memoryview))
        matrices(small, ENCODER, Machine("cuda", 1))
    assert handed == [memoryview] * 2 + [np.ndarray] * 2


@pytest.mark.skipif(available() != "cuda" or not has_cupy(), reason="no GPU, or no CuPy, here")
@pytest.mark.parametrize("external", [False, True])
def test_a_gpu_fits_from_its_own_arrays(small: Examples, job: Job, external: bool) -> None:
    machine = Machine("cuda", 1)
    made = matrices(small, ENCODER, machine, external=external)
    fitted = fit(made, parameters(job.policy, {}), Length.of(job.policy), machine)
    assert fitted.device == "cuda"
    assert min(fitted.losses) < fitted.losses[0] < 0.69


def test_encoded_rows_are_those_of_the_whole_table(small: Examples, examples: pa.Table) -> None:
    found = list(small.encoded("validation", ENCODER))
    part = examples.slice(1800, 400)
    np.testing.assert_array_equal(np.concatenate([rows for rows, _ in found]), ENCODER.table(part))
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in found]), part["label"].to_numpy())
