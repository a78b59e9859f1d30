from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.policy import GatePolicy
from everloop.decide.release.gate import Difference
from everloop.decide.release.gate.slices import slices
from everloop.decide.statistics.compare import mean_difference
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason

POLICY = GatePolicy()
CHAMPION = 0.5
RNG = np.random.default_rng(7)


def difference(value: float, half: float = 0.03) -> Difference:
    cost = Estimate(value=value, low=value - half, high=value + half, rows=1_000)
    return Difference(cost=cost, champion_cost=CHAMPION)


def outcomes(found: dict[str, dict[str, Difference]]) -> dict[str, Outcome]:
    return {reason.check.removeprefix("gate.slice."): reason.outcome for reason in slices(found, POLICY)}


HARMLESS = {f"{i}": difference(0.0) for i in range(40)}


def test_what_one_slice_alone_shows_many_together_may_not() -> None:
    suspicious = {"origin": {"JFK": difference(0.06)}}
    assert outcomes(suspicious) == {"origin": Outcome.FAIL}
    assert outcomes(suspicious | {"dest": HARMLESS}) == {"origin": Outcome.PASS, "dest": Outcome.PASS}


def test_a_truly_bad_slice_fails_among_many_harmless_ones() -> None:
    found = outcomes({"origin": {"JFK": difference(0.2)}, "dest": HARMLESS})
    assert found == {"origin": Outcome.FAIL, "dest": Outcome.PASS}


def test_the_numbers_show_the_interval_as_measured_and_as_judged() -> None:
    (reason,) = slices({"origin": {"JFK": difference(0.0), "LGA": difference(0.2)}}, POLICY)
    bad, good = reason.numbers["values"]["LGA"], reason.numbers["values"]["JFK"]
    assert (bad["level"], good["level"]) == (pytest.approx(0.025), pytest.approx(0.05))
    assert bad["adjusted_low"] < bad["low"] == pytest.approx(0.17)
    assert good["adjusted_low"] == pytest.approx(good["low"])
    assert "LGA 0.2000 [0.1657, 0.2343] (2 slices judged together)" in reason.text


def test_what_is_said_of_slices_is_told_whole() -> None:
    one, other = difference(0.0), difference(0.06)
    found = slices({"origin": {"JFK": one}, "dest": {"LAX": other, "SFO": other}, "carrier": {}}, POLICY)
    assert [(reason.check, reason.outcome, reason.text) for reason in found] == [
        (
            "gate.slice.origin", Outcome.PASS,
            "origin: none of 1 values shown worse than the champion by more than 5% (3 slices judged together)",
        ),
        (
            "gate.slice.dest", Outcome.PASS,
            "dest: none of 2 values shown worse than the champion by more than 5% (3 slices judged together)",
        ),
        ("gate.slice.carrier", Outcome.INCONCLUSIVE, "no carrier has 300 rows, so none can be judged: lower "
            "GatePolicy.slice_minimum, or wait"),
    ]  # fmt: skip
    assert found[2].numbers == {"minimum": 300}
    assert found[0].numbers["family"] == 3
    judged = one.cost.at(1 - 0.05 / 3, made_at=0.95)
    assert found[0].numbers["values"] == {
        "JFK": {
            **asdict(one.cost), "level": pytest.approx(0.05 / 3), "adjusted_low": pytest.approx(judged.low),
            "adjusted_high": pytest.approx(judged.high), "limit": 0.025,
        }
    }  # fmt: skip
    bad = {"origin": {"JFK": difference(0.2, 0.03), "LGA": difference(0.3, 0.03)}}
    assert slices(bad, replace(POLICY, slice_margin=0.04))[0] == Reason(
        "gate.slice.origin", Outcome.FAIL,
        "origin: cost per row worse than the champion's by more than 4% for JFK 0.2000 [0.1657, 0.2343], "
        "LGA 0.3000 [0.2657, 0.3343] (2 slices judged together)",
        slices(bad, replace(POLICY, slice_margin=0.04))[0].numbers,
    )  # fmt: skip


def test_a_slice_at_its_margin_is_not_worse_and_one_without_costs_is_not_judged() -> None:
    at_the_margin = Difference(cost=Estimate(value=0.05, low=0.025, high=0.075, rows=1_000), champion_cost=CHAMPION)
    assert outcomes({"origin": {"JFK": at_the_margin}}) == {"origin": Outcome.PASS}
    for lost in ({"cost": None}, {"champion_cost": None}):
        assert outcomes({"origin": {"JFK": replace(difference(0.3), **lost)}}) == {"origin": Outcome.INCONCLUSIVE}


def test_among_many_equal_slices_chance_seldom_fails_one() -> None:
    failed = 0
    for _ in range(300):
        rows = RNG.choice([-3.0, -1.0, 0.0, 1.0, 3.0], p=[0.05, 0.1, 0.7, 0.1, 0.05], size=(30, 400))
        found = {
            "s": {str(i): Difference(cost=mean_difference(row, np.zeros(400)), champion_cost=0.0) for i, row in enumerate(rows)}
        }
        failed += outcomes(found)["s"] is Outcome.FAIL
    assert failed / 300 <= 0.05


SLICES = st.dictionaries(st.sampled_from("abcdef"), st.floats(-0.2, 0.2).map(difference), min_size=1)
SEVERITY = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.FAIL]


def worst(found: dict[str, dict[str, Difference]]) -> int:
    return max(SEVERITY.index(outcome) for outcome in outcomes(found).values())


@given(SLICES, st.sampled_from("abcdef"), st.floats(0, 0.5))
def test_more_harm_to_a_slice_never_improves_the_verdict(found, name, harm) -> None:
    value = found[name].cost.value if name in found else -0.2
    before = found | {name: difference(value)}
    assert worst({"s": found | {name: difference(value + harm)}}) >= worst({"s": before})


@given(SLICES, st.dictionaries(st.text("xyz", min_size=1), st.floats(-0.2, 0).map(difference), max_size=30))
def test_harmless_slices_never_save_a_truly_bad_one_nor_make_an_error(found, harmless) -> None:
    judged = outcomes({"s": found | {"bad": difference(0.3)}, "t": harmless | {"fine": difference(-0.1)}})
    assert judged == {"s": Outcome.FAIL, "t": Outcome.PASS}


def test_a_slice_without_a_value_of_enough_rows_is_inconclusive() -> None:
    assert outcomes({"origin": {}, "dest": HARMLESS}) == {"origin": Outcome.INCONCLUSIVE, "dest": Outcome.PASS}
