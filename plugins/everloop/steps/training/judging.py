"""Judge a registered candidate and write the verdict to the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from everloop.decide import fairness, parity_verdict
from everloop.decide.fairness import GroupCounts
from everloop.decide.release.gate import Evidence, judge, served
from everloop.decide.release.state import ReleaseState
from everloop.decide.verdict import Reason, Verdict
from everloop.errors import ConfigurationError
from everloop.ports import Decision, Lake, Ledger, Measurements, Registry, Scorer
from everloop.steps.deciding import decide_and_append
from everloop.steps.parity.standing import standing
from everloop.steps.rollout import load_check
from everloop.use_case import UseCase

ACTOR = "everloop"
_VERDICTS = ("gate_passed", "gate_failed")


def gate(
    ledger: Ledger,
    registry: Registry,
    measurements: Measurements,
    scorer: Scorer,
    lake: Lake,
    use_case: UseCase,
    evaluation: Mapping[str, Any],
    release: str,
    *,
    forced_by: str | None = None,
    reason: str | None = None,
    now: datetime,
) -> dict[str, Any]:
    """`{"release", "outcome", "passed", "forced", "because", "body"}`; `passed` is the verdict's, whatever was forced.

    `because` is one sentence, `body` every reason as a Markdown list. The real scorer loads the registered release and scores
    recent examples, where it can be reached.

    `gate_passed` or `gate_failed` goes to the ledger, once while the verdict on release and champion stands: the same evaluation
    is judged anew when the champion's parity has changed. With `forced_by`, a refused candidate goes on all the same and `forced`
    is written with who and why. The state of the releases is not changed.
    """
    if forced_by and not reason:
        raise ConfigurationError(f"{forced_by} forces release {release} without a reason: give one, the ledger keeps it")
    evidence = msgspec.convert(evaluation["evidence"], Evidence)
    champion = evidence.champion.release if evidence.champion else None
    parity = parity_verdict.for_gate(champion, standing(measurements, ledger, use_case, champion))
    serving = served(load_check(registry, scorer, lake, use_case, release), use_case.rollout, use_case.gate)
    groups = _fairness(evaluation["fairness"], use_case, evidence)
    verdict = judge(evidence, use_case.gate, [*groups, *serving, *parity])
    action = record_verdict(ledger, use_case, release, verdict, champion, now)
    forced = bool(forced_by) and not verdict.passed
    if forced_by and forced:
        _write(ledger, use_case, release, forced_by, "forced", reason or "", {"champion": champion, "overruled": action}, now)
    registry.annotate(
        release, use_case.name, {"gate": verdict.outcome.value, "gate_because": _words(verdict), "forced": str(forced)}
    )
    return {
        "release": release,
        "outcome": verdict.outcome.value,
        "passed": verdict.passed,
        "forced": forced,
        "because": _words(verdict),
        "body": "\n".join(f"- **{found.outcome.value}** {found.text}" for found in verdict.reasons),
    }


def record_verdict(ledger: Ledger, use_case: UseCase, release: str, verdict: Verdict, champion: str | None, now: datetime) -> str:
    """Write a gate's verdict on a release against a champion, unless it is the latest word already; returns the action."""
    action = "gate_passed" if verdict.passed else "gate_failed"
    _write(ledger, use_case, release, ACTOR, action, _words(verdict), {**verdict.to_json(), "champion": champion}, now)
    return action


def _words(verdict: Verdict) -> str:
    return verdict.because()[:4_000]


def _fairness(groups: Mapping[str, Any], use_case: UseCase, evidence: Evidence) -> Iterator[Reason]:
    """The reasons of every group column; a policy without limits reports and does not judge."""
    policy = use_case.fairness
    if not policy.judges:
        return
    weeks = evidence.candidate.rows / evidence.rows_per_week if evidence.rows_per_week else None
    for column, counts in groups.items():
        by_group = msgspec.convert(counts, dict[str, GroupCounts])
        yield from fairness.judge(column, by_group, policy, alpha=1 - use_case.gate.confidence, weeks=weeks).reasons


def _write(
    ledger: Ledger,
    use_case: UseCase,
    release: str,
    actor: str,
    action: str,
    reason: str,
    evidence: Mapping[str, Any],
    now: datetime,
) -> None:
    """Append unless it is the latest word already: a repeated task writes nothing, a verdict that has changed is written."""
    alike = _VERDICTS if action in _VERDICTS else (action,)

    def decide(state: ReleaseState) -> Decision | None:
        said = [entry for entry in ledger.entries(use_case.name, subject=release) if entry.action in alike]
        if said and (said[-1].action, said[-1].evidence.get("champion")) == (action, evidence["champion"]):
            return None
        return Decision(actor=actor, action=action, subject=release, after=state, reason=reason, evidence=evidence)

    decide_and_append(ledger, use_case.name, decide, now)
