"""The report: complete as JSON, readable as a page that fetches nothing and trusts no value."""

from __future__ import annotations

import json
import re

from everloop.decide.experiment.readout import Comparison
from everloop.steps import experiment
from everloop.steps.experiment.report import WIDTH, intervals
from steps.experiment.conftest import World


def told(world: World) -> tuple[object, object]:
    standing = experiment.latest(world.ledger, "toys")
    return standing, experiment.read_again(world.traffic, world.registry, world.lake, world.use_case, standing)


def test_the_page_and_the_json_tell_the_same(world: World) -> None:
    world.start(world.plan(segments=("size",)))
    world.users(better=0.15).wait(7).look()
    page = experiment.page("toys", *told(world), world.now)
    found = json.loads(experiment.as_json("toys", *told(world), world.now))
    assert found["readout"]["conclusion"] == "better"
    assert found["ended"]["action"] == "experiment_concluded"
    assert found["plan"]["treatment"] == world.ids["new"]
    assert f"{found['readout']['overall']['difference']:+.4g}" in page
    assert page.count("<svg") == 3
    assert not re.search(r"https?://|<script|<link|@import", page)
    assert "size small" in "\n".join(experiment.lines(*told(world)))


def test_an_experiment_without_traffic_is_told_as_such(world: World) -> None:
    world.start()
    page = experiment.page("toys", *told(world), world.now)
    assert "too few entities" in page
    assert "<svg" not in page
    assert "conclusion: inconclusive" in list(experiment.lines(*told(world)))


def test_reasons_cannot_bring_markup_into_the_page(world: World) -> None:
    world.start(reason="<script>alert(1)</script>")
    assert "<script" not in experiment.page("toys", *told(world), world.now)


def test_intervals_are_drawn_on_one_scale() -> None:
    wide = Comparison(rows=(9, 9), entities=(9, 9), means=(1, 1), difference=0.0, low=-2.0, high=2.0, margin=1.0)
    narrow = Comparison(rows=(9, 9), entities=(9, 9), means=(1, 1), difference=0.5, low=0.0, high=1.0, margin=1.0)
    drawn = intervals([wide, narrow, Comparison(rows=(0, 0), entities=(0, 0))])
    assert drawn[0] == {"low": 0.0, "high": WIDTH, "at": WIDTH / 2, "from": WIDTH / 4, "to": 3 * WIDTH / 4}
    assert drawn[1] == {"low": WIDTH / 2, "high": 3 * WIDTH / 4, "at": 5 * WIDTH / 8, "from": WIDTH / 4, "to": 3 * WIDTH / 4}
    assert drawn[2] is None
