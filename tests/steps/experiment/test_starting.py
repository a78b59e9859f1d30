"""An experiment begins on evidence that the treatment loads, and ends by a word; every row is in the ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from everloop.decide.release.state import ReleaseState, Stage
from everloop.errors import ConfigurationError, ReleaseError
from everloop.steps import experiment, rollback
from fakes.scorer import InMemoryScorer
from steps.experiment.conftest import World


def test_it_starts_with_its_plan_in_the_ledger_and_the_alias_for_the_treatment(world: World) -> None:
    done = world.start()
    assert done["action"] == "experiment_started"
    assert (world.state.stage, world.state.challenger, world.state.weight) == (Stage.EXPERIMENT, world.ids["new"], 0.5)
    assert world.registry.aliases["challenger"] == world.ids["new"]
    plan, began = experiment.running(world.ledger, "toys", done["experiment"])
    assert plan == world.plan()
    assert began.reason == "ann: is it cheaper?"
    assert world.ledger.verify("toys") is None


def test_a_treatment_that_the_scorer_does_not_load_never_meets_traffic(world: World) -> None:
    world.scorer = InMemoryScorer(broken={world.ids["new"]: "no such column"})
    done = world.start()
    assert (done["action"], done["experiment"]) == ("refused", None)
    assert "no such column" in done["reason"]
    assert world.state.stage is Stage.IDLE


def test_releases_that_the_registry_does_not_know_or_of_another_use_case_are_refused(world: World) -> None:
    with pytest.raises(ReleaseError, match="ffff is not in the store"):
        world.start(world.plan(treatment="ffff"))
    with pytest.raises(ReleaseError, match="is a release of claims, not of toys"):
        world.start(world.plan(treatment=world.ids["alien"]))


def test_segments_are_slices_of_the_use_case(world: World) -> None:
    with pytest.raises(ConfigurationError, match=r"no slices \['shape'\]: it has \['size'\]"):
        world.start(world.plan(segments=("shape",)))


def test_two_experiments_exclude_each_other_and_a_rollout(world: World) -> None:
    world.start()
    assert "is under way (stage experiment)" in world.start()["reason"]
    world.put(
        ReleaseState(champion=world.ids["old"], challenger=world.ids["newer"], rollout="r1", stage=Stage.CANARY, weight=0.1)
    )
    assert "is under way (stage canary)" in world.start()["reason"]


def test_a_person_stops_it_once(world: World) -> None:
    world.start()
    assert world.stop()["action"] == "experiment_stopped"
    assert (world.state.stage, world.state.champion, world.state.challenger) == (Stage.IDLE, world.ids["old"], None)
    assert world.stop() == {"action": "wait", "reason": "no experiment is under way (stage idle)", "experiment": None}
    assert world.actions == ["set", "experiment_started", "experiment_stopped"]


@pytest.mark.parametrize("how", ["abort", "revert"])
def test_abort_and_revert_end_it_and_it_is_told_how(world: World, how: str) -> None:
    world.put(ReleaseState(champion=world.ids["new"]))
    world.put(ReleaseState(champion=world.ids["old"]))
    world.put(ReleaseState(champion=world.ids["newer"]))
    world.start(world.plan(control=world.ids["newer"]))
    act = getattr(rollback, how)
    act(world.ledger, world.registry, world.use_case, actor="bob", reason="complaints", now=world.now)
    standing = experiment.latest(world.ledger, "toys")
    assert standing is not None
    assert standing.ended is not None
    assert standing.ended.reason == "bob: complaints"
    assert world.state.stage is Stage.IDLE


def test_a_plan_as_a_file_is_the_same_plan(world: World) -> None:
    plan = world.plan(segments=("size",))
    assert experiment.parse(experiment.text(plan)) == plan


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"weigth": 0.5}, r"unknown keys \['weigth'\]"),
        ({"metric": "clicks"}, "no plan of an experiment"),
        ({"weight": 2, "effect": -1, "alpha": 0}, "(?s)weight is 2.*alpha is 0.*effect is -1"),
    ],
)
def test_a_plan_that_does_not_hold_together_is_told_whole(world: World, change: dict[str, object], told: str) -> None:
    import msgspec

    given = msgspec.json.decode(experiment.text(world.plan())) | change
    with pytest.raises(ConfigurationError, match=told):
        experiment.parse(given)


def test_an_experiment_that_the_ledger_does_not_know_is_told(world: World) -> None:
    with pytest.raises(ConfigurationError, match='starts no experiment "toys/x"'):
        experiment.running(world.ledger, "toys", "toys/x")


def test_what_was_compared_may_go_on_trial_afterwards(world: World) -> None:
    from everloop.steps.release import ended

    world.start()
    world.stop()
    assert not any(ended(entry) for entry in world.ledger.entries("toys"))
    assert replace(world.state, since=None) == ReleaseState(champion=world.ids["old"])
