"""The gate as the loop over the year asks it: candidate and champion on held-out rows that neither has learnt from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.flights_year import Flags, Scores, Trained2013
from benchmarks.year_releases import Forecast, Served, labelled, mask, time_of
from benchmarks.year_served import Releases
from everloop.decide import fairness
from everloop.decide.release import gate
from everloop.decide.statistics.clusters import Codes, blocks
from everloop.decide.verdict import Reason, Verdict
from everloop.learn.behaviour import Trial, behave, spread
from everloop.learn.perturb import extents
from everloop.learn.recalibrate import prequential


def judge(releases: Releases, candidate: Forecast, old: Served | None, name: str = "") -> Verdict:
    """The verdict on a candidate. `old`: the champion called `name`, as its booster was first released; `None` without one.

    Both are judged by their forecasts. That the scorer loads a release takes no part here: the models are real and load.
    """
    year, case, new = releases.year, releases.year.case, candidate.served
    held = np.flatnonzero(new.model.holdout)
    on_all, through = gate.Scored(candidate.scores, new.model.threshold), time_of(new.model.trained_through)
    days = blocks(year.asked, case.gate.block)[held]
    evidence = gate.Evidence(
        candidate=gate.alone(year.labels[held], days, on_all, new.model.size_mb, through, case.gate),
        behaviour=_behaviour(releases, new.model),
    )
    if old is not None:
        champion = gate.Champion(release=name, trained_through=time_of(old.model.trained_through))
        evidence = replace(evidence, champion=champion, comparison=_compared(releases, on_all, held, days, old))
    return gate.judge(evidence, case.gate, _groups(releases, on_all, held, days))


def _compared(releases: Releases, ours: gate.Scored, held: Codes, days: Codes, old: Served) -> gate.Comparison:
    """Against the champion, on the held-out rows asked for after all that its model and first calibrator have learnt from."""
    year, case = releases.year, releases.year.case
    later = year.asked[held] > max(old.model.trained_through, old.calibrated_through)
    rows = held[later]
    slices = {what: _slice(year.rows.take(rows), what) for what in ("carrier", "origin")}
    mine = gate.Scored(ours.scores[later], ours.threshold)
    theirs = gate.Scored(forecast_of(releases, old, mask(held, len(year.labels)))[later], old.model.threshold)
    return gate.compare(year.labels[rows], days[later], mine, theirs, slices, case.cost, case.gate)


def _groups(releases: Releases, scored: gate.Scored, held: Codes, days: Codes) -> Iterator[Reason]:
    """Every group column of the held-out rows."""
    year, case = releases.year, releases.year.case
    labels, decided = year.labels[held].astype(float), scored.scores >= scored.threshold
    for column in case.fairness.columns if case.fairness.judges else ():
        counts = fairness.count(year.rows[column].take(held).to_pylist(), decided, labels, days)
        yield from fairness.judge(column, counts, case.fairness, alpha=1 - case.gate.confidence).reasons


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
