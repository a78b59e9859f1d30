"""A sound candidate's evidence, and the same with something changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from everloop.decide.policy import GatePolicy
from everloop.decide.release.gate import Behaviour, Boundaries, Candidate, Champion, Comparison, Difference, Disturbance, Evidence
from everloop.decide.statistics.clusters import Clusters
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Verdict

POLICY = GatePolicy()
MARCH = datetime(2013, 3, 15, tzinfo=UTC)
SEVERITY = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.FAIL]


def estimate(value: float, half: float, rows: int = 5_000) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half, rows=rows)


def difference(value: float, half: float = 0.004, champion_cost: float | None = 0.5) -> Difference:
    return Difference(cost=estimate(value, half), champion_cost=champion_cost)


QUIET = Disturbance(changed=Clusters.independent(5_000, 50), cost=estimate(0.0, 0.001), undisturbed=0.5)
BEHAVIOUR = Behaviour(tests={}, boundaries=Boundaries(rows=40), noise=QUIET, absent={})


def evidence() -> Evidence:
    """A candidate that is a little better than the champion everywhere."""
    return Evidence(
        candidate=Candidate(
            trained_through=MARCH + timedelta(days=28),
            rows=5_000,
            blocks=21,
            auc=estimate(0.72, 0.01),
            ece=estimate(0.03, 0.01),
            size_mb=0.8,
        ),
        behaviour=BEHAVIOUR,
        champion=Champion(release="aaaa", trained_through=MARCH),
        comparison=Comparison(
            rows=5_000,
            blocks=21,
            auc=estimate(0.01, 0.005),
            overall=difference(-0.02),
            slices={"carrier": {"AA": difference(-0.01), "UA": difference(-0.03)}},
        ),
    )


def outcome(verdict: Verdict, check: str) -> Outcome:
    return next(reason.outcome for reason in verdict.reasons if reason.check == check)


def compared(**changes) -> Evidence:
    found = evidence()
    assert found.comparison is not None
    return replace(found, comparison=replace(found.comparison, **changes))


def alone_with(**changes) -> Evidence:
    return Evidence(candidate=replace(evidence().candidate, **changes), behaviour=BEHAVIOUR)
