from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from benchmarks import demo_played, world
from benchmarks.demo_played import AUTUMN, SABOTAGED, SPRING, WEEK, Demo, Models, Told
from benchmarks.demo_story import tell
from benchmarks.flights_year import Year, moment, quicker
from benchmarks.record import Record
from everloop.decide.policy import BehaviourPolicy, FairnessPolicy
from everloop.decide.release.state import ReleaseState, Stage

START, DAYS, A_DAY = datetime(2013, 1, 1, tzinfo=UTC), 364, 60
TURNED = datetime(2013, 6, 1, tzinfo=UTC)
"""From here on a crowded sky makes flights late too."""

NOISE = [f"air__noise_{n}" for n in range(8)]
"""Inputs that say nothing, so that a model of shuffled labels hardly leans on the one that does."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """A small year in which a second cause comes up once; one entity in five lacks a view for good."""
    rng = np.random.default_rng(3)
    asked = np.array([moment(START + timedelta(days=day, minutes=20 * i)) for day in range(DAYS) for i in range(A_DAY)])
    weather, crowd = rng.normal(0, 1, (2, len(asked)))
    late = 1 / (1 + np.exp(1.0 - 1.2 * weather - np.where(asked >= moment(TURNED), 1.5 * crowd, 0)))
    flight = rng.integers(1, 400, len(asked))
    rows = {
        "key": [f"k{i}" for i in range(len(asked))],
        "carrier": rng.choice(["AA", "UA"], len(asked)),
        "flight": flight,
        "origin": rng.choice(["JFK", "EWR"], len(asked)),
        "air__weather": weather,
        "air__crowd": crowd,
        **{name: rng.normal(0, 1, len(asked)) for name in NOISE},
        "plane__year": pa.array(np.where(flight % 5 == 0, None, 2000.0).tolist(), pa.float64()),
        "label": rng.random(len(asked)) < late,
        "event_timestamp": pa.array(asked, pa.timestamp("us", "UTC")),
        "label_time": pa.array(asked + np.timedelta64(3, "h"), pa.timestamp("us", "UTC")),
    }
    shipped = world.flights()
    case = replace(
        shipped,
        training=replace(quicker(shipped.training, 20), parameters={"max_depth": 3}, minimum_rows=500, window=timedelta(days=63)),
        categories=("carrier", "origin"),
        gate=replace(shipped.gate, behaviour=BehaviourPolicy(), ece_ceiling=0.4, minimum_rows=200, slice_minimum=100),
        fairness=FairnessPolicy(columns=("origin",), error_rate_difference=0.5, minimum=20),
        rollout=replace(
            shipped.rollout, steps=(0.5,), minimum_requests=200, shadow_requests=300, watch_labels=600, minimum_labels=60,
            decision_shift=0.8,
        ),
        retrain=replace(shipped.retrain, cooldown=timedelta(days=28)),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "KEPT", tmp_path_factory.mktemp("kept"))
        patch.setattr(demo_played, "SHARE", 1.0)
        yield Models(Year(case, pa.table(rows), ("carrier", "origin", "air__weather", "air__crowd", "plane__year", *NOISE)))


def test_each_row_has_the_flags_of_the_views_that_it_lacks(models: Models) -> None:
    lacks = np.array([flags == ("missing:plane",) for flags in models.lacking])
    assert np.array_equal(lacks, models.year.rows["flight"].to_numpy() % 5 == 0)
    assert set(models.lacking[~lacks]) == {()}


def test_a_sabotaged_model_has_learnt_nothing_and_the_gate_says_so(models: Models) -> None:
    champion = SPRING.isoformat()
    assert models.passes(SPRING + 8 * WEEK, champion) or models.at(SPRING + 8 * WEEK).metrics["auc"] > 0.6
    assert models.at(SPRING + 8 * WEEK + SABOTAGED).metrics["auc"] < 0.6
    assert not models.passes(SPRING + 8 * WEEK + SABOTAGED, champion)


@pytest.mark.parametrize("look", [timedelta(days=1), timedelta(days=21)])
def test_a_story_has_two_promotions_and_a_drill_that_is_refused_and_rolled_back(models: Models, look: timedelta) -> None:
    told = Demo(models, "a", look).play()
    assert told.promoted >= 2
    assert (told.drill_refused, told.drill_rolled_back, told.drill_promoted) == (1, 1, 0)
    assert told.well
    assert told.weeks > (AUTUMN - SPRING) // WEEK


def test_the_same_salt_gives_the_same_story_and_decisions_do_not_wait_for_slow_looks(models: Models) -> None:
    one, two = (Demo(models, "a", timedelta(days=21)).play() for _ in range(2))
    assert asdict(one) == asdict(two)


def test_a_story_waits_until_no_release_is_on_trial(models: Models) -> None:
    demo = Demo(models, "a", timedelta(days=7))
    demo.told.promoted = 2
    demo.state = ReleaseState(champion="a", challenger="b", rollout="r", stage=Stage.CANARY, weight=0.5)
    assert not demo._settled()
    demo.state = ReleaseState(champion="b", previous="a", rollout="r", stage=Stage.WATCH)
    assert demo._settled()


def test_what_did_not_end_well_is_told_with_what_it_waited_for() -> None:
    good = Told(promoted=2, drill_refused=1, drill_rolled_back=1, weeks=27)
    stuck = Told(promoted=1, drill_refused=1, drill_rolled_back=1, waits_for="canary: missing features")
    also = Told(promoted=3, rolled_back=1, drill_refused=1, drill_rolled_back=1)
    record = Record("demo_story")
    tell(record, {"quick": [good, stuck, also]})
    assert record.facts["quick: ended well"] == "2 of 3"
    assert record.facts["quick: two promotions, one refusal, one roll-back and no more"] == 1
    assert record.facts["quick: no second promotion"]["the first one's last look"] == "canary: missing features"
    assert record.ratios["stories that ended well"]["value"] == pytest.approx(2 / 3)
    assert record.samples["quick"]["promoted"] == [2, 1, 3]
