"""The trials of a tuning in MLflow: one child run each, under the run of the release that came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARENT, NUMBER = "mlflow.parentRunId", "trial"


def record_trials(client: MlflowClient, experiment: str, parent: str, trials: Sequence[Mapping[str, Any]]) -> None:
    """One finished child run of `parent` a trial: `parameters`, `loss`, `rounds`, `state`, `seconds`.

    What a killed attempt began is taken up: a trial is known by its number, and logging a value twice keeps one.
    """
    begun = _begun(client, experiment, parent) if trials else {}
    for number, trial in enumerate(trials):
        _record(client, begun.get(str(number)) or _begin(client, experiment, parent, number), trial)


def _begun(client: MlflowClient, experiment: str, parent: str) -> dict[str, str]:
    """Run id by trial number of the children that are there."""
    found: dict[str, str] = {}
    page = client.search_runs([experiment], f"tags.`{PARENT}` = '{parent}'")
    while True:
        found |= {run.data.tags[NUMBER]: str(run.info.run_id) for run in page}
        if not page.token:
            return found
        page = client.search_runs([experiment], f"tags.`{PARENT}` = '{parent}'", page_token=page.token)


def _begin(client: MlflowClient, experiment: str, parent: str, number: int) -> str:
    tags = {PARENT: parent, NUMBER: str(number)}
    return str(client.create_run(experiment, tags=tags, run_name=f"trial {number}").info.run_id)


def _record(client: MlflowClient, run_id: str, trial: Mapping[str, Any]) -> None:
    from mlflow.entities import Metric, Param, RunTag

    measures = {"validation_log_loss": trial["loss"], "rounds": trial["rounds"], "seconds": trial["seconds"]}
    client.log_batch(
        run_id,
        # One fixed moment: logged twice, MLflow keeps one value.
        metrics=[Metric(name, value, 0, 0) for name, value in measures.items()],
        params=[Param(name, str(value)) for name, value in trial["parameters"].items()],
        tags=[RunTag("state", trial["state"])],
    )
    client.set_terminated(run_id)
