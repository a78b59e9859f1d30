from __future__ import annotations

import pytest

from everloop.decide.parity_verdict import Standing
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.verdict import Outcome
from everloop.ports import Decision, Measurement
from everloop.steps.parity import KIND, latest, standing, standings
from fakes.ledger import InMemoryLedger
from fakes.measurements import InMemoryMeasurements
from fakes.taxi import DAYS, TAXI

LEDGER = InMemoryLedger()
"""No release was registered: each has a booster of its own."""


@pytest.fixture
def measurements() -> InMemoryMeasurements:
    """Two days of `old`, the later one failing; one of `new`; and a drift that is nobody's parity."""
    kept = InMemoryMeasurements()
    days = [(DAYS[0], "old", "pass"), (DAYS[1], "old", "fail"), (DAYS[1], "new", "pass")]
    for day, release, verdict in days:
        values = {"kind": KIND, "subject": "window", "value": 0.5, "detail": {"because": verdict}}
        kept.write("taxi", [Measurement(interval=day, release=release, verdict=verdict, **values)])
    drift = Measurement(interval=DAYS[2], release="old", kind="drift", subject="window", value=0.1, verdict="pass")
    kept.write("taxi", [drift])
    return kept


def test_the_latest_interval_that_a_release_served_counts(measurements: InMemoryMeasurements) -> None:
    found = standing(measurements, LEDGER, TAXI, "old")
    assert found == Standing(release="old", interval=DAYS[1].label, outcome=Outcome.FAIL, because="fail")
    assert latest(measurements, LEDGER, TAXI, "never") is None
    assert standing(measurements, LEDGER, TAXI, "never") is standing(measurements, LEDGER, TAXI, None) is None


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY, Stage.WATCH])
def test_the_release_on_trial_is_held_against_the_other_one(measurements: InMemoryMeasurements, stage: Stage) -> None:
    trial = {"champion": "new", "previous": "old"} if stage is Stage.WATCH else {"champion": "old", "challenger": "new"}
    found = standings(measurements, LEDGER, TAXI, ReleaseState(rollout="r", stage=stage, **trial))
    assert (found.candidate and found.candidate.release, found.baseline and found.baseline.release) == ("new", "old")


def test_a_recalibration_stands_as_the_latest_release_of_its_booster_does(measurements: InMemoryMeasurements) -> None:
    """They are served the same features."""
    ledger = InMemoryLedger()
    evidence = {"lineage": {"recalibrates": "old"}}
    row = Decision(actor="x", action="registered", subject="newer", after=ReleaseState(), reason="-", evidence=evidence)
    ledger.append("taxi", row, expected=0, at=DAYS[0].start)
    found = standing(measurements, ledger, TAXI, "newer")
    assert (found and found.release, found and found.outcome) == ("old", Outcome.FAIL)
    values = {"kind": KIND, "subject": "window", "value": 1.0, "detail": {"because": "mended"}}
    measurements.write("taxi", [Measurement(interval=DAYS[2], release="newer", verdict="pass", **values)])
    assert [getattr(standing(measurements, ledger, TAXI, name), "outcome", None) for name in ("old", "newer", "new")] == [
        Outcome.PASS, Outcome.PASS, Outcome.PASS,
    ]  # fmt: skip
