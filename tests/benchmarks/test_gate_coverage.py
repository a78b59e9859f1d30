"""The benchmark of the gate's coverage on a small year in which days have nothing in common."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from benchmarks import gate_coverage
from benchmarks.flights_year import moment
from benchmarks.gate_coverage import Held, Met
from everloop.decide.statistics.estimate import Estimate
from fakes.flights_like import A_DAY, DAYS, START, model, year


def pair():
    made = year()
    ours = model(made)
    other = SimpleNamespace(encoder=ours.model.encoder, score=lambda chances: chances**1.3)
    return made, ours, replace(ours, model=other)


def test_windows_are_whole_days_later_than_what_both_have_learnt() -> None:
    made, ours, theirs = pair()
    met = Met.of(made, ours, theirs)
    # What was learnt ends at the begin of day 28, of which nothing is taken.
    assert met.days == DAYS - 29
    rows, units = next(met.in_a_row(14))
    assert len(rows) == 14 * A_DAY
    assert rows[0] == 0
    assert met.labels.tolist() == made.labels[made.asked >= moment(START + timedelta(days=29))].tolist()
    assert [len(np.unique(units[side])) for side in ("days", "rows")] == [14, 14 * A_DAY]
    assert len(list(met.in_a_row(14))) == 3
    drawn, units = next(met.drawn(14, 1, np.random.default_rng(1)))
    assert (len(drawn), len(np.unique(units["days"]))) == (14 * A_DAY, 14)


def test_a_run_tells_coverage_by_days_and_by_rows_and_what_passes(tmp_path: Path) -> None:
    made, ours, theirs = pair()
    gate_coverage.run(made, [(ours, theirs)], (1,), 6, tmp_path)
    told = json.loads((tmp_path / "gate_coverage.json").read_text())
    assert told["facts"]["windows"] == {"days by lot": 6, "weeks in a row": 4}
    assert set(told["facts"]["AUC: held in"]) == {
        "days by lot, by days", "days by lot, by rows", "weeks in a row, by days", "weeks in a row, by rows",
        "weeks in a row, by weeks",
    }  # fmt: skip
    assert len(told["ratios"]) == 8
    assert len(told["samples"]["coverage of a pair: days by lot, by days"]["AUC"]) == 1


def test_only_a_candidate_that_is_worse_by_more_than_the_margin_passes_wrongly() -> None:
    found = Held()
    sure = Estimate(value=-0.05, low=-0.06, high=-0.04, rows=9)
    met = SimpleNamespace(truth={"cost difference": 0.02}, margin=0.01)
    found.add("lot", met, {"days": {"cost difference": sure}})
    # The truth is that ours is worse by 0.02, which the interval denies; theirs, turned round, is better.
    assert (found.wrong, found.passed) == ({("lot", "days"): [True]}, {("lot", "days"): [False]})
    assert found.held == {("lot", "days", "cost difference"): [False]}
