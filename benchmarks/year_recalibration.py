"""Recalibrations in the year: looked at every morning on the labels known by then, judged by what they would have forecast."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from benchmarks.flights_year import Scores, moment
from benchmarks.year_releases import Served, name_of, time_of
from benchmarks.year_served import Releases
from everloop.decide.policy import RecalibrationPolicy
from everloop.decide.release.prequential import Forecasts, judge
from everloop.decide.release.state import ReleaseState
from everloop.decide.verdict import Verdict
from everloop.decide.watch.recalibrate import RecalibrationDecision, Seen, should_recalibrate
from everloop.learn.recalibrate import Labelled, fit, prequential
from everloop.learn.reference import renewed

LOOKED_AT = timedelta(hours=6)
"""When it is looked at, since midnight UTC: the hour of `RecalibrationPolicy.cron`."""


@dataclass(frozen=True)
class Candidate:
    """A recalibration that was asked for, with the verdict on it."""

    served: Served
    wanted: RecalibrationDecision
    verdict: Verdict


@dataclass
class Scored:
    """What the releases of one booster have scored, each row of the year once: as it was scored, and as it was forecast (n,).

    NaN where they did not. Forecasts are kept, since a block's does not change any more.
    """

    trained: Served
    given: Scores
    forecast: Scores = field(init=False)

    def __post_init__(self) -> None:
        self.forecast = np.full(len(self.given), np.nan)

    @classmethod
    def nothing(cls, trained: Served) -> Scored:
        """Before any row."""
        return cls(trained, np.full(len(trained.scores), np.nan))

    def add(self, rows: npt.NDArray[np.intp], release: Served) -> None:
        """Rows that a release has scored."""
        self.given[rows] = release.scores[rows]


def look(
    releases: Releases, scored: Scored, serving: Served, state: ReleaseState, policy: RecalibrationPolicy, at: datetime
) -> Candidate | None:
    """What comes of a look at `at`; `None` when no recalibration is wanted."""
    year, now = releases.year, moment(at)
    since = now - np.timedelta64(policy.window)
    index = np.flatnonzero(np.isfinite(scored.given) & (year.known < now) & (year.asked >= since))
    if not len(index):
        return None
    rows = Labelled(scored.trained.scores[index], year.labels[index], year.asked[index], year.known[index])
    found, through = fit(rows, now, policy), rows.known.max()
    wanted = should_recalibrate(
        Seen(
            labels=len(rows),
            blocks=found.blocks,
            shift=found.shift(serving.model.threshold, policy.confidence, serving.recalibration),
            calibrated_through=time_of(serving.calibrated_through),
            through=time_of(through),
        ),
        state,
        policy,
    )
    if not wanted.recalibrate:
        return None
    new = np.isnan(scored.forecast[index])
    scored.forecast[index[new]] = prequential(rows, policy, new)
    forecasts = Forecasts(rows.labels, scored.forecast[index], scored.given[index], rows.scores, rows.asked)
    made = replace(
        scored.trained,
        name=name_of(serving.cut, at),
        scores=found.apply(scored.trained.scores),
        reference=renewed(scored.trained.reference, found, rows.labels, forecasts.recalibrated),
        calibrated_through=through,
        recalibration=found,
        recalibrates=scored.trained.name,
    )
    return Candidate(made, wanted, judge(forecasts, serving.model.threshold, year.case.cost, policy))
