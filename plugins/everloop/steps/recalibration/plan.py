"""One look at the labels that have ripened: whether to recalibrate, by how much, and how that would have done."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from everloop.decide.policy import RecalibrationPolicy
from everloop.decide.release.prequential import Forecasts, judge
from everloop.decide.release.state import ReleaseState
from everloop.decide.statistics.clusters import blocks
from everloop.decide.verdict import Verdict
from everloop.decide.watch.recalibrate import RecalibrationDecision, Seen, should_recalibrate
from everloop.errors import ConfigurationError
from everloop.learn.recalibrate import Recalibration, fit, moment, prequential
from everloop.learn.reference import forecast_residuals
from everloop.ports import Decision, Entry, Ledger, Registry, TrafficLog
from everloop.release import REFERENCE, Manifest
from everloop.steps.deciding import decide_and_append
from everloop.steps.provenance import RECALIBRATION_WANTED
from everloop.steps.recalibration.rows import BoosterRows, gather
from everloop.use_case import UseCase

INTERCEPT, SLOPE = "recalibration_intercept", "recalibration_slope"
"""Where the lineage of a release keeps what has become of the scores of the release that it recalibrates."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a recalibration is to be made of: its fit, and what its forecasts were off by (`learn.reference.renewed`).

    `champion`: the release that serves. `trained`: the one that its booster was trained as, of whose scores this is a function.
    """

    champion: str
    trained: str
    intercept: float
    slope: float
    labels: int
    blocks: int
    calibrated_through: datetime
    residuals: dict[str, Any]

    @property
    def recalibration(self) -> Recalibration:
        """What becomes of scores."""
        return Recalibration(self.intercept, self.slope, rows=self.labels, blocks=self.blocks)


def look(
    traffic: TrafficLog, registry: Registry, ledger: Ledger, use_case: UseCase, *, at: datetime, now: datetime
) -> dict[str, Any]:
    """`{"recalibrate", "reason", "row"?, "plan"?, "verdict"?}` by the labels known before `at` (data time); `now`: wall clock.

    A yes is ledger row `row`, one for each champion and latest label; asked again the answer is the same, from that row.
    `plan` is a `Plan` as JSON, `verdict` the one on its forecasts.
    """
    policy = policy_of(use_case)
    _, state = ledger.head(use_case.name)
    if state.champion is None:
        return should_recalibrate(None, state, policy).to_json()
    found = gather(traffic, registry, use_case, state.champion, policy, at)
    fitted = fit(found.rows, moment(at), policy)
    seen = _seen(found, fitted, policy)
    decision = should_recalibrate(seen, state, policy)
    if not decision.recalibrate or seen is None:
        return decision.to_json()
    row = _record(ledger, use_case, state.champion, decision, seen, policy, now)
    if row is None:
        return _meanwhile(state.champion)
    forecasts = Forecasts(found.rows.labels, prequential(found.rows, policy), found.served, found.rows.scores, found.rows.asked)
    verdict = judge(forecasts, found.serving.manifest.threshold, use_case.cost, policy)
    plan = _plan(state.champion, found, fitted, forecasts, seen, policy)
    return {**decision.to_json(), "row": row.seq, "plan": msgspec.to_builtins(plan), "verdict": verdict.to_json()}


def policy_of(use_case: UseCase) -> RecalibrationPolicy:
    """The use case's policy; `ConfigurationError` without one."""
    if use_case.recalibration is None:
        raise ConfigurationError(f"{use_case.name} has no RecalibrationPolicy: set UseCase.recalibration to let it recalibrate")
    return use_case.recalibration


def recalibration_of(manifest: Manifest) -> Recalibration:
    """What has become of the scores of the release that this one recalibrates; nothing for one that was trained."""
    if manifest.recalibrates is None:
        return Recalibration()
    return Recalibration(float(manifest.lineage[INTERCEPT]), float(manifest.lineage[SLOPE]))


def verdict_of(told: dict[str, Any]) -> Verdict:
    """A verdict as `look` tells it."""
    return msgspec.convert(told, Verdict)


def _seen(found: BoosterRows, fitted: Recalibration, policy: RecalibrationPolicy) -> Seen | None:
    if not len(found.rows):
        return None
    manifest = found.serving.manifest
    return Seen(
        labels=len(found.rows),
        blocks=fitted.blocks,
        shift=fitted.shift(manifest.threshold, policy.confidence, recalibration_of(manifest)),
        calibrated_through=manifest.calibrated_through,
        through=_time(found.rows.known.max()),
    )


def _plan(
    champion: str, found: BoosterRows, fitted: Recalibration, forecasts: Forecasts, seen: Seen, policy: RecalibrationPolicy
) -> Plan:
    reference, units = json.loads(found.trained.files[REFERENCE]), blocks(found.rows.asked, policy.block)
    return Plan(
        champion=champion,
        trained=found.trained.id,
        intercept=fitted.intercept,
        slope=fitted.slope,
        labels=seen.labels,
        blocks=seen.blocks,
        calibrated_through=seen.through,
        residuals=forecast_residuals(reference, fitted, forecasts.labels, forecasts.recalibrated, units),
    )


def _record(
    ledger: Ledger,
    use_case: UseCase,
    champion: str,
    decision: RecalibrationDecision,
    seen: Seen,
    policy: RecalibrationPolicy,
    now: datetime,
) -> Entry | None:
    """The row that asks for it; `None` when another release has become the champion."""
    through = seen.through.isoformat()
    evidence = {
        "through": through,
        "triggers": decision.triggers,
        "labels": seen.labels,
        "blocks": seen.blocks,
        "shift": asdict(seen.shift),
        "calibrated_through": seen.calibrated_through.isoformat(),
        "policy": msgspec.to_builtins({name: value for name, value in asdict(policy).items() if name != "rollout"}),
    }

    def asked() -> list[Entry]:
        rows = ledger.entries(use_case.name, subject=champion, action=RECALIBRATION_WANTED)
        return [row for row in rows if row.evidence["through"] == through]

    def wanted(state: ReleaseState) -> Decision | None:
        if state.champion != champion or asked():
            return None
        return Decision(
            actor="everloop",
            action=RECALIBRATION_WANTED,
            subject=champion,
            after=state,
            reason=decision.reason,
            evidence=evidence,
        )

    decide_and_append(ledger, use_case.name, wanted, now)
    found = asked()
    return found[-1] if found and ledger.head(use_case.name)[1].champion == champion else None


def _meanwhile(champion: str) -> dict[str, Any]:
    return RecalibrationDecision(recalibrate=False, reason=f"{champion} stopped being the champion meanwhile").to_json()


def _time(at: np.datetime64) -> datetime:
    found: datetime = at.astype("datetime64[us]").item()
    return found.replace(tzinfo=UTC)
