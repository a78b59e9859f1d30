"""Starting and stopping an experiment by a person's word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from everloop.decide.experiment import course
from everloop.decide.policy import ExperimentPlan
from everloop.decide.release import guardrails
from everloop.decide.release.rollout import Action, Kind
from everloop.decide.release.state import ReleaseState
from everloop.decide.verdict import Outcome, Reason, combine
from everloop.errors import ReleaseError
from everloop.ports import Decision, Lake, Ledger, Registry, Scorer
from everloop.steps.deciding import decide_and_append, decision_of, mirror
from everloop.steps.experiment.gathering import check_segments
from everloop.steps.rollout import load_check
from everloop.use_case import UseCase


def start(
    ledger: Ledger,
    registry: Registry,
    scorer: Scorer,
    lake: Lake,
    use_case: UseCase,
    plan: ExperimentPlan,
    *,
    actor: str,
    reason: str,
    now: datetime,
) -> dict[str, Any]:
    """Begin the experiment of `plan`, or say why not; the row that starts it holds the plan.

    The real scorer must load the treatment and score recent examples, as before a rollout. Raises `ReleaseError` when a
    release is unknown to the registry or of another use case, `ConfigurationError` for segments that the use case lacks.
    """
    check_segments(use_case, plan.segments)
    for release in (plan.control, plan.treatment):
        if (owner := registry.get(release).manifest.use_case) != use_case.name:
            raise ReleaseError(f"{release} is a release of {owner}, not of {use_case.name}: name one of {use_case.name}")
    checked = guardrails.load_check(load_check(registry, scorer, lake, use_case, plan.treatment), use_case.rollout)

    def choose(state: ReleaseState) -> Action:
        if checked.outcome is not Outcome.PASS:
            refused = Reason("experiment.check", Outcome.FAIL, f"the treatment does not pass the load check: {checked.text}")
            return Action(Kind.REFUSE, state, combine([refused]), actor)
        return course.begin(state, plan, use_case.name, now, actor=actor, reason=reason)

    return _written(ledger, registry, use_case, choose, now, {"plan": plan})


def stop(ledger: Ledger, registry: Registry, use_case: UseCase, *, actor: str, reason: str, now: datetime) -> dict[str, Any]:
    """End the experiment under way: all traffic to the control. Needs nothing but the ledger, so nothing can keep it."""
    return _written(ledger, registry, use_case, lambda state: course.stop(state, now, actor=actor, reason=reason), now, {})


def _written(
    ledger: Ledger,
    registry: Registry,
    use_case: UseCase,
    choose: Callable[[ReleaseState], Action],
    now: datetime,
    evidence: dict[str, Any],
) -> dict[str, Any]:
    """Write what was chosen unless it waits or refuses, and tell where things stand."""
    chosen: list[Action] = []

    def decide(state: ReleaseState) -> Decision | None:
        action = choose(state)
        chosen.append(action)
        if action.kind in (Kind.WAIT, Kind.REFUSE):
            return None
        row = decision_of(action, str(action.after.rollout or state.rollout))
        return replace(row, evidence={**row.evidence, **evidence})

    entry = decide_and_append(ledger, use_case.name, decide, now)
    action = chosen[-1]
    told = {"action": action.kind.value, "reason": action.reason, "experiment": entry.subject if entry else None}
    return told | {"mirrored": mirror(registry, use_case.name, action.after)} if entry else told
