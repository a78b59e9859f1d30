"""MLflow, where people review models; the bytes that serve come from the release store, never from here."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.adapters.releases import ReleaseFiles
from everloop.adapters.trials import record_trials
from everloop.decide.release.state import ReleaseState
from everloop.errors import ReleaseError
from everloop.ports import ModelVersion
from everloop.release import MANIFEST, MODEL, Bundle, manifest_bytes

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LOG = logging.getLogger(__name__)
_RELEASE = "release_id"
_BATCH = 1_000
"""Metrics that MLflow takes in one request."""

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # The ledger is the truth and this is its mirror: give up within a minute and let the task's own retries go on.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}


class MlflowRegistry:
    """`ports.Registry` on an MLflow server, one experiment and one registered model a use case, both under its name."""

    def __init__(self, tracking_uri: str, releases: ReleaseFiles, use_case: str) -> None:
        self._uri = tracking_uri
        self._releases = releases
        self._use_case = use_case

    def put(self, bundle: Bundle) -> str:
        """Store a release's bytes under its id."""
        return self._releases.put(bundle)

    def get(self, release: str) -> Bundle:
        """A release's verified bytes."""
        return self._releases.get(release)

    def record(self, bundle: Bundle, report: Mapping[str, Any], plots: Mapping[str, bytes], card: str) -> ModelVersion:
        """One finished run and one model version a release; what a killed attempt began is taken up and completed.

        `report`: `slices` (`{slice: {value: measures}}`), `seconds` (by task), `losses` (validation log loss by round),
        `examples` (encoded rows, column to number), `trials` (of the tuning, each a child run), the rest is kept as it is in
        `report.json`.
        """
        run_id = self._run(bundle)
        version = self._version(bundle.id, self._use_case)
        if version is None:
            self._log_values(run_id, bundle, report)
            record_trials(self._client, self._experiment(), run_id, report.get("trials", ()))
            self._log_files(run_id, bundle, report, plots, card)
            version = self._version_of_run(run_id) or self._register(run_id, bundle, report)
            self._describe(version, bundle, card)
        return ModelVersion(version=version, run_id=run_id, url=self._url(version))

    def mirror(self, use_case: str, state: ReleaseState) -> None:
        """Set or drop the aliases `champion` and `challenger`. A release that MLflow does not know is logged and left out."""
        from mlflow.exceptions import MlflowException

        try:
            present = {alias: str(version) for alias, version in self._client.get_registered_model(use_case).aliases.items()}
        except MlflowException as error:
            self._only_if_absent(error)
            _LOG.warning("MLflow has no model %s yet: nothing to mirror", use_case)
            return
        for alias, release in (("champion", state.champion), ("challenger", state.challenger)):
            wanted = release and self._known_version(release, use_case)
            if wanted and present.get(alias) != wanted:
                self._client.set_registered_model_alias(use_case, alias, wanted)
            elif not wanted and alias in present:
                self._client.delete_registered_model_alias(use_case, alias)

    def annotate(self, release: str, use_case: str, tags: Mapping[str, str]) -> None:
        """Tag a release's model version; `ReleaseError` when the release was never recorded."""
        version = self._version(release, use_case)
        if version is None:
            raise ReleaseError(f"MLflow's model {use_case} has no version of release {release}: run the register step first")
        for name, value in tags.items():
            self._client.set_model_version_tag(use_case, version, name, value)

    @property
    def _client(self) -> MlflowClient:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        return MlflowClient(self._uri, self._uri)

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(self._use_case)
        if found is None:
            try:
                return str(self._client.create_experiment(self._use_case))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self._client.get_experiment_by_name(self._use_case)
        return str(found.experiment_id)

    def _run(self, bundle: Bundle) -> str:
        """The run of this release, begun when there is none."""
        experiment = self._experiment()
        found = self._client.search_runs([experiment], f"tags.{_RELEASE} = '{bundle.id}'", order_by=["start_time ASC"])
        if found:
            return str(found[0].info.run_id)
        lineage = bundle.manifest.lineage
        tags = {_RELEASE: bundle.id, **({"mlflow.source.git.commit": lineage["git_commit"]} if "git_commit" in lineage else {})}
        name = f"{bundle.manifest.trained_through:%Y-%m-%d} {bundle.id[:8]}"
        return str(self._client.create_run(experiment, tags=tags, run_name=name).info.run_id)

    def _log_values(self, run_id: str, bundle: Bundle, report: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        manifest = bundle.manifest
        # One fixed moment and ascending steps: logged twice, MLflow keeps one value.
        metrics = [Metric(name, value, 0, 0) for name, value in _flat(manifest.metrics, report).items()]
        metrics += [Metric("validation_log_loss", loss, 0, step) for step, loss in enumerate(report.get("losses", ()))]
        params = {**manifest.parameters, "threshold": manifest.threshold, "trained_through": manifest.trained_through.isoformat()}
        tags = {**manifest.lineage, "snapshot": json.dumps(dict(manifest.snapshot), sort_keys=True)}
        self._client.log_batch(
            run_id,
            params=[Param(name, str(value)) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        for start in range(0, len(metrics), _BATCH):
            self._client.log_batch(run_id, metrics=metrics[start : start + _BATCH])

    def _log_files(self, run_id: str, bundle: Bundle, report: Mapping[str, Any], plots: Mapping[str, bytes], card: str) -> None:
        files = {
            "model_card.md": card.encode(),
            "report.json": json.dumps(report, indent=2, sort_keys=True).encode(),
            **{f"plots/{name}": content for name, content in plots.items()},
            f"release/{MANIFEST}": manifest_bytes(bundle.manifest),
            **{f"release/{name}": content for name, content in bundle.files.items()},
        }
        with _written(files) as folder:
            self._client.log_artifacts(run_id, str(folder))

    def _register(self, run_id: str, bundle: Bundle, report: Mapping[str, Any]) -> str:
        """Log the Booster itself: the pyfunc of an `XGBClassifier` would answer with labels."""
        import mlflow
        import pandas as pd

        from everloop.learn.scoring import load_booster

        columns = list(bundle.manifest.columns)
        examples = pd.DataFrame(report.get("examples", ()), columns=columns, dtype="float64")
        mlflow.set_tracking_uri(self._uri)
        with mlflow.start_run(run_id=run_id):
            info = mlflow.xgboost.log_model(
                load_booster(bundle.files[MODEL]),
                name="model",
                model_format="ubj",
                signature=_signature(columns),
                input_example=examples if len(examples) else None,
                # Given, since MLflow would otherwise spend seconds to find them out.
                pip_requirements=[f"xgboost=={bundle.manifest.lineage['xgboost']}"],
                registered_model_name=self._use_case,
            )
        return str(info.registered_model_version)

    def _describe(self, version: str, bundle: Bundle, card: str) -> None:
        """Describe a version; the release's own tag comes last, since it says that all the rest is there."""
        self._client.update_model_version(self._use_case, version, card)
        # The lineage is on the run, one click away: a version shows what tells it from the others.
        drill = bundle.manifest.lineage.get("drill", "false")
        tags = {"trained_through": bundle.manifest.trained_through.isoformat(), "drill": drill, _RELEASE: bundle.id}
        for name, value in tags.items():
            self._client.set_model_version_tag(self._use_case, version, name, value)

    def _version_of_run(self, run_id: str) -> str | None:
        found = self._client.search_model_versions(f"name = '{self._use_case}' and run_id = '{run_id}'")
        return str(found[0].version) if found else None

    def _version(self, release: str, use_case: str) -> str | None:
        found = self._client.search_model_versions(f"name = '{use_case}' and tags.{_RELEASE} = '{release}'")
        return str(found[0].version) if found else None

    def _known_version(self, release: str, use_case: str) -> str | None:
        version = self._version(release, use_case)
        if version is None:
            _LOG.warning("MLflow's model %s has no version of release %s: its alias is left out", use_case, release)
        return version

    def _only_if_absent(self, error: Any) -> None:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise error

    def _url(self, version: str) -> str:
        if self._uri.startswith("http"):
            return f"{self._uri.rstrip('/')}/#/models/{self._use_case}/versions/{version}"
        return f"models:/{self._use_case}/{version}"


def _flat(metrics: Mapping[str, float], report: Mapping[str, Any]) -> dict[str, float]:
    """Measures overall, by slice as `slice/<name>/<value>/<measure>`, and seconds by task."""
    found = dict(metrics)
    for name, values in report.get("slices", {}).items():
        for value, measures in values.items():
            found |= {f"slice/{name}/{_word(value)}/{measure}": number for measure, number in measures.items()}
    return found | {f"seconds/{task}": seconds for task, seconds in report.get("seconds", {}).items()}


def _word(value: str) -> str:
    """A slice's value fit for a metric's name, in which MLflow allows few signs."""
    return "".join(sign if sign.isalnum() or sign in "_-. " else "_" for sign in value)


def _signature(columns: list[str]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    return ModelSignature(
        inputs=Schema([ColSpec("double", name, required=False) for name in columns]), outputs=Schema([ColSpec("double")])
    )


@contextmanager
def _written(files: Mapping[str, bytes]) -> Iterator[Path]:
    """The files in a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="everloop-") as folder:
        for name, content in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield Path(folder)
