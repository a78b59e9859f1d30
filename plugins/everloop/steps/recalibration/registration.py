"""Make the release of a recalibration, store its bytes, put it before the reviewers, and tell the ledger what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from everloop.learn.card import card
from everloop.learn.reference import renewed
from everloop.ports import Ledger, Registry
from everloop.release import CALIBRATED_THROUGH, RECALIBRATES, REFERENCE, Bundle, sha256
from everloop.steps import provenance
from everloop.steps.recalibration.plan import INTERCEPT, SLOPE, Plan
from everloop.use_case import UseCase


def register(
    ledger: Ledger, registry: Registry, use_case: UseCase, run: str, wanted: Mapping[str, Any], *, now: datetime
) -> dict[str, Any]:
    """Store and record the release of what `look` wanted: `{"release", "version", "run_id", "url", "row"}`.

    The same plan gives the same release, so running it again changes nothing.
    """
    plan = msgspec.convert(wanted["plan"], Plan)
    bundle = recalibrated(registry.get(plan.trained), plan, use_case)
    registry.put(bundle)
    report = {"evidence": wanted["verdict"], "plan": dict(wanted["plan"])}
    version = registry.record(bundle, report, {}, card(bundle, use_case.description, {}, {}))
    found = {"version": version.version, "run_id": version.run_id, "url": version.url}
    row = provenance.registered(
        ledger, registry, use_case, bundle.id, run, asked_in=[wanted["row"]], version=found, training_set=None, now=now
    )
    return {"release": bundle.id, **found, "row": row}


def recalibrated(trained: Bundle, plan: Plan, use_case: UseCase) -> Bundle:
    """The booster of `trained` with the plan's calibrator, the use case's threshold and the renewed reference."""
    manifest, fit = trained.manifest, plan.recalibration
    reference = json.dumps(renewed(json.loads(trained.files[REFERENCE]), fit, plan.residuals), sort_keys=True).encode()
    lineage = {
        RECALIBRATES: trained.id,
        CALIBRATED_THROUGH: plan.calibrated_through.isoformat(),
        INTERCEPT: repr(plan.intercept),
        SLOPE: repr(plan.slope),
    }
    made = replace(
        manifest,
        calibrator=fit.compose(manifest.calibrator),
        threshold=use_case.cost.threshold,
        lineage={**manifest.lineage, **lineage},
        files={**manifest.files, REFERENCE: sha256(reference)},
    )
    return Bundle(made, {**trained.files, REFERENCE: reference})
