"""The gate as the loop over the year asks it: candidate and champion on held-out rows that neither has learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.flights_year import Flags, Scores, Trained2013
from benchmarks.year_releases import Forecast, Served, labelled, time_of
from benchmarks.year_served import Releases
from everloop.decide.release import gate
from everloop.decide.statistics.clusters import blocks
from everloop.decide.verdict import Verdict
from everloop.learn.behaviour import Trial, behave, spread
from everloop.learn.perturb import extents
from everloop.learn.recalibrate import prequential


def judge(releases: Releases, candidate: Forecast, old: Served, name: str) -> Verdict:
    """The verdict on a candidate. `old`: the champion called `name`, as its booster was first released.

    Both are judged by their forecasts. Only rows count that were asked for after all that the champion's model and first
    calibrator have learnt from.
    """
    year, case = releases.year, releases.year.case
    new, days = candidate.served, blocks(year.asked, case.gate.block)
    held = np.flatnonzero(new.model.holdout)
    later = year.asked[held] > max(old.model.trained_through, old.calibrated_through)
    rows = held[later]
    slices = {what: _slice(year.rows.take(rows), what) for what in ("carrier", "origin")}
    on_all, through = gate.Scored(candidate.scores, new.model.threshold), time_of(new.model.trained_through)
    theirs = gate.Scored(forecast_of(releases, old, new.model.holdout)[later], old.model.threshold)
    evidence = gate.Evidence(
        candidate=gate.alone(year.labels[held], days[held], on_all, new.model.size_mb, through, case.gate),
        champion=gate.Champion(release=name, trained_through=time_of(old.model.trained_through)),
        comparison=gate.compare(
            year.labels[rows],
            days[rows],
            gate.Scored(candidate.scores[later], new.model.threshold),
            theirs,
            slices,
            case.cost,
            case.gate,
        ),
        behaviour=_behaviour(releases, new.model),
    )
    return gate.judge(evidence, case.gate)


def forecast_of(releases: Releases, champion: Served, held: Flags) -> Scores:
    """What the champion would have forecast for the candidate's held-out rows, recalibrated by the same policy."""
    rows, policy = labelled(releases, champion.scores, held), releases.recalibration
    return rows.scores if policy is None else prequential(rows, policy)


def _behaviour(releases: Releases, candidate: Trained2013) -> gate.Behaviour:
    """As evaluation tries it: held-out rows whose inputs are changed on purpose."""
    year, case = releases.year, releases.year.case
    policy, learnt = case.gate.behaviour, (year.known <= candidate.trained_through) & ~candidate.holdout
    held = np.flatnonzero(candidate.holdout)
    chosen = held[spread(len(held), policy.rows)]
    trial = Trial(
        model=candidate.model,
        rows=year.rows.take(chosen),
        labels=year.labels[chosen],
        blocks=blocks(year.asked[chosen], case.gate.block),
        threshold=candidate.threshold,
        cost=case.cost,
        of=extents(year.rows.filter(learnt), candidate.model.encoder),
        confidence=case.gate.confidence,
        seed=case.training.seed,
    )
    views = dict.fromkeys(name.partition("__")[0] for name in year.columns if "__" in name and not name.startswith("schedule"))
    return behave(trial, policy, list(views))


def _slice(rows: Any, name: str) -> npt.NDArray[np.str_]:
    found: npt.NDArray[np.str_] = rows[name].to_numpy(zero_copy_only=False).astype(str)
    return found
