from __future__ import annotations

import pytest

from everloop.decide.parity_verdict import Standing
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.verdict import Outcome
from everloop.ports import Measurement
from everloop.steps.parity import KIND, latest, standing, standings
from fakes.measurements import InMemoryMeasurements
from fakes.taxi import DAYS, TAXI


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
    found = standing(measurements, TAXI, "old")
    assert found == Standing(release="old", interval=DAYS[1].label, outcome=Outcome.FAIL, because="fail")
    assert latest(measurements, TAXI, "never") is None
    assert standing(measurements, TAXI, "never") is standing(measurements, TAXI, None) is None


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY, Stage.WATCH])
def test_the_release_on_trial_is_held_against_the_other_one(measurements: InMemoryMeasurements, stage: Stage) -> None:
    trial = {"champion": "new", "previous": "old"} if stage is Stage.WATCH else {"champion": "old", "challenger": "new"}
    found = standings(measurements, TAXI, ReleaseState(rollout="r", stage=stage, **trial))
    assert (found.candidate and found.candidate.release, found.baseline and found.baseline.release) == ("new", "old")
