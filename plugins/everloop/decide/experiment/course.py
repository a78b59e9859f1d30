"""How an experiment begins, goes on and ends: it never releases anything, a person does that with its result."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from everloop.decide.experiment.readout import Conclusion, Readout
from everloop.decide.policy import ExperimentPlan
from everloop.decide.release.rollout import Action, Kind
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.verdict import Outcome, Reason, Verdict, combine


def name_of(layer: str, name: str, now: datetime) -> str:
    """The experiment's id, which salts its assignment: `<layer>/<moment>-<name>`.

    A layer is what experiments of its own change and no other does, here the releases of one use case; experiments in one
    layer exclude each other, those in different layers overlap with independent assignments because their salts differ
    (Tang, Agarwal, O'Brien & Meyer 2010, Overlapping Experiment Infrastructure). The moment makes a second run of a
    plan a new draw, so that what the first one did to its entities falls on both arms alike.
    """
    return f"{layer}/{now:%Y%m%dT%H%M%S}-{name}"


def begin(state: ReleaseState, plan: ExperimentPlan, layer: str, now: datetime, *, actor: str, reason: str) -> Action:
    """Send the treatment its share of the entities. Refuses while anything is on trial, or the control does not serve."""
    if (refusal := _obstacle(state, plan)) is not None:
        return Action(Kind.REFUSE, state, combine([Reason("experiment.request", Outcome.FAIL, refusal)]), actor)
    after = ReleaseState(
        champion=state.champion,
        previous=state.previous,
        challenger=plan.treatment,
        rollout=name_of(layer, plan.name, now),
        stage=Stage.EXPERIMENT,
        weight=plan.weight,
        since=now,
    )
    return Action(Kind.EXPERIMENT, after, _said(f"{actor}: {reason}"), actor)


def advance(state: ReleaseState, plan: ExperimentPlan, readout: Readout, now: datetime) -> Action:
    """What a look at the experiment under way leads to.

    A failed guardrail or a broken assignment stops it, and shown harm concludes it, at once. Any other result waits for
    `minimum_time`; after `maximum_time` it is concluded with what is known. All traffic goes to the control then.
    """
    elapsed = now - state.since if state.since else timedelta(0)
    if not readout.trusted:
        return Action(Kind.STOP, ended(state, now), readout.verdict)
    decided = readout.conclusion in (Conclusion.BETTER, Conclusion.ALIKE) and elapsed >= plan.minimum_time
    if decided or readout.conclusion is Conclusion.WORSE or elapsed >= plan.maximum_time:
        return Action(Kind.CONCLUDE_EXPERIMENT, ended(state, now), readout.verdict)
    return Action(Kind.WAIT, state, readout.verdict)


def stop(state: ReleaseState, now: datetime, *, actor: str, reason: str) -> Action:
    """End the experiment by a person's word: all traffic to the control."""
    if state.stage is not Stage.EXPERIMENT:
        text = f"no experiment is under way (stage {state.stage})"
        return Action(Kind.WAIT, state, combine([Reason("experiment.request", Outcome.INCONCLUSIVE, text)]), actor)
    return Action(Kind.STOP, ended(state, now), _said(f"{actor}: {reason}"), actor)


def ended(state: ReleaseState, now: datetime) -> ReleaseState:
    """Without the treatment."""
    return replace(state, challenger=None, rollout=None, stage=Stage.IDLE, weight=0.0, since=now)


def _obstacle(state: ReleaseState, plan: ExperimentPlan) -> str | None:
    if state.stage is not Stage.IDLE:
        trial = state.challenger or state.champion
        return f"{trial} is under way (stage {state.stage}): wait until that ends, or end it"
    if state.champion != plan.control:
        return f"the control {plan.control} does not serve, {state.champion or 'nothing'} does: plan against what serves"
    if plan.rows < 2:
        return f"the plan is made for {plan.rows} rows: size it by `everloop ab plan --save`, or set `rows`"
    return None


def _said(text: str) -> Verdict:
    return combine([Reason("experiment.request", Outcome.PASS, text)])
