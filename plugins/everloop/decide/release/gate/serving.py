"""What the real scorer makes of the candidate, before anybody is asked to approve it."""

from __future__ import annotations

from dataclasses import replace

from everloop.decide.policy import GatePolicy, RolloutPolicy
from everloop.decide.release.evidence import LoadCheck
from everloop.decide.release.guardrails import load_check
from everloop.decide.verdict import Outcome, Reason

CHECK = "gate.scorer"


def served(found: LoadCheck, rollout: RolloutPolicy, policy: GatePolicy) -> list[Reason]:
    """Whether the scorer loads the candidate and answers in time (`RolloutPolicy.check_latency_ms`).

    A scorer that could not be reached says nothing of the candidate: the rollout's check stage will ask it, before any traffic.
    With `GatePolicy.require_scorer` the gate is inconclusive then.
    """
    if found.unreachable is None:
        return [replace(load_check(found, rollout), check=CHECK)]
    if not policy.require_scorer:
        return []
    return [Reason(CHECK, Outcome.INCONCLUSIVE, f"the scorer could not be asked: {found.unreachable}")]
