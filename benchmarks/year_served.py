"""The year week by week: which model decided which flight under each way of keeping a model good, and what that cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from benchmarks.flights_year import Trained2013, Year, fit
from everloop.decide.policy import RecalibrationPolicy
from everloop.decide.statistics.compare import auc, costs
from everloop.interval import Interval
from everloop.learn.metrics import calibration_error

WEEK = timedelta(days=7)
BEGIN, END = datetime(2013, 4, 2, tzinfo=UTC), datetime(2013, 12, 31, tzinfo=UTC)
"""The weeks of the use case's own grid (counted from 1 January) from April on, all of them whole."""


def weeks() -> list[Interval]:
    """Every week that is served."""
    return [Interval(BEGIN + n * WEEK, BEGIN + (n + 1) * WEEK) for n in range((END - BEGIN) // WEEK)]


@dataclass
class Releases:
    """The models of the year by the moment at which they were trained, each trained and scored once, whoever asks for it.

    `recalibration`: how everloop brings their scores back to chances between two trainings; `None` for not at all.
    """

    year: Year
    recalibration: RecalibrationPolicy | None = None
    _models: dict[datetime, Trained2013] = field(default_factory=dict)
    _scores: dict[datetime, npt.NDArray[np.float64]] = field(default_factory=dict)

    def at(self, cut: datetime) -> Trained2013:
        """The model that a retraining at `cut` gives."""
        if cut not in self._models:
            self._models[cut] = fit(self.year, cut)
        return self._models[cut]

    def scores(self, cut: datetime) -> npt.NDArray[np.float64]:
        """Its scores of every flight of the year (n,)."""
        if cut not in self._scores:
            self._scores[cut] = self.at(cut).score(self.year)
        return self._scores[cut]

    def costs(self, cut: datetime) -> npt.NDArray[np.float64]:
        """What its decisions cost, or would have, by flight (n,)."""
        return costs(self.year.labels, self.scores(cut) >= self.at(cut).threshold, self.year.case.cost)


@dataclass
class Strategy:
    """One way of keeping a model good. `cuts`, `scores`, `spent` (n,): of the model that decided each flight."""

    name: str
    cuts: npt.NDArray[np.object_]
    scores: npt.NDArray[np.float64]
    spent: npt.NDArray[np.float64]
    trainings: list[datetime]

    @classmethod
    def empty(cls, name: str, releases: Releases) -> Strategy:
        """Before anything was served."""
        size = releases.year.rows.num_rows
        return cls(name, np.full(size, None), np.full(size, np.nan), np.full(size, np.nan), [])

    def serve(
        self, releases: Releases, rows: npt.NDArray[np.bool_], cut: datetime, scores: npt.NDArray[np.float64] | None = None
    ) -> None:
        """Have the model of `cut` decide these rows, by its own scores or by others of the whole year (n,)."""
        self.cuts[rows] = cut
        given = (releases.scores(cut) if scores is None else scores)[rows]
        decided = given >= releases.at(cut).threshold
        self.scores[rows], self.spent[rows] = given, costs(releases.year.labels[rows], decided, releases.year.case.cost)

    def measures(self, year: Year, week: Interval) -> dict[str, float]:
        """Cost per flight, AUC and calibration error of a week."""
        rows = year.between(week.start, week.end)
        ranked = auc(year.labels[rows], self.scores[rows])
        return {
            "cost": float(self.spent[rows].mean()),
            "auc": ranked.value if ranked else float("nan"),
            "ece": calibration_error(year.labels[rows], self.scores[rows]),
        }


def for_ever(releases: Releases) -> Strategy:
    """(a) The first model decides everything."""
    made = Strategy.empty("first model for ever", releases)
    made.trainings = [BEGIN]
    made.serve(releases, releases.year.between(BEGIN, END), BEGIN)
    return made


def every(releases: Releases, weeks_between: int, name: str) -> Strategy:
    """(b), (c) Trained again after so many weeks, and promoted whatever comes of it."""
    made = Strategy.empty(name, releases)
    for number, week in enumerate(weeks()):
        if number % weeks_between == 0:
            made.trainings.append(week.start)
        made.serve(releases, releases.year.between(week.start, week.end), made.trainings[-1])
    return made


def oracle(releases: Releases) -> Strategy:
    """(e) Each week the model, of all that could have been trained by then, that will prove cheapest in it: nobody can know."""
    made = Strategy.empty("oracle", releases)
    cuts: list[datetime] = []
    for week in weeks():
        cuts.append(week.start)
        rows = releases.year.between(week.start, week.end)
        best = min(cuts, key=lambda cut: float(releases.costs(cut)[rows].mean()))
        made.serve(releases, rows, best)
    made.trainings = cuts
    return made
