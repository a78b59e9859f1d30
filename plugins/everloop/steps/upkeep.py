"""What must be done every day: forget in time, forget on request, delete files nobody needs, check the ledger."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from everloop.decide.release.state import ReleaseState
from everloop.errors import DataError
from everloop.ports import Decision, Lake, Ledger, TrafficLog
from everloop.steps import prediction_log
from everloop.steps.deciding import decide_and_append
from everloop.steps.provenance import trained_as
from everloop.steps.rollback import champions
from everloop.use_case import UseCase

KEEP_VERSIONS = timedelta(days=30)
"""Table versions younger than this are kept, whoever needs them."""

TRAINING_MARGIN = timedelta(days=7)
"""The longest time from a training snapshot to the release's first row in the ledger."""

COVERED = ("prediction log", "prediction log in the lake", "outcomes", "erasure request")
"""What an erasure reaches. The lake's other tables and the online store follow the source system, whose corrections re-open
intervals."""


def retention(traffic: TrafficLog, lake: Lake, use_case: UseCase, *, now: datetime) -> dict[str, Any]:
    """Delete predictions and outcomes older than `use_case.retention`, in data time, which stops at `use_case.end`; and of the
    lake's prediction log the days older than `use_case.lake_retention`, by the wall clock, since they are days of answers.

    Their files go with `vacuum`, like those of any superseded version.
    """
    before = (min(now, use_case.end) if use_case.end else now) - use_case.retention
    deleted, days = traffic.expire(use_case.name, before), prediction_log.expire(lake, now - use_case.lake_retention)
    return {"before": before.isoformat(), "deleted": deleted, "days_in_lake": days}


def erasure(traffic: TrafficLog, lake: Lake, ledger: Ledger, use_case: UseCase, *, now: datetime) -> dict[str, Any]:
    """Carry out the open erasure requests, and write to the ledger how many, never whom.

    Killed anywhere, the next run does it again: a request is closed last.
    """
    requests = traffic.erasure_requests(use_case.name)
    if not requests:
        return {"requests": 0, "predictions": 0, "predictions_in_lake": 0, "covered": list(COVERED)}
    entities = sorted(set(requests.values()))
    deleted, in_lake = traffic.erase(use_case.name, entities), prediction_log.forget(lake, entities)
    numbers = sorted(requests)
    evidence = {"requests": numbers, "predictions": deleted, "predictions_in_lake": in_lake, "covered": list(COVERED)}

    def erased(state: ReleaseState) -> Decision:
        reason = f"{len(numbers)} requests to be forgotten: {deleted} predictions deleted"
        subject = f"erasure requests {numbers[0]} to {numbers[-1]}"
        return Decision(actor="everloop", action="erased", subject=subject, after=state, reason=reason, evidence=evidence)

    decide_and_append(ledger, use_case.name, erased, now)
    traffic.close_erasures(use_case.name, numbers, now)
    return evidence | {"requests": len(numbers)}


def vacuum(lake: Lake, ledger: Ledger, use_case: UseCase, *, now: datetime) -> dict[str, Any]:
    """Delete the lake's files that neither a recent version nor a living release's snapshot needs; files deleted by table."""
    since = keep_since(ledger, use_case, now)
    return {"kept_since": since.isoformat(), "deleted": lake.vacuum(since)}


def keep_since(ledger: Ledger, use_case: UseCase, now: datetime) -> datetime:
    """The moment (wall clock) from which on every table version is kept.

    No living release was trained on a version older than that: its snapshot was pinned before the first row of the ledger that
    speaks of it, or of the release that it recalibrates.
    Living are what serves, what is on trial, and the champion that a revert would go back to.
    """
    entries = ledger.entries(use_case.name)
    _, state = ledger.head(use_case.name)
    named = [name for name in (*champions(entries)[-2:], state.challenger, state.previous) if name]
    living = {*named, *(trained_as(ledger, use_case, name) for name in named)}
    first = [entry.at - TRAINING_MARGIN for entry in entries if entry.subject in living]
    return min([now - KEEP_VERSIONS, *first])


def verify(ledger: Ledger, use_case: UseCase) -> dict[str, Any]:
    """Check the hash chain from its first row; `DataError` names what is broken."""
    if problem := ledger.verify(use_case.name):
        raise DataError(
            f"The ledger of {use_case.name} is broken: {problem}. Somebody changed it behind the loop's back: stop releasing, "
            "compare it with a backup, and find out who"
        )
    seq, _ = ledger.head(use_case.name)
    return {"rows": seq, "intact": True}
