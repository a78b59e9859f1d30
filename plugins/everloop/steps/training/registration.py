"""Make the release of a trained model, store its bytes, and put it before the reviewers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from everloop.learn.card import card
from everloop.learn.job import TRAINED, Trained, Tuned
from everloop.learn.job import TUNED as TUNED_FILE
from everloop.ports import Lake, Registry
from everloop.release import CALIBRATED_THROUGH, REFERENCE, REQUEST_FUNCTIONS, Bundle, Manifest, sha256
from everloop.release import MODEL as MODEL_FILE
from everloop.steps.training.evaluation import CALIBRATION, Calibration, Report
from everloop.steps.training.examples import Definition
from everloop.steps.training.lineage import LINEAGE
from everloop.steps.training.staging import DEFINITION, EVALUATION, MODEL, TUNED, decode, staged_files
from everloop.use_case import UseCase


def register(
    lake: Lake, registry: Registry, use_case: UseCase, run: str, seconds: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Store and record the run's release: `{"release", "version", "run_id", "url", "seconds"}`.

    `seconds`: what the earlier tasks took, for the record only: wall times and run names stay out of the manifest, so that
    the same snapshot, code and environment give the same release. Running it again returns the same release and version.
    """
    began = time.monotonic()
    evaluation = staged_files(lake, run, EVALUATION)
    model = staged_files(lake, run, MODEL)
    trained = decode(model[TRAINED], Trained)
    tuned = decode(staged_files(lake, run, TUNED)[TUNED_FILE], Tuned)
    report = decode(evaluation["report.json"], Report)
    newer = decode(evaluation[CALIBRATION], Calibration) if CALIBRATION in evaluation else None
    bundle = _bundle(use_case, staged_files(lake, run, DEFINITION), model, report, evaluation[REFERENCE], newer)
    registry.put(bundle)
    pictures = {name.removeprefix("plots/"): png for name, png in evaluation.items() if name.startswith("plots/")}
    text = card(bundle, use_case.description, report.importance, report.slices, report.evidence["behaviour"])
    version = registry.record(bundle, _record(report, trained, tuned, dict(seconds or {})), pictures, text)
    took = time.monotonic() - began
    return {"release": bundle.id, "version": version.version, "run_id": version.run_id, "url": version.url, "seconds": took}


def _bundle(
    use_case: UseCase,
    pinned: Mapping[str, bytes],
    model: Mapping[str, bytes],
    report: Report,
    reference: bytes,
    newer: Calibration | None,
) -> Bundle:
    """Model, lineage, features and suites were pinned by earlier tasks: a deployment in between leaves no mixture."""
    trained = decode(model[TRAINED], Trained)
    definition = decode(pinned["definition.json"], Definition)
    suites = {name: content for name, content in pinned.items() if name.startswith("suites/")}
    files = {MODEL_FILE: model[MODEL_FILE], REFERENCE: reference, REQUEST_FUNCTIONS: pinned[REQUEST_FUNCTIONS], **suites}
    manifest = Manifest(
        use_case=use_case.name,
        columns=trained.columns,
        categories=trained.categories,
        calibrator=newer.calibrator if newer else trained.calibrator,
        threshold=use_case.cost.threshold,
        plan=definition.plan,
        entity=use_case.entity,
        service=use_case.service,
        request_suite=use_case.examples.suite,
        shadow_share=use_case.rollout.shadow_share,
        snapshot=definition.snapshot,
        trained_from=definition.trained_from,
        trained_through=definition.trained_through,
        parameters={**trained.parameters, "rounds": trained.rounds},
        metrics=report.metrics,
        lineage={
            **decode(model[LINEAGE], dict[str, str]),
            "device": trained.device,
            "workers": str(trained.workers),
            "drill": str(definition.drill).lower(),
            **({CALIBRATED_THROUGH: newer.calibrated_through.isoformat()} if newer else {}),
        },
        files={name: sha256(content) for name, content in files.items()},
    )
    return Bundle(manifest, files)


def _record(report: Report, trained: Trained, tuned: Tuned, seconds: dict[str, float]) -> dict[str, Any]:
    return {
        "slices": report.slices,
        "importance": report.importance,
        "examples": report.examples,
        "evidence": report.evidence,
        "losses": trained.losses,
        "trials": msgspec.to_builtins(tuned.trials),
        "seconds": {**seconds, "fit": trained.seconds},
    }
