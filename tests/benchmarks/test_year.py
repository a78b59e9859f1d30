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
from benchmarks.year_releases import recalibrated
from benchmarks.year_served import BEGIN, END, Releases, every, for_ever, oracle, weeks
from everloop.decide.policy import BehaviourPolicy, RecalibrationPolicy

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
        training=replace(
            quicker(shipped.training, 20),
            parameters={"max_depth": 3, "subsample": 0.8},
            minimum_rows=500,
            window=timedelta(days=63),
        ),
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
            ranking_shift=1.0,  # a better model orders flights the other way where the rules turn round
        ),
        retrain=replace(shipped.retrain, cooldown=timedelta(days=28)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "KEPT", tmp_path_factory.mktemp("kept"))
        yield Releases(Year(case, pa.table(rows), ("carrier", "origin", "weather")))


@pytest.fixture(scope="module")
def loop(releases: Releases) -> Loop:
    return played(releases)


@pytest.fixture(scope="module")
def recalibrating(releases: Releases) -> Loop:
    return played(replace(releases, recalibration=RecalibrationPolicy()), "recalibrating")


def test_the_loop_trains_when_the_rules_change_and_serves_what_it_promoted(loop: Loop) -> None:
    promoted = [told for told in loop.told if told.what == "promoted"]
    assert promoted
    assert promoted[0].at > TURNED
    assert len(loop.made.trainings) < len(weeks())
    assert str(loop.state.champion) != BEGIN.isoformat()


def test_every_flight_of_the_weeks_is_decided_once_and_nothing_is_known_too_early(
    releases: Releases, loop: Loop, recalibrating: Loop
) -> None:
    served = releases.year.between(BEGIN, END)
    for way in (loop.made, recalibrating.made, for_ever(releases)):
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


def test_a_model_that_is_recalibrated_pays_less_for_a_ranking_that_has_turned(releases: Releases) -> None:
    served, way = releases.year.between(BEGIN, END), for_ever(releases)
    fresh = recalibrated(releases, way, RecalibrationPolicy())
    assert np.isfinite(fresh.spent[served]).all()
    turned = releases.year.between(TURNED + timedelta(days=35), END)
    assert fresh.spent[turned].mean() < way.spent[turned].mean()
    assert (fresh.cuts[served] == BEGIN).all()


def test_a_flight_is_recalibrated_by_nothing_that_was_known_later(releases: Releases) -> None:
    """Other labels after a day change no score of that day or before."""
    year, way, policy = releases.year, for_ever(releases), RecalibrationPolicy()
    later = year.known >= moment(TURNED)
    labels = pa.array(np.where(later, ~year.labels, year.labels))
    other = Year(year.case, year.rows.set_column(year.rows.column_names.index("label"), "label", labels), year.columns)
    changed = recalibrated(Releases(other, None, releases._models, releases._scores), way, policy)
    before = year.between(BEGIN, TURNED)
    scores = recalibrated(releases, way, policy).scores
    assert (scores[before] == changed.scores[before]).all()
    after = year.between(TURNED + timedelta(days=2), END)
    assert (scores[after] != changed.scores[after]).mean() > 0.9


def test_recalibrations_serve_what_labels_known_before_them_have_taught(releases: Releases, recalibrating: Loop) -> None:
    promoted = [told for told in recalibrating.told if told.what == "promoted" and told.of_a_recalibration]
    assert promoted
    for told in promoted:
        served = recalibrating.served[told.release]
        assert served.recalibrates in recalibrating.served
        assert served.calibrated_through < moment(told.at)


def test_recalibration_saves_what_an_old_model_costs_until_a_new_one_is_let_on(
    releases: Releases, loop: Loop, recalibrating: Loop
) -> None:
    turned = releases.year.between(TURNED + timedelta(days=14), END)
    assert recalibrating.made.spent[turned].mean() < loop.made.spent[turned].mean()


def test_models_of_another_seed_are_other_models_of_the_same_year(releases: Releases) -> None:
    year = releases.year
    other = Releases(benchmark.of_seed(year, benchmark.SEED))
    assert year.case.training.seed != benchmark.SEED
    assert (other.year.labels == year.labels).all()
    assert (other.scores(BEGIN) != releases.scores(BEGIN)).any()


def test_what_was_found_is_recorded_and_drawn(releases: Releases, loop: Loop, recalibrating: Loop, tmp_path) -> None:
    ways = [for_ever(releases), every(releases, 4, "monthly"), loop.made, recalibrating.made, oracle(releases)]
    run, record = benchmark.Played(releases, ways, [loop, recalibrating], ", seed 1"), Record("year")
    benchmark.measure(record, run)
    for one in run.loops:
        benchmark.promotions(record, run, one)
    benchmark.draw(run, tmp_path / "year.svg")
    record.finish(tmp_path)
    found = json.loads((tmp_path / "year.json").read_text())
    assert len(found["samples"]["everloop, seed 1"]["cost"]) == len(weeks())
    decisions = found["facts"]["decisions, recalibrating, seed 1"]
    assert decisions
    assert not any("recalibrat" in one["release"] for one in decisions)
    recalibrations = found["facts"]["recalibrations, recalibrating, seed 1"]
    assert recalibrations["promoted"] == sum(told.what == "promoted" and told.of_a_recalibration for told in recalibrating.told)
    assert found["facts"]["recalibrations, everloop, seed 1"] == {}
    assert set(found["ratios"]) >= {"cost, everloop, seed 1 / oracle", "trainings, recalibrating, seed 1"}
    assert (tmp_path / "year.svg").read_text().startswith("<?xml")
