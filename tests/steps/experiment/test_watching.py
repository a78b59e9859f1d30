"""An experiment, look by look: on traffic of both arms it is concluded, on harm at once, without any it waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from everloop.decide.experiment.readout import Conclusion
from everloop.decide.policy import Covariate, Metric
from everloop.decide.release.state import ReleaseState, Stage
from everloop.release import ViewPlan
from everloop.steps import experiment
from fakes.registry import InMemoryRegistry
from steps.conftest import toy_bundle
from steps.experiment.conftest import APRIL, NOW, World


def test_without_an_experiment_nothing_is_read_or_written(world: World) -> None:
    assert world.look() == {"action": "wait", "reason": "no experiment is under way", "experiment": None}
    assert world.actions == ["set"]


def test_a_better_treatment_is_concluded_after_the_minimum_and_the_control_goes_on_serving(world: World) -> None:
    world.start()
    assert world.users(better=0.15).wait(1).look()["action"] == "wait"
    assert world.wait(6).look()["action"] == "experiment_concluded"
    assert (world.state.stage, world.state.champion, world.state.challenger) == (Stage.IDLE, world.ids["old"], None)
    row = world.ledger.entries("toys")[-1]
    assert (row.evidence["conclusion"], row.subject) == ("better", "toys/20260301T120000-ab")
    assert row.evidence["overall"]["difference"] < 0
    assert row.reason.startswith("the treatment is better: cost")
    assert "errors in" not in row.reason
    assert world.ledger.verify("toys") is None


def test_a_worse_treatment_is_concluded_at_once(world: World) -> None:
    world.start()
    done = world.users(better=-0.2).look()
    assert done["action"] == "experiment_concluded"
    assert "the treatment is worse" in done["reason"]


def test_errors_stop_it_at_once_whatever_the_metric_says(world: World) -> None:
    world.start()
    done = world.users(better=0.2, errors=0.2).look()
    assert done["action"] == "experiment_stopped"
    assert done["reason"].startswith("errors in")
    assert world.state.stage is Stage.IDLE


def test_no_traffic_waits_and_ends_without_a_result(world: World) -> None:
    world.start()
    assert world.wait(27).look()["action"] == "wait"
    assert world.wait(1).look()["action"] == "experiment_concluded"
    assert world.ledger.entries("toys")[-1].evidence["conclusion"] == "inconclusive"


def test_rows_that_the_treatment_failed_keep_the_answer_that_the_user_got(world: World) -> None:
    world.start()
    world.users(count=300, errors=0.005)
    standing = experiment.latest(world.ledger, "toys")
    assert standing is not None
    found = experiment.read_again(world.traffic, world.registry, world.lake, world.use_case, standing)
    assert sum(found.overall.rows) == 600
    assert found.trusted


def test_segments_follow_the_use_cases_slices(world: World) -> None:
    world.start(world.plan(segments=("size",)))
    world.users(better=0.15)
    standing = experiment.latest(world.ledger, "toys")
    assert standing is not None
    found = experiment.read_again(world.traffic, world.registry, world.lake, world.use_case, standing)
    assert {(one.name, one.value) for one in found.segments} == {("size", "small"), ("size", "large")}
    assert sum(sum(one.rows) for one in found.segments) == sum(found.overall.rows) == 1_600


def test_what_the_controls_score_explains_narrows_the_interval(world: World) -> None:
    plans = [world.plan(metric=Metric.SELECTION_RATE, covariate=covariate) for covariate in (Covariate.CONTROL, Covariate.NONE)]
    world.start(plans[0])
    world.users(count=500, wrong=0.05)
    standing = experiment.latest(world.ledger, "toys")
    assert standing is not None
    ports = (world.traffic, world.registry, world.lake, world.use_case)
    explained, plain = (experiment.read_again(*ports, replace(standing, plan=plan)).overall for plan in plans)
    assert explained.explained > 0.3
    assert explained.high - explained.low < 0.85 * (plain.high - plain.low)


def test_what_the_same_entities_did_before_narrows_the_interval(world: World) -> None:
    """Users ask for what they always ask for: the control was wrong about the same ones before."""
    plans = [world.plan(metric=Metric.LATENCY_MS, covariate=covariate) for covariate in (Covariate.BEFORE, Covariate.NONE)]
    world.users(count=500, slow=True).start(plans[0])
    world.again().users(count=500, slow=True)
    standing = experiment.latest(world.ledger, "toys")
    assert standing is not None
    ports = (world.traffic, world.registry, world.lake, world.use_case)
    explained, plain = (experiment.read_again(*ports, replace(standing, plan=plan)).overall for plan in plans)
    assert explained.explained > 0.5
    assert explained.high - explained.low < 0.8 * (plain.high - plain.low)


@pytest.mark.parametrize(("own", "trusted"), [(False, True), (True, False)])
def test_features_that_both_releases_read_are_missing_for_both(world: World, own: bool, trusted: bool) -> None:
    shelf = ViewPlan(name="shelf", table="online.shelf", join_keys={"shop": "string"}, features={}, ttl_seconds=None)
    price = replace(shelf, name="price", table="online.price")
    old, new = toy_bundle(APRIL, views=(shelf,)), toy_bundle(NOW, views=(shelf, price) if own else (shelf,))
    world.registry, world.ids = InMemoryRegistry(old, new), {"old": old.id, "new": new.id}
    world.put(ReleaseState(champion=old.id))
    world.start()
    world.users(count=300, flags=["missing:shelf", "missing:price"])
    standing = experiment.latest(world.ledger, "toys")
    assert standing is not None
    found = experiment.read_again(world.traffic, world.registry, world.lake, world.use_case, standing)
    assert found.trusted is trusted


def test_labels_that_ripen_after_the_end_still_count(world: World) -> None:
    world.start(world.plan(metric=Metric.SELECTION_RATE))
    world.users(count=200)
    world.stop()
    standing = experiment.latest(world.ledger, "toys")
    assert standing is not None
    assert standing.ended is not None
    found = experiment.read_again(world.traffic, world.registry, world.lake, world.use_case, standing)
    assert sum(found.overall.rows) == 400


@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_entities_split_as_the_plan_says_so_that_nothing_is_amiss(world: World, weight: float) -> None:
    world.start(world.plan(weight=weight))
    world.users(count=900)
    standing = experiment.latest(world.ledger, "toys")
    assert standing is not None
    found = experiment.read_again(world.traffic, world.registry, world.lake, world.use_case, standing)
    (split,) = (reason for reason in found.verdict.reasons if reason.check == "experiment.sample_ratio")
    assert split.outcome.value == "pass"
    assert found.conclusion is not Conclusion.ERROR
