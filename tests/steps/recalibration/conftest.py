"""A booster that serves and a season that has turned: labels are more frequent than its scores say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from everloop.decide.policy import CostMatrix, RecalibrationPolicy, ServicePolicy
from everloop.decide.release.state import ReleaseState
from everloop.decide.watch.concept import residuals
from everloop.ports import Decision
from everloop.release import MODEL, REFERENCE, Bundle, Calibrator, FeaturePlan, Manifest, sha256
from everloop.use_case import Examples, UseCase
from fakes.ledger import InMemoryLedger
from fakes.registry import InMemoryRegistry
from fakes.traffic import InMemoryTraffic, prediction

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = datetime(2013, 4, 1, tzinfo=UTC)
DAYS, A_DAY = 20, 60
AT = START + timedelta(days=DAYS)
EDGES = [0.1, 0.2, 0.3, 0.5]

TOYS = UseCase(
    name="toys",
    description="Will a toy break?",
    start=START,
    interval=timedelta(days=7),
    sources=(),
    examples=Examples(tables=("toys",), suite="training_set", sql="SELECT 1"),
    feature_service="toys",
    entity=("colour",),
    cost=CostMatrix(false_positive=1, false_negative=3),
    recalibration=RecalibrationPolicy(minimum_labels=200),
)


def bundle(model: bytes = b"booster", through: datetime = START - timedelta(days=10)) -> Bundle:
    """A release that was trained."""
    score = {"edges": EDGES, "counts": [5, 4, 3, 2, 1], "range": [0.03, 0.9]}
    score["residuals"] = residuals(EDGES, np.zeros(2, dtype=bool), np.array([0.1, 0.4]))
    reference = json.dumps({"rows": 9, "columns": {}, "score": score, "label_rate": 0.2, "metrics": {"auc": 0.7}}).encode()
    manifest = Manifest(
        use_case="toys",
        columns=("x",),
        categories={},
        calibrator=Calibrator(x=(0.0, 1.0), y=(0.02, 0.98)),
        threshold=0.3,
        plan=FeaturePlan(service="toys", request={"colour": "string"}, views=()),
        entity=("colour",),
        service=ServicePolicy(),
        request_suite="requests",
        shadow_share=1.0,
        snapshot={"toys": 3},
        trained_from=through - timedelta(days=90),
        trained_through=through,
        parameters={},
        metrics={"auc": 0.7},
        lineage={"git_commit": "c0ffee", "xgboost": "3.2.0"},
        files={MODEL: sha256(model), REFERENCE: sha256(reference)},
    )
    return Bundle(manifest, {MODEL: model, REFERENCE: reference})


@dataclass
class World:
    """The ports, and the release that serves."""

    traffic: InMemoryTraffic
    ledger: InMemoryLedger
    registry: InMemoryRegistry
    champion: Bundle
    use_case: UseCase = TOYS

    def crown(self, release: str, action: str = "promoted") -> None:
        seq, _ = self.ledger.head("toys")
        decision = Decision(actor="test", action=action, subject=release, after=ReleaseState(champion=release), reason="-")
        self.ledger.append("toys", decision, expected=seq, at=NOW)

    def serve(self, days: Sequence[int], off: float, release: str | None = None, **changes: Any) -> None:
        """Days in which log odds of labels lie `off` above those of the scores; labels are known in an hour."""
        rng = np.random.default_rng(days[0] + 7)
        for day in days:
            odds = rng.normal(-1.1, 1, A_DAY)
            labels = rng.random(A_DAY) < expit(odds + off)
            for i in range(A_DAY):
                asked, key = START + timedelta(days=day, minutes=20 * i), f"{day}-{i}"
                row = {"at": asked, "as_of": asked, "release": release or self.champion.id, "score": float(expit(odds[i]))}
                self.traffic.log("toys", [prediction(key, **(row | changes))])
                self.traffic.record_outcomes("toys", [(key, bool(labels[i]), asked + timedelta(hours=1))])

    def actions(self) -> list[str]:
        return [entry.action for entry in self.ledger.entries("toys")]


@pytest.fixture
def world() -> World:
    """Nothing served yet."""
    champion = bundle()
    made = World(InMemoryTraffic(), InMemoryLedger(), InMemoryRegistry(champion), champion)
    made.crown(champion.id)
    return made
