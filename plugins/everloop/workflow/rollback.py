"""The graph `<use case>_rollback`: back to an earlier release, at once, by hand."""

from __future__ import annotations

from dataclasses import dataclass

from airflow.sdk import DAG, Param

from everloop.use_case import UseCase
from everloop.wiring import connect
from everloop.workflow import runs
from everloop.workflow.attempts import OUTSIDE
from everloop.workflow.forms import words
from everloop.workflow.pages import page
from everloop.workflow.runs import Json
from everloop.workflow.tasks import task

PAGE = """
- **rollback**: the ledger names the earlier release as champion, and any trial under way ends. The scoring service follows within
  two seconds and fails no request. Model, features, threshold and schema go back together.

`to` names a release; empty means the champion before this one. `reason` goes to the ledger.
"""


@dataclass(frozen=True)
class RollbackTasks:
    """What the task does."""

    use_case: UseCase

    def rollback(self, params: Json) -> Json:
        """One row in the ledger; the scorer follows."""
        from everloop.steps import rollback

        loop = connect(self.use_case)
        return rollback.revert(
            loop.ledger,
            loop.registry,
            self.use_case,
            to=params.get("to") or None,
            actor=runs.actor(),
            reason=params["reason"],
            now=runs.now(),
        )


def graph(use_case: UseCase) -> DAG:
    """`<use case>_rollback`: by hand only."""
    with DAG(
        dag_id=f"{use_case.name}_rollback",
        description="Back to an earlier release, at once",
        doc_md=page(use_case, PAGE),
        schedule=None,
        start_date=use_case.start,
        catchup=False,
        params={
            "to": words("the release to go back to; empty: the champion before this one"),
            "reason": Param("reverted by hand", type="string", minLength=1, description_md="why; goes to the ledger"),
        },
        tags=["everloop", use_case.name],
        default_args={"owner": use_case.owner, **OUTSIDE},
    ) as dag:
        task(RollbackTasks(use_case).rollback)()
    return dag
