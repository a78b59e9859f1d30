"""The graph `<use case>_retrain`: from a pinned snapshot to a release, or to a refusal with its reasons."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from everloop.errors import ConfigurationError
from everloop.use_case import UseCase
from everloop.wiring import Loop, connect
from everloop.workflow import assets, release, runs
from everloop.workflow.approval import RecordedApproval
from everloop.workflow.attempts import LONG, OUTSIDE
from everloop.workflow.forms import moment, switch, words
from everloop.workflow.pages import page
from everloop.workflow.runs import Json
from everloop.workflow.tasks import task

log = logging.getLogger(__name__)

PAGE = """
- **snapshot**: pins the version of every table, up to the last published interval (or `through`). Who started the run by hand,
  and why, goes to the ledger.
- **training_set**: labelled rows with point-in-time features at those versions, checked by a suite.
- **tune**, **train**: in a fresh process, in the pool `gpu`, or on Spark; a killed training goes on from its checkpoint.
- **evaluate**: candidate and champion on the same later-in-time rows that neither has seen.
- **register**: the release bundle in the store, run and model version in MLflow; a refused candidate can be reviewed there too.
  Its hashes, snapshot, parameters and code go to the ledger, with the rows that asked for it.
- **gate**: pass or refuse, with reasons, to the ledger: floors, behaviour, the champion, fairness, and the real scorer where it
  can be reached; it refuses too while the champion is served other features than those of history. A refusal skips the rest
  and the run stays green: refusing is its work.
- **approve**: a person says yes or no under *Required Actions*; the name goes to the ledger.
- **release**: begins the rollout, unless the candidate is stale or comes of a backfill.

By hand: `reason` says why. `force` goes on after a refusal and needs a `reason`. `drill` spoils the labels on purpose, to see
gate and canary catch it. `skip_shadow` starts at the first canary step.
"""


@dataclass(frozen=True)
class RetrainTasks:
    """What the tasks do; ids, versions and metrics travel between them, rows and models are staged."""

    use_case: UseCase

    def snapshot(self, params: Json) -> Json:
        """The versions to learn from."""
        from everloop.steps import training

        check_form(params)
        through = datetime.fromisoformat(params["through"]) if params.get("through") else None
        loop = connect(self.use_case)
        self._asked(loop, params)
        return training.snapshot(loop.lake, self.use_case, through=through)

    def training_set(self, snapshot: Json, params: Json) -> Json:
        """Labelled rows with the features that were known when the prediction would have been asked for."""
        from everloop.steps import training

        loop, drill = connect(self.use_case), bool(params.get("drill"))
        return training.training_set(loop.lake, loop.features, loop.checks, self.use_case, snapshot, runs.run_name(), drill=drill)

    def tune(self) -> Json:
        """The best of the policy's candidates and search, on a short budget."""
        from everloop.steps import training

        loop = connect(self.use_case)
        return training.tune(loop.lake, self.use_case, runs.run_name(), _work(loop))

    def train(self) -> Json:
        """The model: in a process of its own, or on the cluster."""
        from everloop.steps import training

        loop = connect(self.use_case)
        return training.train(loop.lake, loop.cluster, self.use_case, runs.run_name(), _work(loop))

    def evaluate(self) -> Json:
        """Candidate and champion on the same held-out rows."""
        from everloop.steps import training

        loop = connect(self.use_case)
        return training.evaluate(loop.lake, loop.registry, loop.ledger, self.use_case, runs.run_name())

    def register(self, training_set: Json, tuned: Json, trained: Json, evaluation: Json, params: Json) -> Json:
        """The bundle in the release store, the model version in MLflow, and a ledger row that says what it was made of."""
        from everloop.steps import provenance, training

        loop, run = connect(self.use_case), runs.run_name()
        took = {"training_set": training_set, "tune": tuned, "train": trained, "evaluate": evaluation}
        seconds = {name: result["seconds"] for name, result in took.items() if "seconds" in result}
        made = training.register(loop.lake, loop.registry, self.use_case, run, seconds)
        row = provenance.registered(
            loop.ledger,
            loop.registry,
            self.use_case,
            made["release"],
            run,
            asked_in=self._asked(loop, params),
            version={name: made[name] for name in ("version", "run_id", "url")},
            training_set=training_set,
            now=runs.now(),
        )
        return made | {"row": row}

    def gate(self, registered: Json, evaluation: Json, params: Json, ti: Any) -> Json:
        """The verdict; empty, which skips the rest, when it is a refusal that nobody overrules."""
        from everloop.steps import training

        loop = connect(self.use_case)
        verdict = training.gate(
            loop.ledger,
            loop.registry,
            loop.measurements,
            loop.scorer,
            loop.lake,
            self.use_case,
            evaluation,
            registered["release"],
            forced_by=runs.actor() if params.get("force") else None,
            reason=params.get("reason"),
            now=runs.now(),
        )
        ti.xcom_push("verdict", verdict)
        log.info("Gate: %s: %s", verdict["outcome"], verdict["because"])
        training.clear(loop.lake, runs.run_name(), _work(loop))
        return verdict | {"question": question(verdict, registered)} if verdict["passed"] or verdict["forced"] else {}

    def release(self, registered: Json, params: Json, outlet_events: Any) -> Json:
        """The rollout begins in the ledger; then the event that says so."""
        return release.begin(
            self.use_case,
            registered["release"],
            outlet_events,
            reason=why(params, runs.events()),
            backfill=runs.from_backfill(),
            forced=bool(params.get("force")),
            skip_shadow=bool(params.get("skip_shadow")),
        )

    def _asked(self, loop: Loop, params: Json) -> list[int]:
        """The ledger rows that asked for this run; who started it by hand is written."""
        from everloop.steps import provenance

        run, events, actor, now = runs.run_name(), runs.events(), runs.actor(), runs.now()
        reason = why(params, events)
        return provenance.asked(loop.ledger, self.use_case, run, events, params, actor=actor, reason=reason, now=now)


def _work(loop: Loop) -> Path:
    """Where training processes read and write."""
    return loop.settings.home / "work" / runs.run_name()


def question(verdict: Json, registered: Json) -> str:
    """What a person is asked, in Markdown: every reason of the gate, and where to look."""
    forced = "**The gate refused it; somebody forced it on.**\n\n" if verdict["forced"] else ""
    link = f"[version {registered['version']} in MLflow]({registered['url']})"
    return f"{forced}Release `{verdict['release']}`, {link}.\n\n{verdict['body']}"


def check_form(params: Json) -> None:
    """What a person asked for must hold together; `ConfigurationError` otherwise, before anything is computed."""
    if params.get("skip_shadow") and not params.get("force"):
        raise ConfigurationError("skip_shadow is true and force is false: only a forced rollout may skip its shadow; set both")
    if params.get("force") and not params.get("reason"):
        raise ConfigurationError(
            'force is true and reason is empty: overruling the gate needs a reason; trigger again with "reason"'
        )


def why(params: Json, events: list[Json]) -> str:
    """The reason given by hand, else the one that the monitor's event carries."""
    told = [str(event["reason"]) for event in events if event.get("reason")]
    return params.get("reason") or "; ".join(dict.fromkeys(told)) or "a new model was asked for without a reason"


def graph(use_case: UseCase) -> DAG:
    """`<use case>_retrain`: on the monitor's event, or by hand."""
    with DAG(
        dag_id=f"{use_case.name}_retrain",
        description="Train, judge, ask, release",
        doc_md=page(use_case, PAGE),
        schedule=[assets.retrain(use_case)],
        start_date=use_case.start,
        catchup=False,
        max_active_runs=1,
        params={
            "reason": words("why; goes to the ledger"),
            "through": moment("learn from rows until then only"),
            "force": switch("go on although the gate refuses"),
            "drill": switch("spoil the labels, to see gate and canary catch it"),
            "skip_shadow": switch("begin at the first canary step"),
        },
        tags=["everloop", use_case.name],
        default_args={"owner": use_case.owner, **OUTSIDE},
    ) as dag:
        _wire(use_case, RetrainTasks(use_case))
    return dag


def _wire(use_case: UseCase, tasks: RetrainTasks) -> None:
    training_set: Any = task(tasks.training_set)(task(tasks.snapshot)())
    tuned = task(**LONG, pool="gpu")(tasks.tune)()
    trained = task(**LONG, pool="gpu")(tasks.train)()
    evaluation = task(tasks.evaluate)()
    registered = task(tasks.register)(training_set, tuned, trained, evaluation)
    training_set >> tuned >> trained >> evaluation
    gate = task.short_circuit(tasks.gate)(registered, evaluation)
    release = task(outlets=[assets.sometimes(assets.released(use_case))])(tasks.release)(registered)
    if use_case.rollout.approval:
        gate >> _approval(use_case) >> release
    else:
        gate >> release


def _approval(use_case: UseCase) -> RecordedApproval:
    return RecordedApproval(
        task_id="approve",
        use_case=use_case,
        release="{{ ti.xcom_pull(task_ids='register')['release'] }}",
        subject=f"May this release of {use_case.name} meet traffic?",
        body="{{ ti.xcom_pull(task_ids='gate')['question'] }}",
        response_timeout=use_case.rollout.patience,
        execution_timeout=None,
        # A resume that comes too fast can fail the task (apache/airflow issues 67287, 72716); the retry asks again.
        retries=2,
    )
