"""How a candidate behaves when its inputs are changed on purpose: what was seen, and whether the policy allows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from everloop.decide.policy import GatePolicy
from everloop.decide.policy.behaviour import Test
from everloop.decide.release.gate.margins import share_within, within
from everloop.decide.statistics.compare import Estimate
from everloop.decide.verdict import Outcome, Reason

CHECK = "gate.behaviour"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A test on `rows` rows: how many broke its rule, and the furthest that a score moved against it."""

    rows: int
    broken: int
    worst: float


@dataclass(frozen=True, kw_only=True)
class Boundaries:
    """Rows at the edge of what may come and beyond: how many, and those whose score was no finite probability."""

    rows: int
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """Rows with some inputs disturbed, against the same rows as they were.

    `changed`: decisions that became others. `cost`: cost per row, disturbed minus undisturbed; `undisturbed`: what it was.
    """

    rows: int
    changed: int
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
    numbers: dict[str, Any] = {**asdict(found), "limit": test.share, "tolerance": test.tolerance}
    if not found.rows:
        return Reason(check, Outcome.INCONCLUSIVE, f"{test}: no held-out row has a value to change", numbers)
    outcome = share_within(found.broken, found.rows, test.share, policy.confidence)
    text = f"{test}: broken by {found.broken / found.rows:.2%} of {found.rows} rows, at most {test.share:.2%} allowed"
    return Reason(check, outcome, f"{text} (worst {found.worst:.3f})", numbers)


def _noise(found: Disturbance, policy: GatePolicy) -> Iterator[Reason]:
    what, limits = f"with noise of {policy.behaviour.noise:.0%} of each input's spread", policy.behaviour
    if limits.noise_decisions is not None:
        yield _decisions(f"{CHECK}.noise_decisions", what, found, limits.noise_decisions, policy)
    if limits.noise_cost is not None:
        yield _cost(f"{CHECK}.noise_cost", what, found, limits.noise_cost)


def _absent(found: Mapping[str, Disturbance], policy: GatePolicy) -> Iterator[Reason]:
    for view, limit in policy.behaviour.absent_cost.items():
        check, what = f"{CHECK}.absent.{view}", f"without {view}"
        if view in found:
            yield _cost(check, what, found[view], limit)
        else:
            yield Reason(check, Outcome.ERROR, f"{what}: not tested, since no input comes of it; there are {sorted(found)}")


def _decisions(check: str, what: str, found: Disturbance, limit: float, policy: GatePolicy) -> Reason:
    if not found.rows:
        return Reason(check, Outcome.INCONCLUSIVE, f"{what}: there are no held-out rows")
    outcome = share_within(found.changed, found.rows, limit, policy.confidence)
    text = f"{what} {found.changed / found.rows:.2%} of {found.rows} decisions change, at most {limit:.2%} allowed"
    return Reason(check, outcome, text, {"changed": found.changed, "rows": found.rows, "limit": limit})


def _cost(check: str, what: str, found: Disturbance, limit: float) -> Reason:
    if found.cost is None or found.undisturbed is None:
        return Reason(check, Outcome.INCONCLUSIVE, f"{what}: there are no held-out rows")
    margin = limit * found.undisturbed
    text = f"{what} cost per row rises by {found.cost}, at most {margin:.4f} allowed ({limit:.0%} of {found.undisturbed:.4f})"
    return Reason(check, within(found.cost, margin), text, {**asdict(found.cost), "limit": margin, "margin": limit})
