from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from benchmarks import world
from benchmarks import year as benchmark
from benchmarks.flights_year import Year, moment, quicker
from benchmarks.record import Record
from benchmarks.year_loop import Loop, played
from benchmarks.year_served import BEGIN, END, Releases, every, for_ever, oracle, recalibrated, weeks
from everloop.decide.policy import BehaviourPolicy

START, DAYS, A_DAY = datetime(2013, 1, 1, tzinfo=UTC), 364, 60
TURNED = datetime(2013, 6, 1, tzinfo=UTC)
"""From here on bad weather makes no flight late, and good weather does."""


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """A small year in which the rules change once, and real models of it."""
    rng = np.random.default_rng(3)
    asked = np.array([moment(START + timedelta(days=day, minutes=20 * i)) for day in range(DAYS) for i in range(A_DAY)])
    weather = rng.normal(0, 1, len(asked))
    late = 1 / (1 + np.exp(1.0 - 1.5 * np.where(asked >= moment(TURNED), -weather, weather)))
    rows = {
        "carrier": rng.choice(["AA", "UA"], len(asked)),
        "flight": rng.integers(1, 40, len(asked)),
        "origin": rng.choice(["JFK", "EWR"], len(asked)),
        "weather": weather,
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
        rollout=replace(
            shipped.rollout,
            steps=(0.5,),
            minimum_requests=20,
            shadow_requests=60,
            watch_labels=300,
            minimum_labels=60,
            decision_shift=1.0,
        ),
        retrain=replace(shipped.retrain, cooldown=timedelta(days=28)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "KEPT", tmp_path_factory.mktemp("kept"))
        yield Releases(Year(case, pa.table(rows), ("carrier", "origin", "weather")))


@pytest.fixture(scope="module")
def loop(releases: Releases) -> Loop:
    return played(releases)


def test_the_loop_trains_when_the_rules_change_and_serves_what_it_promoted(loop: Loop) -> None:
    promoted = [told for told in loop.told if told.what == "promoted"]
    assert promoted
    assert promoted[0].at > TURNED
    assert len(loop.made.trainings) < len(weeks())
    assert str(loop.state.champion) != BEGIN.isoformat()


def test_every_flight_of_the_weeks_is_decided_once_and_nothing_is_known_too_early(releases: Releases, loop: Loop) -> None:
    served = releases.year.between(BEGIN, END)
    for way in (loop.made, for_ever(releases)):
        assert np.isfinite(way.spent[served]).all()
        assert np.isnan(way.spent[~served]).all()
    assert all(releases.at(cut).trained_through < moment(cut) for cut in loop.made.trainings)


def test_the_loop_lies_between_the_first_model_and_the_oracle(releases: Releases, loop: Loop) -> None:
    served = releases.year.between(BEGIN, END)
    first, best = for_ever(releases).spent[served].mean(), oracle(releases).spent[served].mean()
    assert best <= loop.made.spent[served].mean() < first


def test_a_model_every_month_is_trained_every_fourth_week(releases: Releases) -> None:
    made = every(releases, 4, "monthly")
    assert made.trainings == [week.start for week in weeks()[::4]]


def test_a_calibrator_of_the_latest_weeks_takes_back_a_ranking_that_has_turned(releases: Releases) -> None:
    served, way = releases.year.between(BEGIN, END), for_ever(releases)
    fresh = recalibrated(releases, way)
    assert np.isfinite(fresh.spent[served]).all()
    turned = releases.year.between(TURNED + timedelta(days=35), END)
    assert fresh.spent[turned].mean() < way.spent[turned].mean()
    assert (fresh.cuts[served] == BEGIN).all()


def test_what_was_found_is_recorded_and_drawn(releases: Releases, loop: Loop, tmp_path) -> None:
    record, ways = Record("year"), [for_ever(releases), every(releases, 4, "monthly"), loop.made, oracle(releases)]
    benchmark.measure(record, releases, ways)
    benchmark.promotions(record, releases, loop)
    benchmark.draw(releases, ways, loop, tmp_path / "year.svg")
    record.finish(tmp_path)
    found = json.loads((tmp_path / "year.json").read_text())
    assert len(found["samples"]["everloop"]["cost"]) == len(weeks())
    assert found["facts"]["decisions"][0]["what"] == "trained"
    assert (tmp_path / "year.svg").read_text().startswith("<?xml")
