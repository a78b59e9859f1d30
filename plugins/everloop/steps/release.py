"""From a judged candidate to a rollout under way, or to a refusal that says why; and what people said of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release import rollout
from everloop.decide.release.evidence import trial
from everloop.decide.release.rollout import Action, Kind
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.verdict import Outcome, Reason, combine
from everloop.ports import Decision, Entry, Ledger, Registry
from everloop.release import MODEL, Manifest
from everloop.steps.deciding import act, decide_and_append, mirror
from everloop.use_case import UseCase


@dataclass(frozen=True, kw_only=True)
class _Asked:
    release: str
    actor: str
    reason: str
    now: datetime
    backfill: bool
    forced: bool
    skip_shadow: bool


def release(
    ledger: Ledger,
    registry: Registry,
    use_case: UseCase,
    release_id: str,
    *,
    actor: str,
    reason: str,
    now: datetime,
    backfill: bool = False,
    forced: bool = False,
    skip_shadow: bool = False,
) -> dict[str, Any]:
    """Begin the rollout of `release_id`, or write to the ledger why not.

    Refused: what comes of a backfill; what has learnt from nothing newer than the champion, or recalibrates another booster or
    by no newer labels; what a person rejected; and,
    unless `forced`, what the gate did not pass, what waits for the approval that the policy asks for, what was on trial
    before, or whatever comes while another release is on trial (a forced one takes its place). The watch of a promoted release
    is no obstacle and ends: it waits for labels without a limit, and the gate has held the candidate against that very release.
    Nor is the trial of a recalibration to a release that was trained.
    Labels that come later bring the release before it back no more; a person still can. Running twice changes nothing.
    Returns where the releases stand, and `released`: whether the release is on trial now. Raises `ReleaseError`
    when the bytes of candidate or champion are absent or changed.
    """
    asked = _Asked(
        release=release_id, actor=actor, reason=reason, now=now, backfill=backfill, forced=forced, skip_shadow=skip_shadow
    )
    acted = act(ledger, use_case.name, release_id, lambda state: _judged(ledger, registry, use_case, asked, state), now)
    after = acted.action.after
    on_trial = after.rollout is not None and release_id in (after.challenger, after.champion)
    result = acted.summary() | {"release": release_id, "released": on_trial and acted.action.kind is not Kind.REFUSE}
    return result | {"mirrored": mirror(registry, use_case.name, after)} if result["released"] else result


def policy_of(registry: Registry, use_case: UseCase, release_id: str | None) -> RolloutPolicy:
    """How a release meets traffic: a recalibration by `RecalibrationPolicy.rollout`, any other by `UseCase.rollout`."""
    if use_case.recalibration is None or release_id is None or not registry.get(release_id).manifest.recalibrates:
        return use_case.rollout
    return use_case.recalibration.rollout


def record_approval(
    ledger: Ledger, use_case: UseCase, release_id: str, approved: bool, actor: str, now: datetime, reason: str | None = None
) -> dict[str, Any]:
    """Write that `actor` approved or rejected a release; the same answer of the same person is written once."""
    action = "approved" if approved else "rejected"

    def decide(state: ReleaseState) -> Decision | None:
        answer = _latest(ledger, use_case.name, release_id, "approved", "rejected")
        if answer and (answer.action, answer.actor) == (action, actor):
            return None
        return Decision(actor=actor, action=action, subject=release_id, after=state, reason=reason or f"{action} by {actor}")

    entry = decide_and_append(ledger, use_case.name, decide, now)
    return {"release": release_id, "action": action, "actor": actor, "seq": entry.seq if entry else None}


def _judged(ledger: Ledger, registry: Registry, use_case: UseCase, asked: _Asked, state: ReleaseState) -> Action:
    """Begin, wait where it is on trial or serves already, or refuse."""
    known = asked.release in (state.champion, state.challenger)
    if not known and (refusal := _refusal(ledger, registry, use_case, asked, state)):
        return Action(Kind.REFUSE, state, combine([refusal]), asked.actor)
    name = _rollout_name(ledger, registry, use_case, asked.release)
    if not asked.forced:
        supersede = state.stage is Stage.WATCH or _gives_way(registry, state, asked.release)
        return rollout.begin(state, asked.release, name, asked.now, actor=asked.actor, reason=asked.reason, supersede=supersede)
    return rollout.force(
        state,
        asked.release,
        name,
        policy_of(registry, use_case, asked.release),
        asked.now,
        actor=asked.actor,
        reason=asked.reason,
        skip_shadow=asked.skip_shadow,
        supersede=True,
    )


def _gives_way(registry: Registry, state: ReleaseState, release_id: str) -> bool:
    """Whether a recalibration is on trial and the newcomer is a training: its calibrator is of no use to another booster."""
    on_trial = state.challenger and registry.get(state.challenger).manifest.recalibrates
    return bool(on_trial) and not registry.get(release_id).manifest.recalibrates


def _rollout_name(ledger: Ledger, registry: Registry, use_case: UseCase, release_id: str) -> str:
    """Its number among all trials of the use case, and through when its release has learnt: `3-20130618T000000`.

    The name salts the assignment of entities to arms. It follows from the ledger and the data alone, not from the clock, nor from
    the machine and the code that a release's id tells of: what went wrong once can be played again, with the same arms.
    """
    trials = {entry.after.rollout for entry in ledger.entries(use_case.name)} - {None}
    return f"{len(trials) + 1}-{registry.get(release_id).manifest.trained_through:%Y%m%dT%H%M%S}"


def _refusal(ledger: Ledger, registry: Registry, use_case: UseCase, asked: _Asked, state: ReleaseState) -> Reason | None:
    """The first rule that forbids the release."""
    if asked.backfill:
        text = f"{asked.release} comes of a backfill, and a backfill never promotes: train again on a live run"
        return Reason("release.backfill", Outcome.FAIL, text)
    return (
        _stale(registry, use_case, asked.release, state)
        or _rejected(ledger, registry, use_case, asked)
        or (None if asked.forced else _unproven(ledger, use_case, asked.release))
    )


def _stale(registry: Registry, use_case: UseCase, release_id: str, state: ReleaseState) -> Reason | None:
    candidate = registry.get(release_id).manifest
    if candidate.use_case != use_case.name:
        text = f"{release_id} is a release of {candidate.use_case}, not of {use_case.name}: name one of {use_case.name}"
        return Reason("release.use_case", Outcome.FAIL, text)
    if state.champion is None:
        return None
    champion = registry.get(state.champion).manifest
    if candidate.recalibrates:
        return _other_booster(release_id, candidate, state.champion, champion)
    if candidate.trained_through > champion.trained_through:
        return None
    text = (
        f"{release_id} has learnt through {candidate.trained_through:%Y-%m-%d %H:%MZ}, champion {state.champion} through "
        f"{champion.trained_through:%Y-%m-%d %H:%MZ}: a release must be newer than the champion; train on newer labels, or "
        "revert to go back to an older one"
    )
    numbers = {"trained_through": candidate.trained_through, "champion_trained_through": champion.trained_through}
    return Reason("release.stale", Outcome.FAIL, text, numbers)


def _other_booster(release_id: str, candidate: Manifest, serving: str, champion: Manifest) -> Reason | None:
    """A recalibration takes the place of a release of the same booster whose calibrator knows of older labels."""
    if candidate.files[MODEL] != champion.files[MODEL]:
        text = f"{release_id} recalibrates {candidate.recalibrates}, not what serves ({serving}): recalibrate that"
        return Reason("release.booster", Outcome.FAIL, text)
    if candidate.calibrated_through > champion.calibrated_through:
        return None
    text = (
        f"{release_id} is calibrated through {candidate.calibrated_through:%Y-%m-%d %H:%MZ}, champion {serving} through "
        f"{champion.calibrated_through:%Y-%m-%d %H:%MZ}: recalibrate by newer labels, or revert to go back to an older release"
    )
    numbers = {"calibrated_through": candidate.calibrated_through, "champion_calibrated_through": champion.calibrated_through}
    return Reason("release.stale", Outcome.FAIL, text, numbers)


def _rejected(ledger: Ledger, registry: Registry, use_case: UseCase, asked: _Asked) -> Reason | None:
    answer = _latest(ledger, use_case.name, asked.release, "approved", "rejected")
    if answer and answer.action == "rejected":
        text = f"{asked.release} was rejected by {answer.actor} ({answer.reason}): train another, or have it approved"
        return Reason("release.rejected", Outcome.FAIL, text)
    if answer or asked.forced or not policy_of(registry, use_case, asked.release).approval:
        return None
    text = f"nobody has approved {asked.release}, and {use_case.name} asks for it: answer the approval of its retrain run"
    return Reason("release.approval", Outcome.FAIL, text)


def _unproven(ledger: Ledger, use_case: UseCase, release_id: str) -> Reason | None:
    """Without a person's word a release needs the gate's, and gets one trial."""
    gate = _latest(ledger, use_case.name, release_id, "gate_passed", "gate_failed")
    if gate is None or gate.action != "gate_passed":
        said = f"refused it ({gate.reason})" if gate else "has not judged it"
        return Reason("release.gate", Outcome.FAIL, f"the gate {said}: {release_id} needs a pass, or to be forced with a reason")
    if tried := [e for e in ledger.entries(use_case.name) if trial(e.before)[0] == release_id and ended(e)]:
        last = tried[-1]
        how = f"superseded by {last.subject}" if superseded(last) == release_id else f"{last.action}: {last.reason}"
        text = f"{release_id} was on trial before ({how}): train another, or force it"
        return Reason("release.tried", Outcome.FAIL, text)
    return None


def ended(entry: Entry) -> bool:
    """Whether the row ended a rollout. An experiment is none: what it compared may go on trial."""
    before = entry.before
    return before.rollout is not None and before.stage is not Stage.EXPERIMENT and entry.after.rollout != before.rollout


def superseded(entry: Entry) -> str | None:
    """The release whose trial the row ended by beginning that of the row's subject. A release that is watched stays champion."""
    began = entry.action in (Kind.RELEASE, Kind.FORCE) and ended(entry)
    return entry.before.challenger if began else None


def _latest(ledger: Ledger, use_case: str, release_id: str, *actions: str) -> Entry | None:
    """The last row about a release whose action is one of `actions`."""
    rows = [entry for entry in ledger.entries(use_case, subject=release_id) if entry.action in actions]
    return rows[-1] if rows else None
