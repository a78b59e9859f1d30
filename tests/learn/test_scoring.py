from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from everloop.decide.policy import ServicePolicy
from everloop.errors import DataError, ReleaseError
from everloop.learn.job import Job, ask, give
from everloop.learn.scoring import Model, calibrated, load_booster, score, top_contributions
from everloop.learn.train import train
from everloop.release import MODEL, Bundle, Calibrator, FeaturePlan, Manifest, sha256


@pytest.fixture(scope="module")
def bundle(examples: pa.Table, job: Job, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("scoring")
    give(folder, examples.to_batches())
    ask(folder, job)
    model, trained = train(folder)
    manifest = Manifest(
        use_case="toys",
        columns=trained.columns,
        categories=trained.categories,
        calibrator=trained.calibrator,
        threshold=0.4,
        plan=FeaturePlan(service="toys", request={"carrier": "string"}, views=()),
        entity=("carrier",),
        service=ServicePolicy(),
        request_suite="training_set",
        shadow_share=0.2,
        snapshot={},
        trained_from=datetime(2013, 1, 1, tzinfo=UTC),
        trained_through=datetime(2013, 2, 1, tzinfo=UTC),
        parameters={},
        metrics={},
        lineage={},
        files={MODEL: sha256(model)},
    )
    return Bundle(manifest, {MODEL: model})


def test_a_decision_is_a_score_at_or_above_the_threshold(bundle: Bundle, examples: pa.Table) -> None:
    found = score(bundle, examples)
    assert found.column_names == ["score", "decision"]
    assert found["decision"].to_pylist() == [value >= 0.4 for value in found["score"].to_pylist()]
    assert 0 < min(found["score"].to_pylist()) < max(found["score"].to_pylist()) < 1


def test_rows_are_scored_alike_alone_and_together(bundle: Bundle, examples: pa.Table) -> None:
    together = score(bundle, examples.slice(0, 5))["score"].to_pylist()
    assert together == [score(bundle, examples.slice(i, 1))["score"][0].as_py() for i in range(5)]


def test_the_number_of_threads_changes_no_bit(bundle: Bundle, examples: pa.Table) -> None:
    matrix = Model.of(bundle).encoder.table(examples)
    alone = Model.of(bundle, threads=1).score(matrix)
    assert len(alone) > 1_000
    for threads in (2, 3, 8):
        assert Model.of(bundle, threads=threads).score(matrix).tobytes() == alone.tobytes()
    assert score(bundle, examples)["score"].to_numpy().tobytes() == alone.tobytes()


def test_no_rows_give_no_scores(bundle: Bundle, examples: pa.Table) -> None:
    assert score(bundle, examples.slice(0, 0)).num_rows == 0


def test_a_table_without_an_input_is_refused(bundle: Bundle, examples: pa.Table) -> None:
    with pytest.raises(DataError, match="v__x"):
        score(bundle, examples.drop_columns(["v__x"]))


def test_a_changed_model_is_never_loaded(bundle: Bundle) -> None:
    with pytest.raises(ReleaseError, match=r"model\.ubj has SHA-256"):
        Model.of(Bundle(bundle.manifest, {MODEL: bundle.files[MODEL][:-1]}))


def test_calibration_is_linear_between_breakpoints_and_constant_beyond() -> None:
    found = calibrated(np.array([0.0, 0.2, 0.3, 0.9], dtype=np.float32), Calibrator(x=(0.2, 0.4), y=(0.1, 0.5)))
    np.testing.assert_allclose(found, [0.1, 0.1, 0.3, 0.5], atol=1e-6)


def test_contributions_add_up_to_the_raw_scores_log_odds(bundle: Bundle, examples: pa.Table) -> None:
    model = Model.of(bundle)
    matrix = model.encoder.table(examples.slice(0, 50))
    raw = load_booster(bundle.files[MODEL]).inplace_predict(matrix)
    np.testing.assert_allclose(model.contributions(matrix).sum(axis=1), np.log(raw / (1 - raw)), atol=1e-4)


def test_what_matters_is_listed_before_noise(bundle: Bundle, examples: pa.Table) -> None:
    model = Model.of(bundle)
    found = top_contributions(model.contributions(model.encoder.table(examples.slice(0, 300))), model.encoder.columns)
    assert list(found) == ["v__x", "carrier", "v__noise"]


def test_openmp_waits_asleep_before_xgboost_is_imported() -> None:
    code = "import os, sys; import everloop.learn.scoring; print(os.environ['OMP_WAIT_POLICY'], 'xgboost' in sys.modules)"
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["passive", "False"]
