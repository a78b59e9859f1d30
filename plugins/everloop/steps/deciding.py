"""How every step writes to the ledger: read, decide, append; and when somebody else was first, all of it again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from everloop.decide.state import ReleaseState
from everloop.decide.verdict import Verdict
from everloop.errors import LedgerConflict
from everloop.ports import Decision, Entry, Ledger

_ATTEMPTS = 10


def decide_and_append(
    ledger: Ledger, use_case: str, decide: Callable[[ReleaseState], Decision | None], now: datetime
) -> Entry | None:
    """Append what `decide` makes of the latest state; `None` when it wants nothing written.

    `decide` may be called again, with a newer state, when another writer was first, so it must not change anything itself.
    Raises the last `LedgerConflict` after ten lost races in a row.
    """
    conflict: LedgerConflict | None = None
    for _ in range(_ATTEMPTS):
        seq, state = ledger.head(use_case)
        if (decision := decide(state)) is None:
            return None
        try:
            return ledger.append(use_case, decision, expected=seq, at=now)
        except LedgerConflict as error:
            conflict = error
    assert conflict is not None  # noqa: S101 - every attempt returned or ended in a conflict
    raise conflict


def verdict_evidence(verdict: Verdict) -> dict[str, Any]:
    """A verdict as a ledger row's evidence: each check with its numbers, those that are not finite as text."""
    return {
        "outcome": verdict.outcome.value,
        "reasons": [
            {"check": r.check, "outcome": r.outcome.value, "text": r.text, "numbers": finite(r.numbers)} for r in verdict.reasons
        ],
    }


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
