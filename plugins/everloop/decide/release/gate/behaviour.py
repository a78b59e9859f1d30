"""How a candidate behaves when its inputs are changed on purpose: what was seen, and whether the policy allows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from everloop.decide.policy import GatePolicy
from everloop.decide.policy.behaviour import Test
from everloop.decide.release.gate.margins import MEAN_NEEDS, kept, measured_on, share_within
from everloop.decide.statistics.clusters import Clusters, clustered_rate
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason

CHECK = "gate.behaviour"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A test: by block of time, the rows it was made on and how many broke its rule; the furthest a score moved against it."""

    broken: Clusters
    worst: float


@dataclass(frozen=True, kw_only=True)
class Boundaries:
    """Rows at the edge of what may come and beyond: how many, and those whose score was no finite probability."""

    rows: int
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """Rows with some inputs disturbed, against the same rows as they were.

    `changed`: by block of time, the rows and how many of their decisions became others. `cost`: cost per row, disturbed minus
    undisturbed; `undisturbed`: what it was.
    """

    changed: Clusters
    cost: Estimate | None
    undisturbed: float | None


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """All that was tried: each of the policy's tests by name, boundary rows, noise, and by view what its absence does."""

    tests: Mapping[str, Tally]
    boundaries: Boundaries
    noise: Disturbance
    absent: Mapping[str, Disturbance]


def behaves(found: Behaviour | None, policy: GatePolicy) -> list[Reason]:
    """A reason for each test, for the boundary rows, and for noise and absent views where the policy sets a limit."""
    if found is None:
        return [Reason(CHECK, Outcome.ERROR, "the candidate's behaviour was not tested: evaluate it again")]
    tests = [_test(test, found.tests.get(test.name), policy) for test in policy.behaviour.tests]
    return [_boundaries(found.boundaries), *tests, *_noise(found.noise, policy), *_absent(found.absent, policy)]


def _boundaries(found: Boundaries) -> Reason:
    check = f"{CHECK}.boundaries"
    if not found.rows:
        return Reason(check, Outcome.INCONCLUSIVE, "no boundary row was scored")
    if found.broken:
        text = f"{len(found.broken)} of {found.rows} boundary rows have no finite probability: {', '.join(found.broken[:5])}"
        return Reason(check, Outcome.FAIL, text, asdict(found))
    text = f"all of {found.rows} boundary rows have a finite probability"
    return Reason(check, Outcome.PASS, text, {"rows": found.rows})


def _test(test: Test, found: Tally | None, policy: GatePolicy) -> Reason:
    check = f"{CHECK}.{test.name}"
    if found is None:
        return Reason(check, Outcome.ERROR, f"{test.name} was not tested: evaluate the candidate again")
    numbers: dict[str, Any] = {
        **_told(found.broken, policy),
        "worst": found.worst,
        "limit": test.share,
        "tolerance": test.tolerance,
    }
    if not found.broken.trials:
        return Reason(check, Outcome.INCONCLUSIVE, f"{test}: no held-out row has a value to change", numbers)
    outcome = share_within(found.broken, test.share, policy)
    text = f"{test}: broken by {_share(found.broken, policy)}, at most {test.share:.2%} allowed"
    return Reason(check, outcome, f"{text} (worst {found.worst:.3f})", numbers)


def _told(found: Clusters, policy: GatePolicy) -> dict[str, Any]:
    """What was counted, and the interval of its share."""
    low, high = clustered_rate(found, policy.confidence)
    return {"rows": int(found.trials), "hits": int(found.hits), "blocks": found.units, "low": low, "high": high}


def _share(found: Clusters, policy: GatePolicy) -> str:
    low, high = clustered_rate(found, policy.confidence)
    on = measured_on(int(found.trials), found.units, policy)
    return f"{found.rate:.2%} [{low:.2%}, {high:.2%}] of {on}"


def _noise(found: Disturbance, policy: GatePolicy) -> Iterator[Reason]:
    what, limits = f"with noise of {policy.behaviour.noise:.0%} of each input's spread", policy.behaviour
    if limits.noise_decisions is not None:
        yield _decisions(f"{CHECK}.noise_decisions", what, found, limits.noise_decisions, policy)
    if limits.noise_cost is not None:
        yield _cost(f"{CHECK}.noise_cost", what, found, limits.noise_cost, policy)


def _absent(found: Mapping[str, Disturbance], policy: GatePolicy) -> Iterator[Reason]:
    for view, limit in policy.behaviour.absent_cost.items():
        check, what = f"{CHECK}.absent.{view}", f"without {view}"
        if view in found:
            yield _cost(check, what, found[view], limit, policy)
        else:
            yield Reason(check, Outcome.ERROR, f"{what}: not tested, since no input comes of it; there are {sorted(found)}")


def _decisions(check: str, what: str, found: Disturbance, limit: float, policy: GatePolicy) -> Reason:
    if not found.changed.trials:
        return Reason(check, Outcome.INCONCLUSIVE, f"{what}: there are no held-out rows")
    outcome = share_within(found.changed, limit, policy)
    text = f"{what} the decision changes in {_share(found.changed, policy)}, at most {limit:.2%} allowed"
    return Reason(check, outcome, text, {**_told(found.changed, policy), "limit": limit})


def _cost(check: str, what: str, found: Disturbance, limit: float, policy: GatePolicy) -> Reason:
    if found.cost is None or found.undisturbed is None:
        return Reason(check, Outcome.INCONCLUSIVE, f"no cost {what}: {MEAN_NEEDS}")
    margin = limit * found.undisturbed
    text = f"{what} cost per row rises by {found.cost}, at most {margin:.4f} allowed ({limit:.0%} of {found.undisturbed:.4f})"
    return Reason(check, kept(found.cost, margin, policy), text, {**asdict(found.cost), "limit": margin, "margin": limit})
