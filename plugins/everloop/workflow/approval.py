"""Asking a person before a release meets traffic, and writing the answer to the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from everloop.use_case import UseCase
from everloop.wiring import connect
from everloop.workflow import runs

if TYPE_CHECKING:
    from airflow.sdk import Context


class RecordedApproval(ApprovalOperator):
    """Approve or Reject, under *Required Actions*; the ledger gets the answer and the name before anything follows from it.

    `release` is the (templated) id of the release that is asked about. Without an answer the task fails after
    `response_timeout`: silence is no approval. If the ledger cannot be written the task is retried, and asks again.
    """

    template_fields = (*ApprovalOperator.template_fields, "release")

    def __init__(self, *, use_case: UseCase, release: str, **options: Any) -> None:
        super().__init__(**options)
        self.use_case = use_case
        self.release = release

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Airflow calls this with the answer, or with an error when there was none in time."""
        if "error" not in event:
            self.record(approved=self.APPROVE in event["chosen_options"], actor=answerer(event))
        return super().execute_complete(context=context, event=event)

    def record(self, *, approved: bool, actor: str) -> None:
        """Write `approved` or `rejected` to the ledger."""
        from everloop.steps import release

        loop = connect(self.use_case)
        release.record_approval(loop.ledger, self.use_case, self.release, approved, actor, runs.now())


def answerer(event: Mapping[str, Any]) -> str:
    """The name of the person who answered; Airflow gives none when a default was taken for them."""
    user = event.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "nobody (Airflow named no user)")
