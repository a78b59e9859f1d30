"""Where a release comes from, in the ledger: who or what asked for its training, and what it was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from everloop.decide.release.state import ReleaseState
from everloop.ports import Decision, Entry, Ledger, Registry
from everloop.release import RECALIBRATES, Manifest, manifest_bytes, sha256
from everloop.steps.deciding import decide_and_append
from everloop.use_case import UseCase

ASKED = "retrain_asked"
"""A person asked for the training run that the row's subject names. What the monitor asks for is `retrain_wanted`."""

RECALIBRATION_WANTED = "recalibration_wanted"
"""Labels, or the schedule, asked for a recalibration of the release that the row's subject names."""

REGISTERED = "registered"
"""A release was made; the evidence names its run and, in `asked_in`, the rows that asked for it."""


def asked(
    ledger: Ledger,
    use_case: UseCase,
    run: str,
    events: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
    *,
    actor: str,
    reason: str,
    now: datetime,
) -> list[int]:
    """The ledger rows that asked for training run `run`, oldest first.

    The monitor's `events` carry theirs. Any other run was started by hand, or by an event of somebody else: `actor`, `reason` and
    the form's `parameters` are written then, once a run, so asking again only finds the row.
    """
    if told := {int(event["row"]) for event in events if event.get("row")}:
        return sorted(told)

    def by_hand(state: ReleaseState) -> Decision | None:
        if ledger.entries(use_case.name, subject=run, action=ASKED):
            return None
        form = {name: value for name, value in parameters.items() if value not in (None, False)}
        return Decision(actor=actor, action=ASKED, subject=run, after=state, reason=reason, evidence={"parameters": form})

    decide_and_append(ledger, use_case.name, by_hand, now)
    return [entry.seq for entry in ledger.entries(use_case.name, subject=run, action=ASKED)]


def registered(
    ledger: Ledger,
    registry: Registry,
    use_case: UseCase,
    release: str,
    run: str,
    *,
    asked_in: Sequence[int],
    version: Mapping[str, str],
    training_set: Mapping[str, Any] | None,
    now: datetime,
) -> int:
    """Write what `release` is and how it came to be; returns the row's number, the same one when asked again.

    `asked_in`: the rows that asked for run `run`. `version`: where people review it. `training_set`: what that step of a training
    counted. The same snapshot trained by another run gives the same release, and a row of its own.
    """

    def decide(state: ReleaseState) -> Decision | None:
        if _of_run(ledger, use_case, release, run):
            return None
        manifest = registry.get(release).manifest
        evidence = {
            "run": run, "asked_in": list(asked_in), **_made_of(manifest), "training_set": training_set, "version": version,
        }  # fmt: skip
        return Decision(
            actor="everloop", action=REGISTERED, subject=release, after=state, reason=_words(manifest, run), evidence=evidence
        )

    decide_and_append(ledger, use_case.name, decide, now)
    return _of_run(ledger, use_case, release, run)[-1].seq


def _of_run(ledger: Ledger, use_case: UseCase, release: str, run: str) -> list[Entry]:
    rows = ledger.entries(use_case.name, subject=release, action=REGISTERED)
    return [row for row in rows if row.evidence.get("run") == run]


def _made_of(manifest: Manifest) -> dict[str, Any]:
    """What an auditor compares with the bundle's bytes: the release's id is how the manifest's SHA-256 begins."""
    return {
        "manifest_sha256": sha256(manifest_bytes(manifest)),
        "files_sha256": manifest.files,
        "snapshot": manifest.snapshot,
        "trained_from": manifest.trained_from.isoformat(),
        "trained_through": manifest.trained_through.isoformat(),
        "parameters": manifest.parameters,
        "threshold": manifest.threshold,
        "metrics": manifest.metrics,
        "lineage": manifest.lineage,
    }


def _words(manifest: Manifest, run: str) -> str:
    if manifest.recalibrates:
        return (
            f"recalibrates {manifest.recalibrates} in run {run}, by labels through {manifest.calibrated_through:%Y-%m-%d %H:%MZ}"
        )
    tables = ", ".join(f"{name} version {version}" for name, version in sorted(manifest.snapshot.items()))
    first, last = (f"{moment:%Y-%m-%d %H:%MZ}" for moment in (manifest.trained_from, manifest.trained_through))
    code = manifest.lineage.get("git_commit", "unknown")
    return f"trained by run {run} on labels from {first} through {last}; {tables or 'no table'}; code {code}"


def trained_as(ledger: Ledger, use_case: UseCase, release: str) -> str:
    """The release that the booster of `release` was trained as: itself, unless it is a recalibration."""
    rows = ledger.entries(use_case.name, subject=release, action=REGISTERED)
    return str(rows[-1].evidence.get("lineage", {}).get(RECALIBRATES, release)) if rows else release


def same_booster(ledger: Ledger, use_case: UseCase, release: str) -> set[str]:
    """All releases that have the booster of `release`."""
    trained = trained_as(ledger, use_case, release)
    rows = ledger.entries(use_case.name, action=REGISTERED)
    return {trained, *(row.subject for row in rows if row.evidence.get("lineage", {}).get(RECALIBRATES) == trained)}
