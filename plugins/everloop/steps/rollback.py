"""What a person may do to a rollout at any time: revert, pause, resume, skip, abort."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from everloop.decide.release import rollout
from everloop.decide.release.evidence import trial
from everloop.decide.release.rollout import Action, Kind
from everloop.decide.release.state import ReleaseState
from everloop.decide.verdict import Outcome, Reason, combine
from everloop.errors import ReleaseError
from everloop.ports import Entry, Ledger, Registry
from everloop.steps.deciding import act, mirror
from everloop.steps.release import policy_of
from everloop.use_case import UseCase


def revert(
    ledger: Ledger, registry: Registry, use_case: UseCase, *, to: str | None = None, actor: str, reason: str, now: datetime
) -> dict[str, Any]:
    """Serve an earlier champion again, at once; whatever is on trial ends.

    `to`: a release that was champion before; by default the one before the present champion, never one that was itself
    reverted or rolled back. Running twice changes nothing: a revert without `to` that repeats the ledger's latest row is the
    same one, not a second step back. Raises `ReleaseError` when there is no such release, or its bytes are absent or changed.
    """

    def choose(state: ReleaseState) -> Action:
        entries = ledger.entries(use_case.name)
        if to is None and _repeats(entries, actor, reason):
            return _waiting(state, f"reverted to {state.champion} already; to go back further, name the release in `to`")
        target = _target(use_case.name, entries, to)
        # Bytes that do not verify would leave the scorer where it is: say so now.
        registry.get(target)
        return rollout.revert(state, target, now, actor=actor, reason=reason)

    acted = act(ledger, use_case.name, None, choose, now)
    return acted.summary() | {"mirrored": mirror(registry, use_case.name, acted.action.after)}


def pause(ledger: Ledger, registry: Registry, use_case: UseCase, *, actor: str, reason: str, now: datetime) -> dict[str, Any]:
    """Take the challenger out of the traffic and hold the rollout where it is."""
    return _by_hand(ledger, registry, use_case, lambda state: rollout.pause(state, now, actor=actor, reason=reason), now)


def resume(ledger: Ledger, registry: Registry, use_case: UseCase, *, actor: str, reason: str, now: datetime) -> dict[str, Any]:
    """Go on with the stage that a pause interrupted, from its beginning."""

    def choose(state: ReleaseState) -> Action:
        return rollout.resume(state, policy_of(registry, use_case, trial(state)[0]), now, actor=actor, reason=reason)

    return _by_hand(ledger, registry, use_case, choose, now)


def skip(ledger: Ledger, registry: Registry, use_case: UseCase, *, actor: str, reason: str, now: datetime) -> dict[str, Any]:
    """Go on to the next stage without this one's verdict, in WATCH make the promotion final."""

    def choose(state: ReleaseState) -> Action:
        return rollout.skip(state, policy_of(registry, use_case, trial(state)[0]), now, actor=actor, reason=reason)

    return _by_hand(ledger, registry, use_case, choose, now)


def abort(ledger: Ledger, registry: Registry, use_case: UseCase, *, actor: str, reason: str, now: datetime) -> dict[str, Any]:
    """End the rollout: all traffic to the champion, in WATCH to the previous one."""
    return _by_hand(ledger, registry, use_case, lambda state: rollout.abort(state, now, actor=actor, reason=reason), now)


def champions(entries: Sequence[Entry]) -> list[str]:
    """The champions that stand behind one another, oldest first, the present one last.

    Going back to a champion drops those that came after it: nothing leads back to a release that was reverted.
    """
    standing: list[str] = []
    for entry in entries:
        champion = entry.after.champion
        if champion is None:
            continue
        if champion in standing:
            del standing[standing.index(champion) + 1 :]
        else:
            standing.append(champion)
    return standing


def _by_hand(
    ledger: Ledger, registry: Registry, use_case: UseCase, choose: Callable[[ReleaseState], Action], now: datetime
) -> dict[str, Any]:
    acted = act(ledger, use_case.name, None, choose, now)
    if acted.entry is None:
        return acted.summary()
    return acted.summary() | {"mirrored": mirror(registry, use_case.name, acted.action.after)}


def _target(use_case: str, entries: Sequence[Entry], to: str | None) -> str:
    """The release to go back to, which was champion before."""
    standing = champions(entries)
    if to is not None:
        ever = list(dict.fromkeys(e.after.champion for e in entries if e.after.champion))
        if to not in ever:
            raise ReleaseError(f"{to} never was champion of {use_case} (these were: {ever}): name one of them, or release it")
        return to
    if len(standing) < 2:
        present = standing[-1] if standing else "none"
        raise ReleaseError(f"{use_case} has no champion before the present one ({present}): there is nothing to go back to")
    return standing[-2]


def _repeats(entries: Sequence[Entry], actor: str, reason: str) -> bool:
    if not entries:
        return False
    last = entries[-1]
    return (last.action, last.reason) == (Kind.REVERT.value, f"{actor}: {reason}")


def _waiting(state: ReleaseState, text: str) -> Action:
    return Action(Kind.WAIT, state, combine([Reason("rollout.revert", Outcome.PASS, text)]))
