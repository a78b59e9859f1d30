"""Releases as they serve in the year: a model with the calibrator that it was trained with, or with a newer one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.flights_year import Flags, Scores, Trained2013, moment
from benchmarks.year_served import BEGIN, Releases, Strategy
from everloop.decide.policy import RecalibrationPolicy
from everloop.decide.statistics.clusters import blocks
from everloop.learn.metrics import measure
from everloop.learn.recalibrate import NONE, Labelled, Recalibration, fit, prequential
from everloop.learn.reference import forecast_residuals, renewed

RECALIBRATED = " recalibrated "
"""In a release's name, between the moment at which its model was trained and that of its recalibration."""


@dataclass(frozen=True)
class Served:
    """A release: the model of `cut` and what it scores the whole year (n,) by its calibrator, which knows of labels until
    `calibrated_through`. `metrics`: of held-out rows, when the model was trained. `recalibrates`: the release that the model was
    trained as, `recalibration` what has become of its scores.
    """

    name: str
    cut: datetime
    model: Trained2013
    scores: Scores
    reference: dict[str, Any]
    metrics: dict[str, float]
    calibrated_through: np.datetime64
    recalibration: Recalibration = NONE
    recalibrates: str | None = None


@dataclass(frozen=True)
class Forecast:
    """A model's scores of its held-out rows (n,) as they will be judged: each by what was known before."""

    served: Served
    scores: Scores


def trained(releases: Releases, cut: datetime, policy: RecalibrationPolicy | None) -> Forecast:
    """The release that a training at `cut` makes. With a policy it is recalibrated by its held-out labels, as evaluation does."""
    model, scores, year = releases.at(cut), releases.scores(cut), releases.year
    name = name_of(cut)
    if policy is None:
        plain = Served(name, cut, model, scores, model.reference, model.metrics, model.trained_through)
        return Forecast(plain, scores[model.holdout])
    held = labelled(releases, scores, model.holdout)
    found, forecasts = fit(held, moment(cut), policy), prequential(held, policy)
    metrics = measure(held.labels, forecasts, model.threshold, year.case.cost)
    residuals = forecast_residuals(model.reference, found, held.labels, forecasts, blocks(held.asked, policy.block))
    reference = renewed(model.reference, found, residuals) | {"metrics": metrics}
    through = held.known.max()
    return Forecast(Served(name, cut, model, found.apply(scores), reference, metrics, through), forecasts)


def labelled(releases: Releases, scores: Scores, rows: Flags) -> Labelled:
    """The year's rows in a mask with these scores of the whole year (n,)."""
    year = releases.year
    return Labelled(scores[rows], year.labels[rows], year.asked[rows], year.known[rows])


def recalibrated(releases: Releases, way: Strategy, policy: RecalibrationPolicy) -> Strategy:
    """The same models at the same times, each flight scored by the fit of the labels known when its day began.

    What recalibrating would bring with no trigger, gate or rollout to wait for. Each model is taken to have scored all flights
    since those that it has learnt from.
    """
    year, made = releases.year, Strategy.empty(f"{way.name}, recalibrated every day", releases)
    made.trainings = way.trainings
    for cut in {one for one in way.cuts if one is not None}:
        rows = way.cuts == cut
        scores = releases.scores(cut).copy()
        seen = rows | (year.asked > releases.at(cut).trained_through)
        scores[rows] = prequential(labelled(releases, scores, seen), policy, rows[seen])
        made.serve(releases, rows, cut, scores)
    return made


def name_of(cut: datetime, calibrated: datetime | None = None) -> str:
    """A release's name: the moment at which it was trained, and that of its recalibration."""
    return cut.isoformat() + (f"{RECALIBRATED}{calibrated.isoformat()}" if calibrated else "")


def time_of(at: np.datetime64) -> datetime:
    """As a UTC time."""
    found: datetime = at.astype("datetime64[us]").item().replace(tzinfo=BEGIN.tzinfo)
    return found


def mask(rows: npt.NDArray[np.intp], size: int) -> Flags:
    """Positions as a mask."""
    found = np.zeros(size, dtype=bool)
    found[rows] = True
    return found
