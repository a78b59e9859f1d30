"""The gate of a recalibration: the verdict on its forecasts, written to the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from everloop.ports import Ledger, Registry
from everloop.steps.recalibration.plan import verdict_of
from everloop.steps.training.judging import record_verdict
from everloop.use_case import UseCase


def gate(
    ledger: Ledger, registry: Registry, use_case: UseCase, wanted: Mapping[str, Any], release: str, *, now: datetime
) -> dict[str, Any]:
    """`{"release", "outcome", "passed", "because"}`; `gate_passed` or `gate_failed` goes to the ledger.

    The real scorer loads the release in the first stage of its rollout.
    """
    verdict, champion = verdict_of(wanted["verdict"]), wanted["plan"]["champion"]
    record_verdict(ledger, use_case, release, verdict, champion, now)
    registry.annotate(release, use_case.name, {"gate": verdict.outcome.value, "gate_because": verdict.because()[:4_000]})
    return {"release": release, "outcome": verdict.outcome.value, "passed": verdict.passed, "because": verdict.because()}
