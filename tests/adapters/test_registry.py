from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import xgboost
from mlflow import MlflowClient

from everloop.adapters.registry import MlflowRegistry
from everloop.adapters.releases import ReleaseFiles
from everloop.decide.policy import ServicePolicy
from everloop.decide.release.state import ReleaseState
from everloop.errors import ReleaseError
from everloop.release import MODEL, Bundle, Calibrator, FeaturePlan, Manifest, sha256
from fakes.registry import InMemoryRegistry

REPORT: dict[str, Any] = {
    "slices": {"carrier": {"AA": {"rows": 10.0, "auc": 0.7}, "B6/x": {"rows": 5.0}}},
    "seconds": {"train": 4.5},
    "losses": [0.6, 0.5, 0.55],
    "examples": [{"carrier": 1.0, "v__x": None}, {"carrier": 0.0, "v__x": 2.5}],
    "evidence": {"candidate": {"rows": 100}},
}
PLOTS = {"calibration.png": b"\x89PNG"}


@pytest.fixture(scope="session")
def model() -> bytes:
    rows = np.random.default_rng(1).integers(0, 2, (200, 2)).astype(np.float32)
    matrix = xgboost.DMatrix(
        rows, label=rows[:, 1], feature_names=["carrier", "v__x"], feature_types=["c", "q"], enable_categorical=True
    )
    return bytes(xgboost.train({"objective": "binary:logistic", "nthread": 1}, matrix, 3).save_raw("ubj"))


@pytest.fixture
def bundles(model: bytes) -> list[Bundle]:
    """Three releases, oldest first."""
    files = {MODEL: model, "reference.json": b"{}", "suites/training_set.json": b"{}"}
    manifest = Manifest(
        use_case="toys",
        columns=("carrier", "v__x"),
        categories={"carrier": ("AA", "UA")},
        calibrator=Calibrator(x=(0.1, 0.9), y=(0.2, 0.8)),
        threshold=0.25,
        plan=FeaturePlan(service="toys", request={"carrier": "string"}, views=()),
        entity=("carrier",),
        service=ServicePolicy(),
        request_suite="training_set",
        shadow_share=0.2,
        snapshot={"toys": 3},
        trained_from=datetime(2013, 1, 1, tzinfo=UTC),
        trained_through=datetime(2013, 3, 1, tzinfo=UTC),
        parameters={"max_depth": 6, "objective": "binary:logistic"},
        metrics={"auc": 0.7, "cost": 0.5},
        lineage={"git_commit": "abc", "xgboost": xgboost.__version__, "device": "cpu"},
        files={name: sha256(content) for name, content in files.items()},
    )
    through = [manifest.trained_through + timedelta(days=28 * n) for n in range(3)]
    return [Bundle(replace(manifest, trained_through=moment), files) for moment in through]


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's own store on SQLite, migrated once; artifacts go to a folder beside it."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield f"sqlite:///{folder}/mlflow.db"


@pytest.fixture
def mlflow_registry(tracking: str, tmp_path: Path) -> Iterator[MlflowRegistry]:
    yield MlflowRegistry(tracking, ReleaseFiles(str(tmp_path / "releases")), "toys")
    client = MlflowClient(tracking, tracking)
    for run in client.search_runs([e.experiment_id for e in client.search_experiments()]):
        client.delete_run(run.info.run_id)
    for found in client.search_registered_models():
        client.delete_registered_model(found.name)


@pytest.fixture(params=["mlflow", "memory"])
def registry(request: pytest.FixtureRequest) -> MlflowRegistry | InMemoryRegistry:
    return request.getfixturevalue("mlflow_registry") if request.param == "mlflow" else InMemoryRegistry()


@pytest.fixture
def client(tracking: str) -> MlflowClient:
    return MlflowClient(tracking, tracking)


def test_a_release_is_recorded_once(registry, bundles: list[Bundle]) -> None:
    first = registry.record(bundles[0], REPORT, PLOTS, "card")
    assert registry.record(bundles[0], REPORT, PLOTS, "card") == first
    assert registry.record(bundles[1], REPORT, PLOTS, "card").version == "2"


def test_stored_bytes_come_back_verified(registry, bundles: list[Bundle]) -> None:
    release = registry.put(bundles[0])
    assert registry.get(release).files == bundles[0].files
    with pytest.raises(ReleaseError):
        registry.get(bundles[1].id)


def test_only_a_recorded_release_can_be_annotated(registry, bundles: list[Bundle]) -> None:
    registry.record(bundles[0], REPORT, PLOTS, "card")
    registry.annotate(bundles[0].id, "toys", {"gate": "pass"})
    with pytest.raises(ReleaseError, match=bundles[1].id):
        registry.annotate(bundles[1].id, "toys", {"gate": "pass"})


def test_the_run_carries_what_a_reviewer_needs(
    mlflow_registry: MlflowRegistry, client: MlflowClient, bundles: list[Bundle]
) -> None:
    found = mlflow_registry.record(bundles[0], REPORT, PLOTS, "card")
    run = client.get_run(found.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["max_depth"] == "6"
    assert run.data.metrics["auc"] == 0.7
    assert run.data.metrics["slice/carrier/AA/auc"] == 0.7
    assert run.data.metrics["slice/carrier/B6_x/rows"] == 5
    assert run.data.metrics["seconds/train"] == 4.5
    assert (run.data.tags["release_id"], run.data.tags["device"]) == (bundles[0].id, "cpu")
    assert json.loads(run.data.tags["snapshot"]) == {"toys": 3}
    assert [m.value for m in client.get_metric_history(found.run_id, "validation_log_loss")] == REPORT["losses"]
    listed = {file.path for folder in ("", "plots", "release") for file in client.list_artifacts(found.run_id, folder or None)}
    assert {"model_card.md", "report.json", "plots/calibration.png", "release/manifest.json", f"release/{MODEL}"} <= listed


def test_the_version_is_described_and_tagged(
    mlflow_registry: MlflowRegistry, client: MlflowClient, bundles: list[Bundle]
) -> None:
    found = mlflow_registry.record(bundles[0], REPORT, PLOTS, "# The card")
    mlflow_registry.annotate(bundles[0].id, "toys", {"gate": "fail"})
    version = client.get_model_version("toys", found.version)
    assert version.description == "# The card"
    assert (version.tags["release_id"], version.tags["gate"], version.tags["drill"]) == (bundles[0].id, "fail", "false")


def test_the_logged_model_scores_its_input_example(mlflow_registry: MlflowRegistry, bundles: list[Bundle], tracking: str) -> None:
    found = mlflow_registry.record(bundles[0], REPORT, PLOTS, "card")
    mlflow.set_tracking_uri(tracking)
    loaded = mlflow.pyfunc.load_model(f"models:/toys/{found.version}")
    assert loaded.metadata.signature.inputs.input_names() == ["carrier", "v__x"]
    example = loaded.input_example
    booster = xgboost.Booster(model_file=bytearray(bundles[0].files[MODEL]))
    np.testing.assert_array_equal(loaded.predict(example), booster.inplace_predict(np.array([[1, np.nan], [0, 2.5]])))


def test_a_killed_attempt_is_taken_up_where_it_stopped(
    mlflow_registry: MlflowRegistry, client: MlflowClient, bundles: list[Bundle]
) -> None:
    begun = mlflow_registry.record(bundles[0], REPORT, PLOTS, "card")
    client.delete_model_version_tag("toys", begun.version, "release_id")
    client.update_model_version("toys", begun.version, "")
    assert mlflow_registry.record(bundles[0], REPORT, PLOTS, "card") == begun
    assert client.get_model_version("toys", begun.version).description == "card"
    assert client.get_run(begun.run_id).data.metrics["auc"] == 0.7
    assert len(client.search_model_versions("name = 'toys'")) == 1


TRIALS = [
    {"parameters": {"max_depth": 4}, "loss": 0.5, "rounds": 60, "state": "complete", "seconds": 2.5},
    {"parameters": {"max_depth": 6, "eta": 0.3}, "loss": 0.6, "rounds": 21, "state": "pruned", "seconds": 1.0},
]


def children(client: MlflowClient, parent: str) -> list[Any]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(experiments, f"tags.`mlflow.parentRunId` = '{parent}'", order_by=["tags.trial"])


def test_every_trial_is_a_child_run_of_the_releases_run(
    mlflow_registry: MlflowRegistry, client: MlflowClient, bundles: list[Bundle]
) -> None:
    found = mlflow_registry.record(bundles[0], {**REPORT, "trials": TRIALS}, PLOTS, "card")
    first, second = children(client, found.run_id)
    assert (first.data.params, second.data.params) == ({"max_depth": "4"}, {"max_depth": "6", "eta": "0.3"})
    assert first.data.metrics == {"validation_log_loss": 0.5, "rounds": 60, "seconds": 2.5}
    assert [run.data.tags["state"] for run in (first, second)] == ["complete", "pruned"]
    assert {run.info.status for run in (first, second)} == {"FINISHED"}


def test_recording_again_after_a_killed_attempt_leaves_each_trial_once(
    mlflow_registry: MlflowRegistry, client: MlflowClient, bundles: list[Bundle]
) -> None:
    report = {**REPORT, "trials": TRIALS}
    begun = mlflow_registry.record(bundles[0], {**report, "trials": TRIALS[:1]}, PLOTS, "card")
    client.delete_model_version_tag("toys", begun.version, "release_id")
    for _ in range(2):
        assert mlflow_registry.record(bundles[0], report, PLOTS, "card") == begun
    assert [run.data.tags["trial"] for run in children(client, begun.run_id)] == ["0", "1"]


def aliases(client: MlflowClient) -> dict[str, str]:
    return {alias: str(version) for alias, version in client.get_registered_model("toys").aliases.items()}


def test_aliases_follow_the_ledger(mlflow_registry: MlflowRegistry, client: MlflowClient, bundles: list[Bundle]) -> None:
    for bundle in bundles:
        mlflow_registry.record(bundle, REPORT, PLOTS, "card")
    one, two, three = (bundle.id for bundle in bundles)
    seen = []
    for state in (
        ReleaseState(challenger=one),
        ReleaseState(champion=one, challenger=two),
        ReleaseState(champion=two, previous=one),
        ReleaseState(champion=one, challenger=three),
        ReleaseState(),
    ):
        mlflow_registry.mirror("toys", state)
        mlflow_registry.mirror("toys", state)
        seen.append(aliases(client))
    assert seen == [
        {"challenger": "1"},
        {"champion": "1", "challenger": "2"},
        {"champion": "2"},
        {"champion": "1", "challenger": "3"},
        {},
    ]


def test_mirroring_what_mlflow_does_not_know_changes_nothing_else(
    mlflow_registry: MlflowRegistry, client: MlflowClient, bundles: list[Bundle], caplog: pytest.LogCaptureFixture
) -> None:
    mlflow_registry.mirror("toys", ReleaseState(champion=bundles[0].id))
    assert "nothing to mirror" in caplog.text
    mlflow_registry.record(bundles[0], REPORT, PLOTS, "card")
    mlflow_registry.mirror("toys", ReleaseState(champion=bundles[0].id, challenger="f" * 16))
    assert aliases(client) == {"champion": "1"}
    assert "no version of release ffffffffffffffff" in caplog.text


def test_two_use_cases_share_a_server_and_nothing_else(
    mlflow_registry: MlflowRegistry, tracking: str, tmp_path: Path, bundles: list[Bundle]
) -> None:
    other = MlflowRegistry(tracking, ReleaseFiles(str(tmp_path / "others")), "claims")
    ours = mlflow_registry.record(bundles[0], REPORT, PLOTS, "card")
    theirs = other.record(bundles[0], REPORT, PLOTS, "card")
    assert (ours.version, theirs.version) == ("1", "1")
    assert ours.run_id != theirs.run_id
