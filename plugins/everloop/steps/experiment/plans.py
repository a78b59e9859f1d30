"""Plans as files and as rows of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec

from everloop.decide.policy import ExperimentPlan
from everloop.decide.release.rollout import Kind
from everloop.errors import ConfigurationError
from everloop.ports import Entry, Ledger


def parse(content: Mapping[str, Any] | bytes) -> ExperimentPlan:
    """A plan from JSON; durations are ISO 8601 (`P7D`) or seconds. `ConfigurationError` tells every problem at once."""
    try:
        given = msgspec.json.decode(content, type=dict[str, Any]) if isinstance(content, bytes) else dict(content)
        known = {field.name for field in fields(ExperimentPlan)}
        if unknown := sorted(given.keys() - known):
            raise ConfigurationError(f"The plan has unknown keys {unknown}: a plan has {sorted(known)}")
        plan = msgspec.convert(given, ExperimentPlan, strict=False)
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"This is no plan of an experiment: {error}; make one by `everloop ab plan --save`") from error
    check(plan)
    return plan


def check(plan: ExperimentPlan) -> None:
    """Raise `ConfigurationError` with all that does not hold together."""
    if problems := plan.problems():
        raise ConfigurationError("The plan does not hold together:\n" + "\n".join(f"  - {problem}" for problem in problems))


def text(plan: ExperimentPlan) -> bytes:
    """A plan as the JSON that `parse` reads, fit to be edited and kept in a repository."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n"


def running(ledger: Ledger, use_case: str, experiment: str) -> tuple[ExperimentPlan, Entry]:
    """The plan of an experiment and the row that started it; `ConfigurationError` when the ledger has none such."""
    rows = ledger.entries(use_case, subject=experiment, action=Kind.EXPERIMENT.value)
    if not rows:
        raise ConfigurationError(f'The ledger of {use_case} starts no experiment "{experiment}": see `everloop ab status`')
    return parse(rows[0].evidence["plan"]), rows[0]
