"""From a season that has turned to a release, its ledger rows, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from everloop.decide.policy import RecalibrationPolicy
from everloop.decide.release.state import ReleaseState, Stage
from everloop.errors import ConfigurationError
from everloop.learn.scoring import calibrated
from everloop.ports import Decision
from everloop.release import MODEL, REFERENCE
from everloop.steps import recalibration
from everloop.steps.provenance import same_booster, trained_as
from everloop.steps.release import release
from everloop.steps.why import lines, story
from steps.recalibration.conftest import AT, EDGES, NOW, TOYS, World

OFF = 0.9


def look(world: World, at: Any = AT) -> dict[str, Any]:
    return recalibration.look(world.traffic, world.registry, world.ledger, world.use_case, at=at, now=NOW)


def made(world: World, wanted: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Registered and judged: the release, and the gate's answer."""
    told = recalibration.register(world.ledger, world.registry, world.use_case, "run-1", wanted, now=NOW)
    return told["release"], recalibration.gate(world.ledger, world.registry, world.use_case, wanted, told["release"], now=NOW)


def begun(world: World, name: str) -> dict[str, Any]:
    return release(world.ledger, world.registry, world.use_case, name, actor="dag:toys_recalibrate", reason="off", now=NOW)


@pytest.fixture
def turned(world: World) -> World:
    world.serve(range(20), OFF)
    return world


def test_a_turned_season_becomes_a_release_on_trial(turned: World) -> None:
    wanted = look(turned)
    assert wanted["recalibrate"]
    assert wanted["triggers"] == ["labels"]
    assert wanted["plan"]["intercept"] == pytest.approx(OFF, abs=0.3)
    name, gate = made(turned, wanted)
    assert gate["passed"]
    assert begun(turned, name)["stage"] == "check"
    assert turned.actions() == ["promoted", "recalibration_wanted", "registered", "gate_passed", "released"]
    assert turned.ledger.head("toys")[1].challenger == name
    assert turned.registry.tags[name]["gate"] == "pass"


def test_the_release_has_the_same_booster_a_new_calibrator_and_says_what_it_comes_of(turned: World) -> None:
    wanted = look(turned)
    new, old = turned.registry.get(made(turned, wanted)[0]), turned.champion
    manifest = new.manifest
    assert new.files[MODEL] == old.files[MODEL]
    assert (manifest.recalibrates, manifest.trained_through) == (old.id, old.manifest.trained_through)
    assert manifest.calibrated_through == AT - timedelta(hours=3, minutes=20)
    assert manifest.metrics == old.manifest.metrics
    assert manifest.threshold == TOYS.cost.threshold != old.manifest.threshold
    raw = np.linspace(0.05, 0.95, 40).astype(np.float32)
    before, after = calibrated(raw, old.manifest.calibrator), calibrated(raw, manifest.calibrator)
    assert (np.diff(after) > 0).all()
    assert (after > before + 0.01).all()


def test_the_reference_keeps_what_the_booster_was_and_carries_its_scores_over(turned: World) -> None:
    wanted = look(turned)
    new = turned.registry.get(made(turned, wanted)[0])
    reference, before = json.loads(new.files[REFERENCE]), json.loads(turned.champion.files[REFERENCE])
    score = reference["score"]
    assert {name: reference[name] for name in reference if name != "score"} == {n: before[n] for n in before if n != "score"}
    assert score["counts"] == before["score"]["counts"]
    assert len(score["edges"]) == len(EDGES)
    assert all(after > old for after, old in zip(score["edges"], EDGES, strict=True))
    assert sum(score["residuals"]["rows"]) == wanted["plan"]["labels"]


def test_looking_twice_asks_once_and_gives_the_same_release(turned: World) -> None:
    first, again = look(turned), look(turned)
    assert first == again
    assert made(turned, first) == made(turned, again)
    assert turned.actions().count("recalibration_wanted") == turned.actions().count("registered") == 1
    assert turned.actions().count("gate_passed") == 1


def test_the_row_that_asks_tells_its_numbers(turned: World) -> None:
    wanted = look(turned)
    (row,) = turned.ledger.entries("toys", action="recalibration_wanted")
    assert (row.seq, row.subject, row.reason) == (wanted["row"], turned.champion.id, wanted["reason"])
    assert row.evidence["triggers"] == ["labels"]
    assert row.evidence["shift"]["low"] > 0
    assert row.evidence["labels"] == 1200
    assert "rollout" not in row.evidence["policy"]


def test_scores_that_are_right_ask_for_nothing_without_a_schedule(world: World) -> None:
    world.use_case = replace(TOYS, recalibration=RecalibrationPolicy(every=None))
    world.serve(range(20), 0.0)
    assert not look(world)["recalibrate"]
    assert world.actions() == ["promoted"]


def test_by_schedule_scores_that_are_right_are_followed_too(world: World) -> None:
    world.use_case = replace(TOYS, recalibration=RecalibrationPolicy(every=timedelta(days=1)))
    world.serve(range(20), 0.0)
    assert look(world)["triggers"] == ["schedule"]


def test_without_a_champion_or_a_label_nothing_is_asked_for(world: World) -> None:
    assert look(world)["reason"].startswith("0 labels of 0 blocks")
    seq, _ = world.ledger.head("toys")
    gone = Decision(actor="test", action="reverted", subject="-", after=ReleaseState(), reason="-")
    world.ledger.append("toys", gone, expected=seq, at=NOW)
    assert look(world)["reason"].startswith("no release serves yet")


def test_nothing_is_asked_for_while_a_release_is_on_trial(turned: World) -> None:
    seq, state = turned.ledger.head("toys")
    trial = replace(state, challenger="other", rollout="r", stage=Stage.SHADOW)
    turned.ledger.append(
        "toys", Decision(actor="test", action="released", subject="other", after=trial, reason="-"), expected=seq, at=NOW
    )
    assert "other is on trial" in look(turned)["reason"]


def test_a_use_case_that_does_not_recalibrate_says_so(world: World) -> None:
    world.use_case = replace(TOYS, recalibration=None)
    with pytest.raises(ConfigurationError, match=r"toys has no RecalibrationPolicy: set UseCase\.recalibration"):
        look(world)


def test_forecasts_that_would_have_been_worse_are_refused_and_the_run_goes_no_further(world: World) -> None:
    """The season turns and turns back within days, which a fit by older labels always misses."""
    policy = replace(TOYS.recalibration, half_life=timedelta(days=2), margin=0.001, every=timedelta(days=1))
    world.use_case = replace(TOYS, recalibration=policy)
    for day in range(8, 20):
        world.serve([day], 2.0 if day // 2 % 2 else -2.0)
    wanted = look(world)
    assert wanted["recalibrate"]
    name, gate = made(world, wanted)
    assert not gate["passed"]
    assert world.actions()[-1] == "gate_failed"
    assert not begun(world, name)["released"]
    assert world.ledger.entries("toys")[-1].reason.startswith("the gate refused it")


def test_a_second_recalibration_comes_of_the_same_trained_release(turned: World) -> None:
    name = made(turned, look(turned))[0]
    turned.crown(name)
    turned.serve(range(20, 40), -OFF, release=name)
    wanted = look(turned, AT + timedelta(days=20))
    assert wanted["plan"]["trained"] == turned.champion.id
    second = turned.registry.get(made(turned, wanted)[0])
    assert second.manifest.recalibrates == turned.champion.id
    assert second.id != name
    assert trained_as(turned.ledger, TOYS, second.id) == turned.champion.id
    assert same_booster(turned.ledger, TOYS, second.id) == {turned.champion.id, name, second.id}


def test_why_tells_what_asked_for_it(turned: World) -> None:
    name = made(turned, look(turned))[0]
    told = "\n".join(lines(story(turned.ledger, "toys", name)))
    assert f"asked for the recalibration that made {name}" in told
    assert f"recalibrates {turned.champion.id} in run run-1, by labels through 2013-04-20 20:40Z" in told
