"""What happens next to a release on trial: wait, go on, promote, conclude, roll back, or ask a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from everloop.decide.policy import FairnessPolicy, RolloutPolicy
from everloop.decide.release import guardrails
from everloop.decide.release.evidence import Evidence
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.verdict import Outcome, Reason, Verdict, combine

UNDER_TRIAL = frozenset({Stage.CHECK, Stage.SHADOW, Stage.CANARY, Stage.WATCH})
"""The stages that `advance` judges. IDLE and PAUSED stay as they are until somebody begins, resumes, aborts or reverts; an
EXPERIMENT has a course of its own."""

_WAITS_FOR = {
    Stage.IDLE: "nothing is on trial",
    Stage.PAUSED: "paused: a person has to resume, abort or revert",
    Stage.EXPERIMENT: "an experiment is under way: a rollout can begin when it has ended",
}

UNJUDGED = FairnessPolicy(error_rate_difference=None)
"""Groups are not looked at."""


class Kind(StrEnum):
    """What an action is; the value is the ledger's word for it. `WAIT` changes nothing and is not written."""

    WAIT = "wait"
    ADVANCE = "advanced"
    PROMOTE = "promoted"
    CONCLUDE = "concluded"
    ROLL_BACK = "rolled_back"
    PAUSE = "paused"
    RESUME = "resumed"
    SKIP = "skipped"
    RELEASE = "released"
    FORCE = "forced"
    REVERT = "reverted"
    REFUSE = "refused"
    EXPERIMENT = "experiment_started"
    CONCLUDE_EXPERIMENT = "experiment_concluded"
    STOP = "experiment_stopped"


@dataclass(frozen=True)
class Action:
    """What to do, the state that it leads to (the same one for `WAIT` and `REFUSE`), and why."""

    kind: Kind
    after: ReleaseState
    verdict: Verdict
    actor: str = "everloop"

    @property
    def reason(self) -> str:
        """One sentence for the ledger and for people."""
        return self.verdict.because()


class Judged(NamedTuple):
    """A reason, and whether the stage needs it to pass; a failure always counts."""

    reason: Reason
    required: bool = True


def advance(
    state: ReleaseState, evidence: Evidence, policy: RolloutPolicy, now: datetime, groups: FairnessPolicy = UNJUDGED
) -> Action:
    """The next action of the rollout that `state` is in, at wall-clock time `now`; `groups`: how unequal groups may be treated.

    Fail: all traffic back to the champion (in WATCH to the previous one), at once. Pass: the next step. Else wait; a stage
    that has traffic but no verdict after `policy.patience` pauses, with no traffic for the challenger, and asks a person.
    The watch waits for its labels without impatience: nothing is at stake that its guardrails do not look at.
    `policy.alpha` bounds the chance that a whole rollout of an equal release is rolled back: `guardrails.level` divides it.
    """
    if state.stage not in UNDER_TRIAL:
        return Action(Kind.WAIT, state, combine([Reason("rollout.stage", Outcome.INCONCLUSIVE, _WAITS_FOR[state.stage])]))
    verdict = _verdict(tuple(_judgements(state, evidence, policy, now, groups)))
    if verdict.outcome is Outcome.FAIL:
        return Action(Kind.ROLL_BACK, _withdrawn(state, now), verdict)
    if verdict.passed:
        return _next(state, policy, now, verdict)
    seen = evidence.check is not None if state.stage is Stage.CHECK else evidence.traffic > 0
    if seen and state.stage is not Stage.WATCH and _elapsed(state, now) > policy.patience:
        return Action(Kind.PAUSE, _paused(state, now), verdict)
    return Action(Kind.WAIT, state, verdict)


def begin(
    state: ReleaseState,
    release: str,
    rollout: str,
    now: datetime,
    *,
    actor: str = "everloop",
    reason: str,
    supersede: bool = False,
) -> Action:
    """Put `release` on trial at CHECK, under the name `rollout`.

    Waits when it already serves or is on trial; refuses while another release is under way, unless `supersede` replaces it
    (in WATCH the promoted release stays champion, and its watch ends). Refuses in any case while an experiment is under way.
    """
    if (stop := _obstacle(state, release, supersede)) is not None:
        return _worded(stop[0], state, stop[1], actor)
    return _worded(Kind.RELEASE, _begun(state, release, rollout, now), reason, actor)


def force(
    state: ReleaseState,
    release: str,
    rollout: str,
    policy: RolloutPolicy,
    now: datetime,
    *,
    actor: str,
    reason: str,
    skip_shadow: bool = False,
    supersede: bool = False,
) -> Action:
    """`begin` by a person's word; `skip_shadow` goes directly to the first canary step, given a champion to fall back on."""
    if (stop := _obstacle(state, release, supersede)) is not None:
        return _worded(stop[0], state, stop[1], actor)
    after = _begun(state, release, rollout, now)
    if skip_shadow and state.champion is not None:
        after = replace(after, stage=Stage.CANARY, weight=policy.steps[0])
    return _worded(Kind.FORCE, after, f"{actor}: {reason}", actor)


def pause(state: ReleaseState, now: datetime, *, actor: str, reason: str) -> Action:
    """Take the challenger out of the traffic and hold the rollout where it is."""
    if state.stage is Stage.WATCH:
        text = f"{state.champion} already serves all traffic, so there is nothing to hold: revert, or let the watch go on"
        return _worded(Kind.REFUSE, state, text, actor)
    if state.stage is Stage.EXPERIMENT:
        return _worded(
            Kind.REFUSE, state, "an experiment cannot be held, since its arms would no longer be alike: stop it", actor
        )
    if state.stage not in UNDER_TRIAL:
        return _worded(Kind.WAIT, state, f"the rollout is {state.stage} already", actor)
    return _worded(Kind.PAUSE, _paused(state, now), f"{actor}: {reason}", actor)


def resume(state: ReleaseState, policy: RolloutPolicy, now: datetime, *, actor: str, reason: str) -> Action:
    """Go on with the stage that a pause interrupted, from its beginning."""
    if state.stage is not Stage.PAUSED or state.resume is None:
        return _worded(Kind.WAIT, state, f"nothing is paused: the stage is {state.stage}", actor)
    step = min(state.step, len(policy.steps) - 1)
    weight = policy.steps[step] if state.resume is Stage.CANARY else 0.0
    after = replace(state, stage=state.resume, resume=None, weight=weight, step=step, since=now)
    return _worded(Kind.RESUME, after, f"{actor}: {reason}", actor)


def skip(state: ReleaseState, policy: RolloutPolicy, now: datetime, *, actor: str, reason: str) -> Action:
    """Go on to the next stage by a person's word, as if this one had passed; in WATCH the promotion is final.

    Refused in CHECK, since a release that the scorer has not loaded cannot answer, and while paused: resume first.
    """
    if state.stage is Stage.IDLE:
        return _worded(Kind.WAIT, state, "nothing is on trial", actor)
    if state.stage not in UNDER_TRIAL or state.stage is Stage.CHECK:
        why = "resume it first" if state.stage is Stage.PAUSED else "the scorer must have loaded the release"
        return _worded(Kind.REFUSE, state, f"the stage {state.stage} cannot be skipped: {why}", actor)
    said = combine([Reason("rollout.request", Outcome.PASS, f"{actor}: {reason}")])
    return replace(_next(state, policy, now, said), kind=Kind.SKIP, actor=actor)


def abort(state: ReleaseState, now: datetime, *, actor: str, reason: str) -> Action:
    """End the rollout: all traffic to the champion, in WATCH to the previous one."""
    if state.stage is Stage.IDLE:
        return _worded(Kind.WAIT, state, "nothing is on trial", actor)
    return _worded(Kind.ROLL_BACK, _withdrawn(state, now), f"{actor}: {reason}", actor)


def revert(state: ReleaseState, to: str, now: datetime, *, actor: str, reason: str) -> Action:
    """Serve release `to` at once, whatever is under way, which ends."""
    if state.champion == to and state.stage is Stage.IDLE:
        return _worded(Kind.WAIT, state, f"{to} serves already and nothing is on trial", actor)
    return _worded(Kind.REVERT, ReleaseState(champion=to, since=now), f"{actor}: {reason}", actor)


def _judgements(
    state: ReleaseState, evidence: Evidence, policy: RolloutPolicy, now: datetime, groups: FairnessPolicy
) -> Iterator[Judged]:
    """What the stage looks at."""
    if state.stage is Stage.CHECK:
        yield Judged(guardrails.load_check(evidence.check, policy))
        return
    yield Judged(_time(state, policy.watch_time if state.stage is Stage.WATCH else policy.minimum_time, now))
    yield Judged(_traffic(evidence))
    trial = guardrails.Trial(stage=state.stage, weight=state.weight, evidence=evidence, policy=policy, groups=groups)
    for guardrail in guardrails.GUARDRAILS:
        if state.stage in guardrail.stages:
            reasons = guardrail.judge(trial, guardrails.level(guardrail, policy, groups))
            yield from (Judged(reason, guardrail.required(trial)) for reason in reasons)


def _verdict(judged: tuple[Judged, ...]) -> Verdict:
    """The worst of what is required; a failure of anything is a failure."""
    counted = [j.reason for j in judged if j.required or j.reason.outcome is Outcome.FAIL]
    return Verdict(combine(counted).outcome, tuple(j.reason for j in judged))


def _time(state: ReleaseState, least: timedelta, now: datetime) -> Reason:
    elapsed = _elapsed(state, now)
    numbers = {"seconds": elapsed.total_seconds(), "least_seconds": least.total_seconds()}
    text = f"{elapsed.total_seconds():.0f} s in {state.stage}, at least {least.total_seconds():.0f} s"
    return Reason("rollout.time", Outcome.PASS if elapsed >= least else Outcome.INCONCLUSIVE, text, numbers)


def _traffic(evidence: Evidence) -> Reason:
    if evidence.traffic:
        return Reason(
            "rollout.traffic", Outcome.PASS, f"{evidence.traffic} rows answered in this stage", {"rows": evidence.traffic}
        )
    return Reason("rollout.traffic", Outcome.INCONCLUSIVE, "no traffic in this stage yet", {"rows": 0})


def _next(state: ReleaseState, policy: RolloutPolicy, now: datetime, verdict: Verdict) -> Action:
    """The state after a stage that passed."""
    if state.stage is Stage.WATCH:
        done = replace(state, stage=Stage.IDLE, rollout=None, since=now)
        return Action(Kind.CONCLUDE, done, verdict)
    if state.champion is None:
        return Action(Kind.PROMOTE, ReleaseState(champion=state.challenger, since=now), verdict)
    if state.stage is Stage.CHECK:
        return Action(Kind.ADVANCE, replace(state, stage=Stage.SHADOW, since=now), verdict)
    step = 0 if state.stage is Stage.SHADOW else state.step + 1
    if step < len(policy.steps):
        return Action(Kind.ADVANCE, replace(state, stage=Stage.CANARY, step=step, weight=policy.steps[step], since=now), verdict)
    promoted = ReleaseState(
        champion=state.challenger, previous=state.champion, rollout=state.rollout, stage=Stage.WATCH, since=now
    )
    return Action(Kind.PROMOTE, promoted, verdict)


def _withdrawn(state: ReleaseState, now: datetime) -> ReleaseState:
    """Without what is on trial. A reverted champion is not kept as `previous`: nothing may lead back to it by default."""
    if state.stage is Stage.WATCH and state.previous is not None:
        return ReleaseState(champion=state.previous, since=now)
    return ReleaseState(champion=state.champion, previous=state.previous, since=now)


def _paused(state: ReleaseState, now: datetime) -> ReleaseState:
    return replace(state, stage=Stage.PAUSED, resume=state.stage, weight=0.0, since=now)


def _begun(state: ReleaseState, release: str, rollout: str, now: datetime) -> ReleaseState:
    return ReleaseState(
        champion=state.champion, previous=state.previous, challenger=release, rollout=rollout, stage=Stage.CHECK, since=now
    )


def _obstacle(state: ReleaseState, release: str, supersede: bool) -> tuple[Kind, str] | None:
    if release == state.champion:
        return Kind.WAIT, f"{release} is the champion already"
    if release == state.challenger:
        return Kind.WAIT, f"{release} is on trial already (stage {state.stage})"
    if state.stage is Stage.EXPERIMENT:
        return Kind.REFUSE, f"experiment {state.rollout} is under way: stop it (`everloop ab stop`), or wait until it has ended"
    if state.stage is not Stage.IDLE and not supersede:
        trial = state.challenger or state.champion
        return Kind.REFUSE, f"{trial} is under way (stage {state.stage}): wait, abort it, or ask to supersede it"
    return None


def _elapsed(state: ReleaseState, now: datetime) -> timedelta:
    return max(timedelta(0), now - state.since) if state.since else timedelta(0)


def _worded(kind: Kind, after: ReleaseState, text: str, actor: str) -> Action:
    """An action that rests on words, not on measurements."""
    outcome = {Kind.WAIT: Outcome.INCONCLUSIVE, Kind.REFUSE: Outcome.FAIL}.get(kind, Outcome.PASS)
    return Action(kind, after, combine([Reason("rollout.request", outcome, text)]), actor)
