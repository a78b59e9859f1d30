"""The rows of a booster, whichever of its releases scored them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from everloop.interval import Interval
from everloop.learn.recalibrate import Recalibration
from everloop.release import RECALIBRATES, Bundle
from everloop.steps.monitor.served import Scored, boosters, each_champion, scored
from fakes.registry import InMemoryRegistry
from fakes.traffic import InMemoryTraffic, prediction
from steps.conftest import toy_bundle, toy_use_case

DAY = datetime(2013, 4, 2, tzinfo=UTC)
WEEK = Interval(DAY, DAY + timedelta(days=7))
MOVED = Recalibration(0.8, 1.0)
OLD, OTHER = toy_bundle(DAY - timedelta(days=20)), toy_bundle(DAY - timedelta(days=50))
NEW = Bundle(
    replace(OLD.manifest, calibrator=MOVED.compose(OLD.manifest.calibrator), threshold=0.4, lineage={RECALIBRATES: OLD.id}),
    OLD.files,
)


@pytest.fixture
def registry() -> InMemoryRegistry:
    return InMemoryRegistry(OLD, NEW, OTHER)


@pytest.fixture
def traffic() -> InMemoryTraffic:
    """The old release, then its recalibration, whose first rows the old one scored too; and another booster before both."""
    kept = InMemoryTraffic()
    rows = [
        ("a", OTHER.id, 0.9, OLD.id, 0.1),
        ("b", OLD.id, 0.2, None, None),
        ("c", OLD.id, 0.3, NEW.id, 0.5),
        ("d", NEW.id, 0.6, OLD.id, 0.4),
    ]
    for hour, (key, release, score, shadow, beside) in enumerate(rows):
        at = DAY + timedelta(hours=hour)
        row = {"at": at, "as_of": at, "release": release, "score": score, "shadow_release": shadow, "shadow_score": beside}
        kept.log("toys", [prediction(key, **row)])
    return kept


def test_the_releases_of_one_booster_go_together_the_latest_last(traffic: InMemoryTraffic, registry: InMemoryRegistry) -> None:
    found = boosters(traffic.served("toys", WEEK), registry)
    assert sorted(found) == sorted([(OTHER.id,), (OLD.id, NEW.id)])


def test_each_row_counts_once_as_it_was_answered(traffic: InMemoryTraffic, registry: InMemoryRegistry) -> None:
    found = scored(traffic.served("toys", WEEK), WEEK, (OLD.id, NEW.id), registry)
    assert dict(zip(found.keys, found.scores.tolist(), strict=True)) == {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.6}


def test_it_is_measured_as_the_release_that_the_booster_was_trained_as(
    traffic: InMemoryTraffic, registry: InMemoryRegistry
) -> None:
    found = scored(traffic.served("toys", WEEK), WEEK, (OLD.id, NEW.id), registry)
    assert (found.release, found.bundle.id) == (OLD.id, NEW.id)
    assert found.decisions.tolist() == [score >= 0.4 for score in found.scores]


def test_scores_are_compared_as_the_latest_would_have_given_them(traffic: InMemoryTraffic, registry: InMemoryRegistry) -> None:
    found = scored(traffic.served("toys", WEEK), WEEK, (OLD.id, NEW.id), registry)
    current = dict(zip(found.keys, found.current.tolist(), strict=True))
    old = {key: float(MOVED.apply(np.array([score]))[0]) for key, score in (("a", 0.1), ("b", 0.2), ("c", 0.3))}
    assert current == pytest.approx({**old, "d": 0.6}, abs=2e-3)


def test_a_release_alone_is_compared_by_its_own_scores(traffic: InMemoryTraffic, registry: InMemoryRegistry) -> None:
    found = scored(traffic.served("toys", WEEK), WEEK, (OTHER.id,), registry)
    assert (found.release, found.scores.tolist(), found.current.tolist()) == (OTHER.id, [0.9], [0.9])


def test_every_booster_that_was_champion_is_measured(traffic: InMemoryTraffic, registry: InMemoryRegistry) -> None:
    seen: list[Scored] = []
    each_champion(traffic, registry, toy_use_case(), [WEEK], lambda rows: seen.append(rows) or [])
    assert sorted(rows.release for rows in seen) == sorted([OTHER.id, OLD.id])
