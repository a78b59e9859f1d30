"""The same code as the benchmarks' of training, on a few rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks import resume, train_gpu, train_gpu_auc, train_memory
from benchmarks.process import Measured
from benchmarks.record import Record
from everloop.decide.policy import TrainingPolicy
from everloop.learn.examples import Examples
from everloop.learn.job import Job

POLICY = TrainingPolicy(rounds=8, checkpoint_rounds=3, parameters={"max_depth": 2, "subsample": 0.8})
JOB = Job(columns=("carrier", "x"), categories=("carrier",), policy=POLICY, threads=1)


@pytest.fixture
def rows() -> pa.Table:
    chance = np.random.default_rng(1)
    carrier, x = chance.choice(["AA", "UA"], 800), chance.normal(size=800)
    part = np.repeat(["fit", "validation", "calibration", "holdout"], 200)
    return pa.table({"carrier": carrier, "x": x, "label": x + chance.normal(size=800) > 0, "part": part})


def test_killed_and_uninterrupted_training_are_compared(rows: pa.Table, tmp_path: Path) -> None:
    folders = [resume.lay_out(tmp_path / name, JOB, rows) for name in ("whole", "killed")]
    record = Record("resume")
    resume.compare(record, *folders, kills=2)
    assert record.facts["model bytes are equal"] is record.facts["losses by round are equal"] is True
    assert len(record.facts["killed in round"]) == len(record.samples["killed"]["seconds"]) == 2
    assert record.ratios["models that differ"]["met"] is True


def test_without_a_gpu_it_is_said_and_no_result_is_written(
    rows: pa.Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_gpu.lay_out(tmp_path / "job", JOB, rows, 500)
    train_gpu.compare(str(tmp_path / "job"), 500, 4, "cpu", tmp_path / "results")
    assert "no GPU: the NVIDIA driver shows no device here" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


def test_with_a_gpu_the_sides_are_held_against_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seconds, asked = {"cpu": 30.0, "cuda": 2.0}, []

    def measured(*_: str, device: str, how: str, **__: object) -> Measured:
        asked.append((device, how))
        value = {"matrix_seconds": 2.0, "fit_seconds": seconds[device], "auc": 0.75, "model": f"{device} {len(asked)}"}
        return Measured(value, 40.0, 40.0, 100.0)

    monkeypatch.setattr(train_gpu, "measure", measured)
    monkeypatch.setattr(train_gpu, "gpu_name", lambda: "a GPU")
    train_gpu.compare("nowhere", 500, 4, "cuda", tmp_path)
    told = json.loads((tmp_path / "train_gpu.json").read_text())
    assert {name: one["value"] for name, one in told["ratios"].items()} == {
        "CPU / GPU, seconds of the fit": 15,
        "CPU / GPU, seconds of matrices and fit": 8,
        "difference of AUC": 0,
    }
    assert set(asked) == {("cpu", ""), ("cuda", ""), ("cuda", train_gpu.WITHOUT_CUPY), ("cuda", train_gpu.PAGES)}
    assert (told["facts"]["models of cpu that differ"], told["facts"]["models of cuda that differ"]) == (0, 1)


def test_two_sides_are_compared_under_many_seeds(rows: pa.Table, tmp_path: Path) -> None:
    train_gpu.lay_out(tmp_path / "job", JOB, rows, 500)
    train_gpu_auc.compare(str(tmp_path / "job"), {"one": "cpu", "again": "cpu"}, 3, 4, tmp_path)
    told = json.loads((tmp_path / "train_gpu_auc.json").read_text())
    assert len(set(told["samples"]["one"]["auc"])) > 1
    assert {one["value"] for one in told["ratios"].values()} == {0}
    low, high = told["facts"]["second less first, mean AUC, 95 %"]
    assert low < 0 < high


def test_fitting_rows_are_drawn_with_a_seed_and_the_rows_to_judge_by_are_the_real_ones(rows: pa.Table, tmp_path: Path) -> None:
    for name in ("one", "two"):
        train_gpu.lay_out(tmp_path / name, JOB, rows, 1_000)
    files = [Examples(tmp_path / name / "examples.parquet") for name in ("one", "two")]
    assert files[0].path.read_bytes() == files[1].path.read_bytes()
    assert (files[0].count("fit"), files[0].count("holdout")) == (1_000, 200)
    held = pa.concat_tables(files[0].batches("holdout", ("x",)))
    assert held["x"].to_pylist() == rows["x"].to_pylist()[600:]


def test_a_fit_from_pages_is_held_against_one_in_memory(rows: pa.Table, tmp_path: Path) -> None:
    train_gpu.lay_out(tmp_path / "job", JOB, rows, 500)
    train_memory.compare(str(tmp_path / "job"), 500, 4, tmp_path / "results")
    told = json.loads((tmp_path / "results" / "train_memory.json").read_text())
    assert told["facts"]["models that differ"] == 0
    assert all(side["peak_mb"][0] > 0 for side in told["samples"].values())
