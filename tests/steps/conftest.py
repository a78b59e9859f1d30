"""A small world for the steps that release: a use case, bundles of it, and in-memory ports."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from everloop.decide.policy import RolloutPolicy, ServicePolicy
from everloop.release import Bundle, Calibrator, FeaturePlan, Manifest, ViewPlan, sha256
from everloop.use_case import Examples, UseCase
from fakes.registry import InMemoryRegistry

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
APRIL = datetime(2013, 4, 1, tzinfo=UTC)


def toy_bundle(
    trained_through: datetime, use_case: str = "toys", threshold: float = 0.5, views: tuple[ViewPlan, ...] = ()
) -> Bundle:
    """A release that the ledger's steps can read; nothing in it can score."""
    model = f"model of {trained_through}".encode()
    manifest = Manifest(
        use_case=use_case,
        columns=("x",),
        categories={},
        calibrator=Calibrator(x=(0.0, 1.0), y=(0.0, 1.0)),
        threshold=threshold,
        plan=FeaturePlan(service="toys", request={"colour": "string", "size": "float"}, views=views),
        entity=("colour",),
        service=ServicePolicy(),
        request_suite="requests",
        shadow_share=1.0,
        snapshot={"toys": 3},
        trained_from=trained_through - timedelta(days=90),
        trained_through=trained_through,
        parameters={},
        metrics={"auc": 0.7},
        lineage={},
        files={"model.ubj": sha256(model)},
    )
    return Bundle(manifest, {"model.ubj": model})


def toy_use_case(**changes: Any) -> UseCase:
    values = {
        "name": "toys",
        "description": "Will a toy break?",
        "start": datetime(2013, 1, 1, tzinfo=UTC),
        "interval": timedelta(days=7),
        "sources": (),
        "examples": Examples(
            tables=("toys",),
            suite="training_set",
            sql="SELECT key, colour, size, made_at AS event_timestamp, broke AS label, seen_at AS label_time "
            "FROM toys WHERE seen_at >= $start AND seen_at < $end",
        ),
        "feature_service": "toys",
        "entity": ("colour",),
        "rollout": RolloutPolicy(
            approval=False,
            steps=(0.1, 0.5),
            minimum_time=timedelta(minutes=1),
            minimum_requests=50,
            shadow_requests=50,
            watch_time=timedelta(minutes=1),
            watch_labels=50,
            minimum_labels=20,
        ),
    }
    return UseCase(**(values | changes))


@pytest.fixture
def toys() -> UseCase:
    """A use case without approval and with a quick rollout."""
    return toy_use_case()


@pytest.fixture
def use_case_with() -> Callable[..., UseCase]:
    """Makes the same use case with changes."""
    return toy_use_case


@pytest.fixture
def bundles() -> dict[str, Bundle]:
    """Releases by nickname: `old` learnt through March, `new` April, `newer` May; `alien` is another use case's."""
    months = {"old": 3, "new": 4, "newer": 5}
    found = {name: toy_bundle(datetime(2013, month, 28, tzinfo=UTC)) for name, month in months.items()}
    return found | {"alien": toy_bundle(datetime(2013, 6, 1, tzinfo=UTC), use_case="claims")}


@pytest.fixture
def ids(bundles: dict[str, Bundle]) -> dict[str, str]:
    """Release ids by nickname."""
    return {name: bundle.id for name, bundle in bundles.items()}


@pytest.fixture
def registry(bundles: dict[str, Bundle]) -> InMemoryRegistry:
    """Holds all bundles."""
    return InMemoryRegistry(*bundles.values())
