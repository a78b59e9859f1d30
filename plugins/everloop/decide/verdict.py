"""What a decision says: pass, fail, inconclusive or error, each with its reasons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """The four outcomes. Only `PASS` lets anything go on."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    FAIL = "fail"


@dataclass(frozen=True)
class Reason:
    """One check, what it saw and what it wanted, in words and in numbers.

    `check` is a stable name such as `gate.auc`; `numbers` holds what an auditor needs to repeat the judgement.
    """

    check: str
    outcome: Outcome
    text: str
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """An outcome and all the reasons that led to it, the passing ones too."""

    outcome: Outcome
    reasons: tuple[Reason, ...]

    @property
    def passed(self) -> bool:
        """True only for `PASS`: inconclusive and error never let anything go on."""
        return self.outcome is Outcome.PASS

    def because(self) -> str:
        """The reasons that decided the outcome, joined into one sentence."""
        return "; ".join(reason.text for reason in self.reasons if reason.outcome is self.outcome)

    def to_json(self) -> dict[str, Any]:
        """`{"outcome", "reasons": [{"check", "outcome", "text", "numbers"}]}`, as the ledger and XCom carry it."""
        reasons = [{"check": r.check, "outcome": str(r.outcome), "text": r.text, "numbers": r.numbers} for r in self.reasons]
        return {"outcome": str(self.outcome), "reasons": reasons}


_SEVERITY = (Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.FAIL)


def combine(reasons: Iterable[Reason]) -> Verdict:
    """The worst outcome of all: fail before error before inconclusive before pass. No reason at all is an error, never a pass."""
    given = tuple(reasons)
    if not given:
        given = (Reason("verdict.evidence", Outcome.ERROR, "no check was made, and absent evidence never passes"),)
    return Verdict(max((reason.outcome for reason in given), key=_SEVERITY.index), given)
