from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.policy import BehaviourPolicy, Direction, GatePolicy, Invariance
from everloop.decide.release.gate import Behaviour, Boundaries, Disturbance, Tally
from everloop.decide.release.gate.behaviour import behaves
from everloop.decide.statistics.clusters import Clusters
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, combine

SAME = Invariance(column="plane__year", step=1, tolerance=0.05, share=0.01)
LATER = Direction(column="schedule__minute", step=60, tolerance=0.05, share=0.01)
POLICY = GatePolicy(
    behaviour=BehaviourPolicy(tests=(SAME, LATER), noise_decisions=0.1, noise_cost=0.05, absent_cost={"weather": 0.5})
)
SEVERITY = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.FAIL]


def disturbance(changed: int = 100, cost: float = 0.0, rows: int = 5_000) -> Disturbance:
    return Disturbance(
        changed=Clusters.independent(rows, changed),
        cost=Estimate(value=cost, low=cost - 0.005, high=cost + 0.005, rows=rows),
        undisturbed=0.5,
    )


def tally(broken: int, rows: int = 5_000, worst: float = 0.08) -> Tally:
    return Tally(broken=Clusters.independent(rows, broken), worst=worst)


SOUND = Behaviour(
    tests={SAME.name: tally(20), LATER.name: tally(0, worst=0.0)},
    boundaries=Boundaries(rows=40),
    noise=disturbance(),
    absent={"weather": disturbance(cost=0.1)},
)
NOTHING = Disturbance(changed=Clusters(), cost=None, undisturbed=None)


def outcomes(found: Behaviour | None, policy: GatePolicy = POLICY) -> dict[str, Outcome]:
    return {reason.check.removeprefix("gate.behaviour."): reason.outcome for reason in behaves(found, policy)}


def with_test(test, found: Tally) -> Behaviour:
    return replace(SOUND, tests={**SOUND.tests, test.name: found})


def test_a_sound_candidate_passes_with_a_reason_for_each_test() -> None:
    assert outcomes(SOUND) == dict.fromkeys(
        ["boundaries", "invariance.plane__year", "direction.schedule__minute", "noise_decisions", "noise_cost", "absent.weather"],
        Outcome.PASS,
    )


@pytest.mark.parametrize(
    ("found", "check", "expected"),
    [
        (with_test(SAME, tally(80)), "invariance.plane__year", Outcome.FAIL),
        (with_test(SAME, tally(53)), "invariance.plane__year", Outcome.INCONCLUSIVE),
        (with_test(SAME, tally(48)), "invariance.plane__year", Outcome.INCONCLUSIVE),
        (with_test(LATER, tally(2_000)), "direction.schedule__minute", Outcome.FAIL),
        (with_test(LATER, tally(0, rows=0)), "direction.schedule__minute", Outcome.INCONCLUSIVE),
        (replace(SOUND, tests={SAME.name: SOUND.tests[SAME.name]}), "direction.schedule__minute", Outcome.ERROR),
        (replace(SOUND, boundaries=Boundaries(rows=40, broken=("x = 1e+30",))), "boundaries", Outcome.FAIL),
        (replace(SOUND, boundaries=Boundaries(rows=0)), "boundaries", Outcome.INCONCLUSIVE),
        (replace(SOUND, noise=disturbance(changed=700)), "noise_decisions", Outcome.FAIL),
        (replace(SOUND, noise=disturbance(changed=510)), "noise_decisions", Outcome.INCONCLUSIVE),
        (replace(SOUND, noise=disturbance(cost=0.04)), "noise_cost", Outcome.FAIL),
        (replace(SOUND, noise=disturbance(cost=0.022)), "noise_cost", Outcome.INCONCLUSIVE),
        (replace(SOUND, noise=NOTHING), "noise_cost", Outcome.INCONCLUSIVE),
        (replace(SOUND, absent={"weather": disturbance(cost=0.3)}), "absent.weather", Outcome.FAIL),
        (replace(SOUND, absent={}), "absent.weather", Outcome.ERROR),
    ],
)
def test_each_misbehaviour_stops_the_candidate(found: Behaviour, check: str, expected: Outcome) -> None:
    assert outcomes(found)[check] is expected
    assert not combine(behaves(found, POLICY)).passed


def test_without_limits_noise_and_absent_views_are_measured_and_not_judged() -> None:
    wild = replace(SOUND, noise=disturbance(changed=4_000, cost=0.4), absent={"weather": disturbance(cost=0.4)})
    assert outcomes(wild, GatePolicy()) == {"boundaries": Outcome.PASS}


def test_a_reason_says_what_must_hold_how_often_it_did_not_and_what_is_allowed() -> None:
    reason = next(r for r in behaves(with_test(LATER, tally(2_000, worst=0.4)), POLICY) if "direction" in r.check)
    assert reason.text == (
        "schedule__minute up by 60 must not lower a score by more than 0.05: "
        "broken by 40.00% [38.65%, 41.37%] of 5,000 rows of 5,000 days, at most 1.00% allowed (worst 0.400)"
    )


@given(st.integers(1, 3_000), st.data(), st.integers(0, 3_000), st.floats(0, 1))
def test_breaking_more_rows_never_improves_the_verdict(rows, data, more, share) -> None:
    policy = GatePolicy(behaviour=BehaviourPolicy(tests=(replace(LATER, share=share),)))
    broken = data.draw(st.integers(0, rows))
    before = outcomes(with_test(LATER, tally(broken, rows)), policy)["direction.schedule__minute"]
    after = outcomes(with_test(LATER, tally(min(rows, broken + more), rows)), policy)["direction.schedule__minute"]
    assert SEVERITY.index(after) >= SEVERITY.index(before)


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (BehaviourPolicy(tests=(SAME, SAME)), "invariance.plane__year more than once"),
        (BehaviourPolicy(tests=(replace(SAME, values=("a",)),)), "has values and a step"),
        (BehaviourPolicy(tests=(replace(LATER, step=0),)), "step is 0"),
        (BehaviourPolicy(tests=(replace(LATER, share=1.5),)), "share is 1.5"),
        (BehaviourPolicy(noise=0), "noise is 0"),
        (BehaviourPolicy(noise_decisions=2), "noise_decisions is 2"),
        (BehaviourPolicy(rows=0), "rows is 0"),
    ],
)
def test_a_policy_that_does_not_hold_together_is_told(policy: BehaviourPolicy, told: str) -> None:
    (problem,) = GatePolicy(behaviour=policy).problems()
    assert told in problem
