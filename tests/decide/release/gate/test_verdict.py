from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from decide.release.gate.candidates import (
    MARCH,
    POLICY,
    SEVERITY,
    alone_with,
    compared,
    difference,
    estimate,
    evidence,
    outcome,
)
from everloop.decide.release.gate import Difference, judge
from everloop.decide.verdict import Outcome, Reason


def test_a_candidate_shown_to_be_no_worse_passes_with_a_reason_per_check() -> None:
    verdict = judge(evidence(), POLICY)
    assert verdict.passed
    assert [reason.check for reason in verdict.reasons] == [
        "gate.rows", "gate.auc_floor", "gate.calibration", "gate.size", "gate.leakage",
        "gate.behaviour.boundaries", "gate.stale", "gate.comparison", "gate.auc", "gate.cost", "gate.slice.carrier",
    ]  # fmt: skip


def test_a_first_release_is_held_to_the_floors_alone() -> None:
    verdict = judge(alone_with(), POLICY)
    assert verdict.passed
    assert not any(reason.check in ("gate.stale", "gate.comparison") for reason in verdict.reasons)


def test_the_reason_names_the_slice_that_got_worse() -> None:
    verdict = judge(compared(slices={"carrier": {"AA": difference(-0.1), "UA": difference(0.06)}}), POLICY)
    assert "for UA 0.0600" in verdict.because()
    assert "AA" not in verdict.because()


def test_a_candidate_whose_behaviour_nobody_tested_never_passes() -> None:
    verdict = judge(replace(evidence(), behaviour=None), POLICY)
    assert (verdict.outcome, outcome(verdict, "gate.behaviour")) == (Outcome.ERROR, Outcome.ERROR)


def test_further_checks_count() -> None:
    unfair = Reason("fairness.carrier.tpr", Outcome.FAIL, "unfair")
    assert judge(evidence(), POLICY, [unfair]).outcome is Outcome.FAIL


@given(
    harm=st.floats(0, 1),
    auc=st.floats(-0.05, 0.05),
    cost=st.floats(-0.1, 0.1),
    floor=st.floats(0.5, 0.8),
    ece=st.floats(0, 0.2),
    part=st.sampled_from(["auc", "cost", "slice", "floor", "ece", "rows", "age", "size"]),
)
def test_a_worse_candidate_never_improves_the_verdict(harm, auc, cost, floor, ece, part) -> None:
    def judged(extra: float) -> int:
        bad = {name: extra if name == part else 0.0 for name in ("auc", "cost", "slice", "floor", "ece", "rows", "age", "size")}
        given = compared(
            auc=estimate(auc - bad["auc"], 0.005),
            overall=difference(cost + bad["cost"]),
            slices={"carrier": {"AA": difference(cost + bad["slice"])}},
            rows=int(2_000 * (1 - bad["rows"])),
        )
        candidate = replace(
            given.candidate,
            auc=estimate(floor - bad["floor"], 0.01),
            ece=estimate(ece + bad["ece"], 0.01),
            size_mb=100 * bad["size"],
            trained_through=MARCH + timedelta(days=1) - timedelta(days=2 * bad["age"]),
        )
        return SEVERITY.index(judge(replace(given, candidate=candidate), POLICY).outcome)

    assert judged(harm) >= judged(0.0)


@given(
    st.lists(
        st.sampled_from(["candidate.auc", "candidate.ece", "candidate.rows", "auc", "overall", "slices", "rows", "comparison"]),
        min_size=1,
        unique=True,
    )
)
def test_lost_evidence_never_passes(lost: list[str]) -> None:
    nothing = {
        "auc": None,
        "overall": Difference(cost=None, champion_cost=None),
        "slices": {"carrier": {}},
        "rows": 0,
        "ece": None,
    }
    given = compared(**{name: nothing[name] for name in lost if name in ("auc", "overall", "slices", "rows")})
    own = {name.removeprefix("candidate."): nothing[name.removeprefix("candidate.")] for name in lost if "." in name}
    given = replace(given, candidate=replace(given.candidate, **own))
    if "comparison" in lost:
        given = replace(given, comparison=None)
    assert not judge(given, POLICY).passed
