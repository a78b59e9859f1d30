"""The same code as the benchmarks' of estimated performance and of drift, on a small year whose changes are known."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cbpe, drift, shuffled
from benchmarks.drift import Episode, episodes
from benchmarks.flights_year import Trained2013, Year
from benchmarks.watched import Watched, spans, watch
from everloop.decide.watch import sketch
from fakes.flights_like import DAYS, START, TURNED, model, year

WEEK = timedelta(weeks=1)


@pytest.fixture(scope="module")
def small() -> tuple[Year, Trained2013]:
    made = year()
    return made, model(made)


@pytest.fixture(scope="module")
def weeks(small: tuple[Year, Trained2013]) -> list[Watched]:
    made, fitted = small
    return [watch(made, fitted, fitted.score(made), each) for each in spans(START, START + timedelta(days=DAYS), WEEK)]


def test_each_change_of_the_small_year_is_told_as_what_it_is(weeks: list[Watched]) -> None:
    calm, rough, turned = weeks[4:6], weeks[6:8], weeks[10:]
    assert all(one.failed == () for one in calm)
    assert all("drift" in one.failed and "concept" not in one.failed for one in rough)
    assert all("concept" in one.failed and "performance" in one.failed and "drift" not in one.failed for one in turned)


def test_estimates_hold_until_the_relation_turns_and_say_so_a_window_later(
    small: tuple[Year, Trained2013], tmp_path: Path
) -> None:
    made, fitted = small
    windows = spans(START + 4 * WEEK, START + timedelta(days=DAYS), WEEK)
    cbpe.compare(made, fitted, {"week": windows}, tmp_path)
    told = json.loads((tmp_path / "cbpe.json").read_text())
    first, second = (f"{TURNED + i * WEEK:%Y-%m-%d}" for i in (0, 1))
    assert list(told["facts"]["weeks in which it fails"]) == [first, second]
    assert told["facts"]["weeks in which it fails and neither said so nor held the truth"] == [first]
    assert told["facts"]["weeks that it said not to believe"][second] == "relation"
    assert told["ratios"]["mean error of auc to that of believing the release, by week"]["value"] < 3
    assert len(told["samples"]["true by week"]["auc"]) == len(windows)
    assert (tmp_path / "cbpe.png").read_bytes().startswith(b"\x89PNG")


def test_rows_in_an_order_drawn_by_lot_have_not_drifted(small: tuple[Year, Trained2013]) -> None:
    made, fitted = small
    binned = shuffled.Binned.of(made, fitted, fitted.score(made), 1)
    found = shuffled.alarms(binned, 500, 5_000, made.case.drift, repetitions=2, seed=1)
    assert found.windows == 2 * ((DAYS * 240 - 5_000) // 500)
    assert (found.drifted, found.labels, found.columns) == (0, 0, 3 * found.windows)
    again = shuffled.alarms(binned, 500, 5_000, made.case.drift, repetitions=2, seed=1)
    assert again == found


def test_binned_rows_are_counted_as_the_monitor_counts_them(small: tuple[Year, Trained2013]) -> None:
    made, fitted = small
    binned = shuffled.Binned.of(made, fitted, fitted.score(made), 1)
    rows = np.arange(100, 3_000)
    for name in ("weather", "carrier"):
        values = made.rows[name].to_pylist()[100:3_000]
        counted = sketch.count(binned.columns[name], values)
        assert binned.counts(name, rows) == {"other": 0} | counted


def test_a_limit_that_noise_reaches_gives_false_alarms(small: tuple[Year, Trained2013]) -> None:
    made, fitted = small
    binned = shuffled.Binned.of(made, fitted, fitted.score(made), 1)
    strict = replace(made.case.drift, psi=0.001, wasserstein=0.001, label=0.001)
    found = shuffled.alarms(binned, 500, 5_000, strict, repetitions=1, seed=1)
    assert 0 < found.drifted <= found.windows
    assert set(found.columns_moved) <= {"weather", "carrier", "score"}


def test_losses_are_runs_of_weeks_and_a_lead_is_counted_from_the_earliest_alarm_near() -> None:
    assert episodes([0, 3, 4, 5, 9]) == [Episode(0, 0), Episode(3, 5), Episode(9, 9)]
    loss = Episode(5, 7)
    assert [loss.lead(alarms) for alarms in ([3, 4], [0, 5], [6], [8], [])] == [2, 0, -1, None, None]
    assert drift.told_before([Episode(5, 7), Episode(20, 20)], [3, 6]) == 0.5


def test_alarms_every_week_lead_every_loss_by_chance() -> None:
    losses = [Episode(5, 7), Episode(20, 20)]
    assert drift.by_lot(losses, 30, 30) == 1.0
    assert 0 < drift.by_lot(losses, 3, 30) < 0.5
