"""One look at the experiment under way: gather, read, decide, write; and what the last one showed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from everloop.decide.experiment import course
from everloop.decide.experiment.readout import Readout, read
from everloop.decide.policy import ExperimentPlan
from everloop.decide.release.rollout import Action, Kind
from everloop.decide.release.state import ReleaseState, Stage
from everloop.ports import Decision, Entry, Lake, Ledger, Registry, TrafficLog
from everloop.steps.deciding import decide_and_append, decision_of, mirror
from everloop.steps.experiment.gathering import gather
from everloop.steps.experiment.plans import running
from everloop.use_case import UseCase


@dataclass(frozen=True, kw_only=True)
class Standing:
    """An experiment, the row that started it, and the one that ended it, if any."""

    experiment: str
    plan: ExperimentPlan
    began: Entry
    ended: Entry | None


def look(
    ledger: Ledger, traffic: TrafficLog, registry: Registry, lake: Lake, use_case: UseCase, *, now: datetime
) -> dict[str, Any]:
    """Look once at the experiment of `use_case`, at wall-clock time `now`, and end it or let it go on.

    Going on writes nothing; a readout that ends it is one ledger row, numbers and all. Two looks at once cannot both
    decide. Without an experiment nothing is read. Returns `action`, `reason` and `experiment`.
    """
    chosen: list[Action] = []

    def decide(state: ReleaseState) -> Decision | None:
        chosen.clear()
        if state.stage is not Stage.EXPERIMENT or state.rollout is None:
            return None
        plan, _ = running(ledger, use_case.name, state.rollout)
        readout = read(plan, gather(traffic, registry, lake, use_case, plan, state.rollout), use_case.rollout)
        action = course.advance(state, plan, readout, now)
        chosen.append(action)
        if action.kind is Kind.WAIT:
            return None
        return replace(decision_of(action, state.rollout), reason=_why(action), evidence=readout.to_json())

    entry = decide_and_append(ledger, use_case.name, decide, now)
    if not chosen:
        return {"action": Kind.WAIT.value, "reason": "no experiment is under way", "experiment": None}
    action = chosen[-1]
    told = {"action": action.kind.value, "reason": _why(action)}
    if entry is None:
        return told | {"experiment": action.after.rollout}
    return told | {"experiment": entry.subject, "mirrored": mirror(registry, use_case.name, action.after)}


def _why(action: Action) -> str:
    """What broke, when that stopped it; else what the metric shows, which the readout puts first."""
    return action.reason if action.kind is Kind.STOP else action.verdict.reasons[0].text


def latest(ledger: Ledger, use_case: str) -> Standing | None:
    """The experiment under way, or else the last one; `None` when there never was one."""
    started = ledger.entries(use_case, action=Kind.EXPERIMENT.value)
    if not started:
        return None
    plan, began = running(ledger, use_case, started[-1].subject)
    later = ledger.entries(use_case, after=began.seq)
    ended = next((entry for entry in later if entry.after.rollout != began.subject), None)
    return Standing(experiment=began.subject, plan=plan, began=began, ended=ended)


def read_again(traffic: TrafficLog, registry: Registry, lake: Lake, use_case: UseCase, standing: Standing) -> Readout:
    """What an experiment shows by now: labels ripen after its end too. Decides nothing."""
    return read(standing.plan, gather(traffic, registry, lake, use_case, standing.plan, standing.experiment), use_case.rollout)
