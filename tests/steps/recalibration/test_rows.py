"""Which rows count, once each, and on whose scale."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from everloop.learn.recalibrate import Recalibration
from everloop.release import CALIBRATED_THROUGH, RECALIBRATES, Bundle
from everloop.steps.recalibration.rows import BoosterRows, gather
from fakes.traffic import prediction
from steps.recalibration.conftest import AT, START, TOYS, World, bundle

MOVED = Recalibration(0.7, 1.1)


def later(trained: Bundle) -> Bundle:
    """A recalibration of `trained`."""
    lineage = {**trained.manifest.lineage, RECALIBRATES: trained.id, CALIBRATED_THROUGH: START.isoformat()}
    manifest = replace(trained.manifest, calibrator=MOVED.compose(trained.manifest.calibrator), lineage=lineage)
    return Bundle(manifest, trained.files)


def gathered(world: World, champion: str | None = None) -> BoosterRows:
    assert TOYS.recalibration is not None
    return gather(world.traffic, world.registry, TOYS, champion or world.champion.id, TOYS.recalibration, AT)


def one(world: World, key: str, known: timedelta = timedelta(hours=1), label: bool = True, **changes: object) -> None:
    """A row of the last day, with its label."""
    asked = AT - timedelta(hours=12)
    world.traffic.log("toys", [prediction(key, at=asked, as_of=asked, **changes)])
    world.traffic.record_outcomes("toys", [(key, label, asked + known)])


def test_answers_and_shadows_of_the_booster_count_and_no_others(world: World) -> None:
    me = world.champion.id
    other = bundle(b"another")
    world.registry.put(other)
    one(world, "answered", release=me, score=0.3)
    one(world, "shadowed", release=other.id, score=0.9, shadow_release=me, shadow_score=0.4)
    one(world, "other", release=other.id, score=0.9)
    one(world, "failed", release=me, score=None, error="no")
    one(world, "failed beside", release=other.id, score=0.9, shadow_release=me, shadow_score=None)
    found = gathered(world)
    assert found.rows.scores.tolist() == found.served.tolist() == [0.3, 0.4]
    assert found.rows.labels.all()
    assert (found.trained.id, found.serving.id) == (me, me)


def test_a_row_that_two_releases_of_the_booster_scored_counts_once_as_it_was_answered(world: World) -> None:
    new = later(world.champion)
    world.registry.put(new)
    one(world, "both", release=new.id, score=0.5, shadow_release=world.champion.id, shadow_score=0.4)
    found = gathered(world, new.id)
    assert found.served.tolist() == [0.5]


def test_a_row_that_could_not_be_answered_counts_as_it_was_shadowed(world: World) -> None:
    new = later(world.champion)
    world.registry.put(new)
    one(world, "both", release=new.id, score=None, error="no", shadow_release=world.champion.id, shadow_score=0.4)
    assert gathered(world, new.id).served.tolist() == [0.4]


def test_scores_of_a_recalibration_are_carried_back_to_what_the_booster_was_trained_with(world: World) -> None:
    new = later(world.champion)
    world.registry.put(new)
    one(world, "new", release=new.id, score=float(MOVED.apply(np.array([0.35]))[0]))
    one(world, "old", release=world.champion.id, score=0.35)
    found = gathered(world, new.id)
    assert found.rows.scores == pytest.approx([0.35, 0.35], abs=1e-3)
    assert found.served == pytest.approx([float(MOVED.apply(np.array([0.35]))[0]), 0.35])
    assert (found.trained.id, found.serving.id) == (world.champion.id, new.id)


def test_labels_that_are_not_known_yet_and_rows_before_the_window_do_not_count(world: World) -> None:
    assert TOYS.recalibration is not None
    me = world.champion.id
    one(world, "late", known=timedelta(hours=12), release=me, score=0.3)
    one(world, "in time", known=timedelta(hours=11, minutes=59), release=me, score=0.4)
    long_ago = AT - TOYS.recalibration.window - timedelta(minutes=1)
    world.traffic.log("toys", [prediction("old", at=long_ago, as_of=long_ago, release=me, score=0.5)])
    world.traffic.record_outcomes("toys", [("old", True, long_ago)])
    world.traffic.log("toys", [prediction("unknown", at=AT, as_of=AT - timedelta(hours=1), release=me, score=0.6)])
    assert gathered(world).served.tolist() == [0.4]


def test_no_row_is_no_row(world: World) -> None:
    found = gathered(world)
    assert (len(found.rows), len(found.served)) == (0, 0)
