"""How the releases that serve stand: what the monitor measured of them last."""

from __future__ import annotations

from everloop.decide.parity_verdict import Standing, Standings
from everloop.decide.release.evidence import trial
from everloop.decide.release.state import ReleaseState
from everloop.decide.verdict import Outcome
from everloop.ports import Measurement, Measurements
from everloop.steps.parity.measuring import KIND
from everloop.use_case import UseCase


def latest(measurements: Measurements, use_case: UseCase, release: str) -> Measurement | None:
    """The parity of the latest interval in which `release` served, `None` when none was measured."""
    found = measurements.read(use_case.name, kind=KIND, release=release)
    return found[-1] if found else None


def standing(measurements: Measurements, use_case: UseCase, release: str | None) -> Standing | None:
    """The same as evidence; `None` also for no release."""
    measured = latest(measurements, use_case, release) if release else None
    if measured is None:
        return None
    return Standing(
        release=measured.release,
        interval=measured.interval.label,
        outcome=Outcome(measured.verdict),
        because=measured.detail["because"],
    )


def standings(measurements: Measurements, use_case: UseCase, state: ReleaseState) -> Standings:
    """Those of the release on trial and of the one it is held against."""
    candidate, baseline = trial(state)
    return Standings(candidate=standing(measurements, use_case, candidate), baseline=standing(measurements, use_case, baseline))
