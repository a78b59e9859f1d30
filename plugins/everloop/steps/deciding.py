"""How every step writes to the ledger: read, decide, append; and when somebody else was first, all of it again."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from everloop.decide.release.rollout import Action, Kind
from everloop.decide.release.state import ReleaseState
from everloop.errors import LedgerConflict
from everloop.ports import Decision, Entry, Ledger, Registry

_ATTEMPTS = 10
_LOG = logging.getLogger(__name__)


def decide_and_append(
    ledger: Ledger, use_case: str, decide: Callable[[ReleaseState], Decision | None], now: datetime
) -> Entry | None:
    """Append what `decide` makes of the latest state; `None` when it wants nothing written.

    `decide` may be called again, with a newer state, when another writer was first, so it must not change anything itself.
    Numbers of the evidence that are not finite are written as text. Raises `LedgerConflict` after ten lost races in a row.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        seq, state = ledger.head(use_case)
        if (decision := decide(state)) is None:
            return None
        try:
            return ledger.append(use_case, replace(decision, evidence=finite(decision.evidence)), expected=seq, at=now)
        except LedgerConflict:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


@dataclass(frozen=True)
class Acted:
    """What was decided and, unless there was nothing to write, the row that says so."""

    action: Action
    entry: Entry | None

    def summary(self) -> dict[str, Any]:
        """Where the releases stand now and why, as JSON."""
        after = self.action.after
        return {
            "action": self.action.kind.value,
            "reason": self.action.reason,
            "stage": after.stage.value,
            "champion": after.champion,
            "challenger": after.challenger,
            "rollout": after.rollout,
            "weight": after.weight,
            "seq": self.entry.seq if self.entry else None,
        }


def act(ledger: Ledger, use_case: str, subject: str | None, choose: Callable[[ReleaseState], Action], now: datetime) -> Acted:
    """Write the action that `choose` takes on the latest state, about `subject` (a release; by default the one on trial).

    Waiting writes nothing, nor does a refusal that is the latest word on its subject already.
    """
    chosen: list[Action] = []

    def decide(state: ReleaseState) -> Decision | None:
        action = choose(state)
        chosen.append(action)
        if action.kind is Kind.WAIT:
            return None
        about = subject or state.challenger or state.champion or use_case
        return None if _said_already(ledger, use_case, about, action) else decision_of(action, about)

    entry = decide_and_append(ledger, use_case, decide, now)
    return Acted(chosen[-1], entry)


def decision_of(action: Action, subject: str) -> Decision:
    """An action as the row to write, the verdict with all its numbers as evidence."""
    return Decision(
        actor=action.actor,
        action=action.kind.value,
        subject=subject,
        after=action.after,
        reason=action.reason,
        evidence=action.verdict.to_json(),
    )


def mirror(registry: Registry, use_case: str, state: ReleaseState) -> bool:
    """Make MLflow's aliases say what the ledger says; `False`, and a warning, when that fails.

    The aliases are a copy for reviewers. The decision stands in the ledger already, so no failure here may undo or hide it;
    the next decision mirrors again.
    """
    try:
        registry.mirror(use_case, state)
    except Exception:
        _LOG.warning(
            "The aliases of %s could not be mirrored; the ledger stands, and the next decision tries again",
            use_case,
            exc_info=True,
        )
        return False
    return True


def finite(value: Any) -> Any:
    """`value` with every NaN and infinity, at any depth, as the text "nan", "inf" or "-inf", which JSON can hold.

    An unbounded interval is evidence too, and must never keep a decision from being written.
    """
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    return value


def _said_already(ledger: Ledger, use_case: str, subject: str, action: Action) -> bool:
    if action.kind is not Kind.REFUSE:
        return False
    rows = ledger.entries(use_case, subject=subject)
    return bool(rows) and (rows[-1].action, rows[-1].reason) == (action.kind.value, action.reason)
