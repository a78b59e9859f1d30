"""What a button does: one decision of a person, written to the ledger in that person's name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from everloop.catalog import use_case
from everloop.errors import EverloopError
from everloop.settings import Settings
from everloop.wiring import Loop, connect

ACTIONS = ("pause", "resume", "abort", "revert")


def press(settings: Settings, name: str, form: Mapping[str, str], *, actor: str) -> str:
    """Do what the form's `action` says, for its `reason`; one sentence about what came of it, refusals too."""
    action, reason = form.get("action", ""), form.get("reason", "").strip()
    if action not in ACTIONS:
        return f'Nothing was done: action is "{action}"; it must be one of {", ".join(ACTIONS)}'
    if not reason:
        return f"Nothing was done: {action} needs a reason; the ledger keeps it"
    try:
        done = _do(connect(use_case(name), settings), action, form.get("to"), actor=actor, reason=reason)
    except EverloopError as error:
        return f"Nothing was done: {error}"
    return f"{action}: {done.get('reason', done)}"


def _do(loop: Loop, action: str, to: str | None, *, actor: str, reason: str) -> dict[str, Any]:
    from everloop.steps import rollback

    asked: dict[str, Any] = {"actor": actor, "reason": reason, "now": datetime.now(UTC)}
    if action == "revert":
        return rollback.revert(loop.ledger, loop.registry, loop.use_case, to=to or None, **asked)
    step = {"pause": rollback.pause, "resume": rollback.resume, "abort": rollback.abort}[action]
    return step(loop.ledger, loop.registry, loop.use_case, **asked)
