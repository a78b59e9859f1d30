"""(d) everloop over the year: its trigger, gate and rollout decide, on what they could have known at each moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.flights_year import Trained2013, moment
from benchmarks.year_served import BEGIN, Releases, Strategy, weeks
from everloop.decide.policy import DriftPolicy
from everloop.decide.release import gate
from everloop.decide.release.evidence import Evidence, LoadCheck, from_traffic, trial
from everloop.decide.release.rollout import Action, Kind, advance, begin
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.statistics.clusters import Likeness, blocks
from everloop.decide.verdict import Outcome, Verdict
from everloop.decide.watch import drift, performance
from everloop.decide.watch.retrain import RetrainDecision, Window, should_retrain
from everloop.decide.watch.shift import compare
from everloop.decide.watch.sketch import count
from everloop.interval import Interval
from everloop.learn.behaviour import Trial, behave, spread
from everloop.learn.perturb import extents
from everloop.serve.answering.arms import CHALLENGER, assign
from everloop.use_case import UseCase

LOOK = timedelta(hours=6)
"""How often the rollout is looked at, in the time of the data."""

Rows = npt.NDArray[np.intp]


@dataclass
class Told:
    """One decision, for the record."""

    at: datetime
    what: str
    release: str
    why: str


@dataclass
class Loop:
    """The loop's state as it goes through the year. Releases are named by the moment at which they were trained."""

    releases: Releases
    made: Strategy
    state: ReleaseState
    windows: dict[str, list[Window]] = field(default_factory=dict)
    wanted: dict[str, datetime] = field(default_factory=dict)
    log: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)

    def run(self) -> None:
        """Serve, look, measure and decide, week by week."""
        for week in weeks():
            at = week.start
            while at < week.end:
                self._serve(Interval(at, at + LOOK))
                at += LOOK
                self._look(at)
            self._decide(week)

    @property
    def _case(self) -> UseCase:
        return self.releases.year.case

    def _serve(self, span: Interval) -> None:
        """Have the rows of `span` decided by the release that each entity is assigned to, and keep what a rollout looks at."""
        year, state = self.releases.year, self.state
        rows = np.flatnonzero(year.between(span.start, span.end))
        champion = _cut(state.champion)
        if state.rollout is None:
            self.made.serve(self.releases, _mask(rows, year.rows.num_rows), champion)
            return
        entities = self._entities(rows)
        found = [
            assign(state, entity, str(row), self._case.rollout.shadow_share) for entity, row in zip(entities, rows, strict=True)
        ]
        ours = np.array([one.arm == CHALLENGER for one in found], dtype=bool)
        shadow = np.array([one.shadow for one in found], dtype=bool)
        for mine, release in ((ours, state.challenger), (~ours, state.champion)):
            if mine.any():
                self.made.serve(self.releases, _mask(rows[mine], year.rows.num_rows), _cut(release))
        self._keep(rows, ours, shadow, entities)

    def _keep(self, rows: Rows, ours: npt.NDArray[np.bool_], shadow: npt.NDArray[np.bool_], entities: list[str]) -> None:
        """As the scorer would have logged them: an answer, the other release's score where it is in the sample."""
        new, old = trial(self.state)
        answering = np.where(ours | (self.state.stage is Stage.WATCH), new, old)
        beside = np.where(answering == new, old, new)
        scores = {name: self.releases.scores(_cut(name))[rows] for name in (new, old) if name}
        columns = {
            "row": rows,
            "request_id": rows.astype(str),
            "entity": np.array(entities, dtype=object),
            "at": self.releases.year.asked[rows],
            "as_of": self.releases.year.asked[rows],
            "arm": np.where(ours, "challenger", "champion"),
            "release": answering.astype(object),
            "score": _by(answering, scores),
            "shadow_release": np.where(shadow, beside, None),
            "shadow_score": np.where(shadow, _by(beside, scores), np.nan),
            "flags": _no_flags(len(rows)),
            "error": np.full(len(rows), None, dtype=object),
            "latency_ms": np.full(len(rows), 5.0),
        }
        for name, values in columns.items():
            self.log.setdefault(name, []).append(values)

    def _entities(self, rows: Rows) -> list[str]:
        year = self.releases.year
        fields = [year.rows[name].take(rows).to_pylist() for name in year.case.entity]
        return ["|".join(map(str, values)) for values in zip(*fields, strict=True)]

    def _look(self, at: datetime) -> None:
        """One look at the rollout, with the labels that are known by now."""
        if self.state.rollout is None:
            return
        action = advance(self.state, self._evidence(at), self._case.rollout, at)
        if action.kind is not Kind.WAIT:
            self._apply(action, at)

    def _evidence(self, at: datetime) -> Evidence:
        # What the scorer checks before any traffic takes no part here: the models are real and load.
        check = LoadCheck.of([0.5])
        if not self.log:
            return Evidence(check=check)
        rows = {name: np.concatenate(parts) for name, parts in self.log.items()}
        year, index = self.releases.year, rows.pop("row")
        known = year.known[index] <= moment(at)
        rows["label"] = np.where(known, year.labels[index].astype(float), np.nan)
        thresholds = {name: self.releases.at(_cut(name)).threshold for name in trial(self.state) if name}
        return from_traffic(rows, self.state, cost=self._case.cost, thresholds=thresholds, check=check)

    def _apply(self, action: Action, at: datetime) -> None:
        about = self.state.challenger or self.state.champion or ""
        self.told.append(Told(at, action.kind.value, about, action.reason))
        if action.after.rollout != self.state.rollout:
            self.log.clear()
        self.state = action.after

    def _decide(self, week: Interval) -> None:
        """Measure the week of the champion; train, judge and put on trial what the trigger asks for."""
        name = str(self.state.champion)
        seen = self.windows.setdefault(name, [])
        seen.append(self._window(week, self.releases.at(_cut(name))))
        champion = self.releases.at(_cut(name))
        found = should_retrain(
            seen,
            self._case.retrain,
            last_trained_through=_time(champion.trained_through),
            last_wanted=self.wanted.get(name),
            now=week.end,
        )
        if not found.retrain or self.state.stage not in (Stage.IDLE, Stage.WATCH):
            return
        self.wanted[name] = week.end
        self._train(week.end, champion, found)

    def _train(self, at: datetime, champion: Trained2013, wanted: RetrainDecision) -> None:
        self.made.trainings.append(at)
        self.told.append(Told(at, "trained", _name(at), wanted.reason))
        verdict = judge(self.releases, at, champion, str(self.state.champion))
        self.told.append(Told(at, f"gate: {verdict.outcome.value}", _name(at), verdict.because()))
        if verdict.passed:
            self._apply(begin(self.state, _name(at), _name(at), at, reason="the gate passed", supersede=True), at)

    def _window(self, week: Interval, release: Trained2013) -> Window:
        """Drift and performance of the champion on its week, as the monitor measures them."""
        year, case, cut = self.releases.year, self._case, _cut(self.state.champion)
        rows = year.between(week.start, week.end)
        scores = self.releases.scores(cut)[rows]
        drifted = drifting(year.rows.filter(rows), scores, release.reference, case.drift, week)
        known = year.known[rows] <= moment(week.end)
        labels, sure = year.labels[rows][known], scores[known]
        days = blocks(year.asked[rows][known], case.gate.block)
        alike = {name: Likeness(**found) for name, found in release.reference["alike"].items()}
        found = performance.measure(labels, sure, sure >= release.threshold, case.cost, days, alike)
        performed = performance.judge(found, release.metrics, case.retrain, case.drift.minimum_rows)
        failed = [verdict.because() for verdict in (drifted, performed) if verdict.outcome is Outcome.FAIL]
        return Window(
            end=week.end, drift=drifted.outcome, performance=performed.outcome, labels=int(known.sum()), because="; ".join(failed)
        )


def drifting(
    rows: Any, scores: npt.NDArray[np.float64], reference: dict[str, Any], policy: DriftPolicy, week: Interval
) -> Verdict:
    """The verdict on a window's inputs and scores."""
    values = {name: (column, rows[name].to_pylist()) for name, column in reference["columns"].items()}
    found = {name: compare(column, count(column, given), week, policy.minimum_rows) for name, (column, given) in values.items()}
    score = compare(reference["score"], count(reference["score"], scores.tolist()), week, policy.minimum_rows)
    return drift.judge({name: shift for name, shift in found.items() if shift}, score, policy)


def judge(releases: Releases, at: datetime, champion: Trained2013, name: str) -> Verdict:
    """The gate on the candidate of `at`, against the champion on held-out rows that neither has learnt from."""
    year, candidate, case = releases.year, releases.at(at), releases.year.case
    held = candidate.holdout & (year.asked > champion.trained_through)
    ours = gate.Scored(releases.scores(at)[held], candidate.threshold)
    theirs = gate.Scored(releases.scores(_cut(name))[held], champion.threshold)
    slices = {what: _slice(year.rows.filter(held), what) for what in ("carrier", "origin")}
    stands = candidate.holdout
    on_all = gate.Scored(releases.scores(at)[stands], candidate.threshold)
    days = blocks(year.asked, case.gate.block)
    evidence = gate.Evidence(
        candidate=gate.alone(
            year.labels[stands], days[stands], on_all, candidate.size_mb, _time(candidate.trained_through), case.gate
        ),
        champion=gate.Champion(release=name, trained_through=_time(champion.trained_through)),
        comparison=gate.compare(year.labels[held], days[held], ours, theirs, slices, case.cost, case.gate),
        behaviour=_behaviour(releases, candidate),
    )
    return gate.judge(evidence, case.gate)


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


def played(releases: Releases) -> Loop:
    """The whole year, the first model having been released at its begin."""
    made = Strategy.empty("everloop", releases)
    made.trainings = [BEGIN]
    loop = Loop(releases, made, ReleaseState(champion=_name(BEGIN), since=BEGIN))
    loop.run()
    return loop


def _slice(rows: Any, name: str) -> npt.NDArray[np.str_]:
    found: npt.NDArray[np.str_] = rows[name].to_numpy(zero_copy_only=False).astype(str)
    return found


def _name(cut: datetime) -> str:
    return cut.isoformat()


def _cut(name: str | None) -> datetime:
    return datetime.fromisoformat(str(name))


def _time(at: np.datetime64) -> datetime:
    found: datetime = at.astype("datetime64[us]").item().replace(tzinfo=BEGIN.tzinfo)
    return found


def _by(names: npt.NDArray[Any], scores: dict[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Of each row, the score by the release that is named there."""
    return np.array([scores[name][i] if name else np.nan for i, name in enumerate(names)])


def _no_flags(size: int) -> npt.NDArray[Any]:
    flags = np.empty(size, dtype=object)
    flags.fill(())
    return flags


def _mask(rows: Rows, size: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(size, dtype=bool)
    mask[rows] = True
    return mask
