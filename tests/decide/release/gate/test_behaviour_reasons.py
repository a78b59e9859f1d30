"""What a reason says of a behaviour, word by word and number by number."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from everloop.decide.policy import BehaviourPolicy, Direction, GatePolicy
from everloop.decide.release.gate import Behaviour, Boundaries, Disturbance, Tally
from everloop.decide.release.gate.behaviour import behaves
from everloop.decide.statistics.clusters import Clusters, clustered_rate
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason

UP = Direction(column="schedule__minute", step=60, tolerance=0.05, share=0.01)
POLICY = GatePolicy(behaviour=BehaviourPolicy(tests=(UP,), noise_decisions=0.1, noise_cost=0.05, absent_cost={"weather": 0.5}))
CHANGED, BROKEN = Clusters.independent(800, 48), Clusters.independent(800, 2)
SOUND = Disturbance(changed=CHANGED, cost=Estimate(value=0.01, low=0.0, high=0.02, rows=800), undisturbed=0.5)
NOTHING = Disturbance(changed=Clusters(), cost=None, undisturbed=None)
FOUND = Behaviour(
    tests={UP.name: Tally(broken=BROKEN, worst=0.08)}, boundaries=Boundaries(rows=40), noise=SOUND, absent={"weather": SOUND}
)
COST = asdict(SOUND.cost) if SOUND.cost else {}


def counted(found: Clusters) -> dict:
    low, high = clustered_rate(found, 0.95)
    return {"rows": found.trials, "hits": found.hits, "blocks": found.units, "low": low, "high": high}


def test_what_passes_is_told_whole() -> None:
    assert behaves(FOUND, POLICY) == [
        Reason("gate.behaviour.boundaries", Outcome.PASS, "all of 40 boundary rows have a finite probability", {"rows": 40}),
        Reason(
            "gate.behaviour.direction.schedule__minute", Outcome.PASS,
            f"{UP}: broken by 0.25% [0.07%, 0.91%] of 800 rows of 800 days, at most 1.00% allowed (worst 0.080)",
            counted(BROKEN) | {"worst": 0.08, "limit": 0.01, "tolerance": 0.05},
        ),
        Reason(
            "gate.behaviour.noise_decisions", Outcome.PASS,
            "with noise of 5% of each input's spread the decision changes in 6.00% [4.55%, 7.87%] of 800 rows of 800 days, "
            "at most 10.00% allowed",
            counted(CHANGED) | {"limit": 0.1},
        ),
        Reason(
            "gate.behaviour.noise_cost", Outcome.PASS,
            "with noise of 5% of each input's spread cost per row rises by 0.0100 [0.0000, 0.0200], "
            "at most 0.0250 allowed (5% of 0.5000)",
            {**COST, "limit": 0.025, "margin": 0.05},
        ),
        Reason(
            "gate.behaviour.absent.weather", Outcome.PASS,
            "without weather cost per row rises by 0.0100 [0.0000, 0.0200], at most 0.2500 allowed (50% of 0.5000)",
            {**COST, "limit": 0.25, "margin": 0.5},
        ),
    ]  # fmt: skip


def test_what_was_not_tested_or_had_no_row_is_told_whole() -> None:
    untested = "the candidate's behaviour was not tested: evaluate it again"
    assert behaves(None, POLICY) == [Reason("gate.behaviour", Outcome.ERROR, untested)]
    empty = replace(FOUND, tests={}, boundaries=Boundaries(rows=0), noise=NOTHING, absent={"sky": SOUND, "air": SOUND})
    noise = "with noise of 5% of each input's spread: there are no held-out rows"
    cost = "no cost with noise of 5% of each input's spread: rows of two blocks of time are the least"
    absent = "without weather: not tested, since no input comes of it; there are ['air', 'sky']"
    assert behaves(empty, POLICY) == [
        Reason("gate.behaviour.boundaries", Outcome.INCONCLUSIVE, "no boundary row was scored"),
        Reason(f"gate.behaviour.{UP.name}", Outcome.ERROR, f"{UP.name} was not tested: evaluate the candidate again"),
        Reason("gate.behaviour.noise_decisions", Outcome.INCONCLUSIVE, noise),
        Reason("gate.behaviour.noise_cost", Outcome.INCONCLUSIVE, cost),
        Reason("gate.behaviour.absent.weather", Outcome.ERROR, absent),
    ]
    valueless = behaves(replace(FOUND, tests={UP.name: Tally(broken=Clusters(), worst=0.0)}), POLICY)[1]
    numbers = {"rows": 0, "hits": 0, "blocks": 0, "low": 0.0, "high": 1.0, "worst": 0.0, "limit": 0.01, "tolerance": 0.05}
    assert valueless == Reason(
        f"gate.behaviour.{UP.name}", Outcome.INCONCLUSIVE, f"{UP}: no held-out row has a value to change", numbers
    )


def test_the_first_five_broken_boundary_rows_are_named_and_all_of_them_kept() -> None:
    broken = tuple("abcdef")
    reason = behaves(replace(FOUND, boundaries=Boundaries(rows=40, broken=broken)), POLICY)[0]
    text = "6 of 40 boundary rows have no finite probability: a, b, c, d, e"
    assert reason == Reason("gate.behaviour.boundaries", Outcome.FAIL, text, {"rows": 40, "broken": broken})


@pytest.mark.parametrize("lost", [{"cost": None}, {"undisturbed": None}])
def test_half_of_a_cost_is_no_cost(lost) -> None:
    reasons = behaves(replace(FOUND, noise=replace(SOUND, **lost)), POLICY)
    assert reasons[3].outcome is Outcome.INCONCLUSIVE


def test_a_single_row_shows_that_boundaries_are_kept_and_nothing_of_shares() -> None:
    one = replace(FOUND, tests={UP.name: Tally(broken=Clusters.independent(1, 0), worst=0.0)}, boundaries=Boundaries(rows=1))
    assert [reason.outcome for reason in behaves(one, POLICY)][:2] == [Outcome.PASS, Outcome.INCONCLUSIVE]


def test_rows_of_few_days_show_less_than_as_many_rows_of_many() -> None:
    # 2 of 800 rows, all on one of four days: as many rows that move together are worth a few.
    days = Clusters.of([200] * 4, [2, 0, 0, 0])
    assert behaves(replace(FOUND, tests={UP.name: Tally(broken=days, worst=0.08)}), POLICY)[1].outcome is Outcome.INCONCLUSIVE


def test_how_sure_a_broken_rule_must_be_is_the_policys_confidence() -> None:
    # 5 of 200 rows: Wilson's lower limit is 0.0107 at 95 % and 0.0075 at 99.5 %, Student's quantile for the normal one.
    found = replace(FOUND, tests={UP.name: Tally(broken=Clusters.independent(200, 5), worst=0.08)})
    outcomes = [behaves(found, replace(POLICY, confidence=level))[1].outcome for level in (0.95, 0.995)]
    assert outcomes == [Outcome.FAIL, Outcome.INCONCLUSIVE]
