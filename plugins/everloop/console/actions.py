"""What a button does: one decision of a person, written to the ledger in that person's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from everloop.adapters.releases import ReleaseFiles
from everloop.catalog import use_case
from everloop.decide.release.state import ReleaseState
from everloop.errors import EverloopError
from everloop.ports import Registry
from everloop.release import Bundle
from everloop.settings import Settings
from everloop.steps import deciding, rollback
from everloop.wiring import Loop, connect

ACTIONS = ("pause", "resume", "skip", "abort", "revert")


@dataclass
class AliasesLater:
    """The part of a registry that a button needs at once, the releases' bytes; MLflow's aliases wait until after the answer.

    A slow or absent MLflow must never keep a person waiting who takes a bad release out of the traffic.
    """

    releases: ReleaseFiles
    waiting: list[ReleaseState] = field(default_factory=list)

    def get(self, release: str) -> Bundle:
        """A release's bytes, verified."""
        return self.releases.get(release)

    def mirror(self, _: str, state: ReleaseState) -> None:
        """Remember what the aliases should say."""
        self.waiting.append(state)


@dataclass(frozen=True)
class Pressed:
    """What a button led to: the sentence to show, and what remains to be done after it is shown."""

    said: str
    loop: Loop | None = None
    aliases: ReleaseState | None = None

    def afterwards(self) -> None:
        """Make MLflow's aliases follow the ledger."""
        if self.loop and self.aliases:
            deciding.mirror(self.loop.registry, self.loop.use_case.name, self.aliases)


def press(settings: Settings, name: str, form: Mapping[str, str], *, actor: str) -> Pressed:
    """Do what the form's `action` says, for its `reason`; refusals are said too."""
    action, reason = form.get("action", ""), form.get("reason", "").strip()
    if action not in ACTIONS:
        return Pressed(f'Nothing was done: action is "{action}"; it must be one of {", ".join(ACTIONS)}')
    if not reason:
        return Pressed(f"Nothing was done: {action} needs a reason; the ledger keeps it")
    registry = AliasesLater(ReleaseFiles(settings.releases, settings.s3_endpoint))
    try:
        loop = connect(use_case(name), settings)
        done = _do(loop, cast(Registry, registry), action, form.get("to"), actor=actor, reason=reason)
    except EverloopError as error:
        return Pressed(f"Nothing was done: {error}")
    return Pressed(f"{action}: {done['reason']}", loop, registry.waiting[-1] if registry.waiting else None)


def _do(loop: Loop, registry: Registry, action: str, to: str | None, *, actor: str, reason: str) -> dict[str, Any]:
    asked: dict[str, Any] = {"actor": actor, "reason": reason, "now": datetime.now(UTC)}
    if action == "revert":
        return rollback.revert(loop.ledger, registry, loop.use_case, to=to or None, **asked)
    step = {"pause": rollback.pause, "resume": rollback.resume, "skip": rollback.skip, "abort": rollback.abort}[action]
    return step(loop.ledger, registry, loop.use_case, **asked)
