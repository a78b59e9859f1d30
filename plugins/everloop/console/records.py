"""What the page shows, gathered from the ledger and the measurements as plain values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from everloop.decide.release.state import ReleaseState, Stage
from everloop.ports import Entry, Ledger, Measurement, Measurements
from everloop.release import RECALIBRATES
from everloop.steps.provenance import REGISTERED
from everloop.steps.release import superseded

ROWS = 40
"""How many rows of the ledger are shown; all of them are in the ledger."""

WINDOWS = 60
"""How many intervals a chart shows."""

_FATES = {
    "released": "on trial",
    "forced": "forced",
    "promoted": "promoted",
    "concluded": "promotion final",
    "rolled_back": "rolled back",
    "rejected": "rejected by a person",
}
"""The ledger's words for what becomes of a release, and the page's."""


@dataclass
class ReleaseRow:
    """What became of one release: when it was judged, how, its AUC on the held-out rows with its interval, and its last word.

    `recalibrates`: the release whose booster it has, where it was not trained.
    """

    release: str
    at: datetime
    verdict: str = "not judged"
    auc: Mapping[str, Any] = field(default_factory=dict)
    fate: str = ""
    recalibrates: str = ""


@dataclass(frozen=True)
class Series:
    """The measurements of one subject, oldest first."""

    kind: str
    subject: str
    points: tuple[Measurement, ...]

    @property
    def last(self) -> Measurement:
        """The latest one."""
        return self.points[-1]

    @property
    def worst(self) -> bool:
        """Whether any of them failed."""
        return any(point.verdict == "fail" for point in self.points)


@dataclass(frozen=True)
class View:
    """All that the page of one use case shows."""

    name: str
    seq: int
    state: ReleaseState
    entries: tuple[Entry, ...]
    releases: tuple[ReleaseRow, ...]
    charts: Mapping[str, tuple[Series, ...]]
    parity: tuple[Measurement, ...] = ()

    @property
    def stage(self) -> Stage:
        """Where the rollout stands; while it is paused, where the pause found it."""
        return self.state.resume or self.state.stage

    @property
    def actions(self) -> tuple[str, ...]:
        """What a person may do now."""
        stage, found = self.state.stage, []
        if stage in (Stage.CHECK, Stage.SHADOW, Stage.CANARY):
            found.append("pause")
        if stage is Stage.PAUSED:
            found.append("resume")
        if stage in (Stage.SHADOW, Stage.CANARY, Stage.WATCH):
            found.append("skip")
        if stage is not Stage.IDLE:
            found.append("abort")
        return (*found, "revert") if self.earlier else tuple(found)

    @property
    def earlier(self) -> tuple[str, ...]:
        """Releases that have served and do not serve now, latest first."""
        served = [entry.after.champion for entry in reversed(self.entries)]
        return tuple(dict.fromkeys(name for name in served if name and name != self.state.champion))


def gather(ledger: Ledger, measurements: Measurements, name: str) -> View:
    """The view of use case `name`; an unknown one is an empty view."""
    entries = ledger.entries(name)
    seq, state = ledger.head(name)
    measured = measurements.read(name)
    return View(
        name=name,
        seq=seq,
        state=state,
        entries=tuple(entries),
        releases=releases(entries),
        charts=charts(measured),
        parity=parity(measured, state),
    )


def releases(entries: Iterable[Entry]) -> tuple[ReleaseRow, ...]:
    """Every release that the gate judged, latest first."""
    rows: dict[str, ReleaseRow] = {}
    came_of: dict[str, str] = {}
    for entry in entries:
        if entry.action == REGISTERED:
            came_of[entry.subject] = entry.evidence.get("lineage", {}).get(RECALIBRATES, "")
        _note(rows, entry)
    for row in rows.values():
        row.recalibrates = came_of.get(row.release, "")
    return tuple(sorted(rows.values(), key=lambda row: row.at, reverse=True))


def _note(rows: dict[str, ReleaseRow], entry: Entry) -> None:
    row = rows.get(entry.subject)
    if (before := superseded(entry)) in rows:
        rows[str(before)].fate = f"superseded by {entry.subject}"
    if entry.action in ("gate_passed", "gate_failed"):
        row = rows.setdefault(entry.subject, ReleaseRow(entry.subject, entry.at))
        row.verdict, row.auc = entry.action.removeprefix("gate_"), _auc(entry.evidence)
    elif row and entry.action in _FATES:
        row.fate = _FATES[entry.action]
    elif row and entry.action == "refused" and not row.fate:
        row.fate = "refused"
    elif entry.action == "reverted":
        _note_revert(rows, entry)


def _note_revert(rows: dict[str, ReleaseRow], entry: Entry) -> None:
    fates = (
        (entry.before.challenger, "ended by a revert"),
        (entry.before.champion, "left by a revert"),
        (entry.after.champion, "reverted to"),
    )
    for release, fate in fates:
        if release in rows:
            rows[release].fate = fate


def _auc(evidence: Mapping[str, Any]) -> Mapping[str, Any]:
    """The numbers behind the gate's judgement of the AUC alone; empty when it could not be judged."""
    found = [reason for reason in evidence.get("reasons", ()) if reason.get("check") == "gate.auc_floor"]
    numbers: Mapping[str, Any] = found[0].get("numbers", {}) if found else {}
    return numbers if "value" in numbers else {}


def parity(measurements: Iterable[Measurement], state: ReleaseState) -> tuple[Measurement, ...]:
    """The latest parity of each release that answers: the champion, and the one on trial or in its shadow."""
    found = {point.release: point for point in measurements if point.kind == "parity"}
    return tuple(found[release] for release in (state.champion, state.shadow) if release in found)


def charts(measurements: Iterable[Measurement]) -> dict[str, tuple[Series, ...]]:
    """Series by kind, the failing ones first, then by name. Releases follow one another in one series."""
    points: dict[tuple[str, str], dict[datetime, Measurement]] = defaultdict(dict)
    for point in measurements:
        points[point.kind, point.subject][point.interval.start] = point
    found: dict[str, list[Series]] = defaultdict(list)
    for (kind, subject), by_start in sorted(points.items()):
        found[kind].append(Series(kind, subject, tuple(list(by_start.values())[-WINDOWS:])))
    return {kind: tuple(sorted(series, key=lambda one: (not one.worst, one.subject))) for kind, series in found.items()}
