"""How the releases that serve stand: what the monitor measured of them last."""

from __future__ import annotations

from everloop.decide.parity_verdict import Standing, Standings
from everloop.decide.release.evidence import trial
from everloop.decide.release.state import ReleaseState
from everloop.decide.verdict import Outcome
from everloop.ports import Ledger, Measurement, Measurements
from everloop.steps.parity.measuring import KIND
from everloop.steps.provenance import same_booster
from everloop.use_case import UseCase


def latest(measurements: Measurements, ledger: Ledger, use_case: UseCase, release: str) -> Measurement | None:
    """The parity of the latest interval in which `release` served, or one of the same booster, which takes the same features.

    `None` when none was measured.
    """
    alike = same_booster(ledger, use_case, release)
    found = [one for one in measurements.read(use_case.name, kind=KIND) if one.release in alike]
    return found[-1] if found else None


def standing(measurements: Measurements, ledger: Ledger, use_case: UseCase, release: str | None) -> Standing | None:
    """The same as evidence; `None` also for no release."""
    measured = latest(measurements, ledger, use_case, release) if release else None
    if measured is None:
        return None
    return Standing(
        release=measured.release,
        interval=measured.interval.label,
        outcome=Outcome(measured.verdict),
        because=measured.detail["because"],
    )


def standings(measurements: Measurements, ledger: Ledger, use_case: UseCase, state: ReleaseState) -> Standings:
    """Those of the release on trial and of the one it is held against."""
    candidate, baseline = trial(state)
    return Standings(
        candidate=standing(measurements, ledger, use_case, candidate), baseline=standing(measurements, ledger, use_case, baseline)
    )
