"""(d) everloop over the year: its trigger, gate and rollout decide, on what they could have known at each moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.flights_year import moment
from benchmarks.year_gate import judge
from benchmarks.year_recalibration import LOOKED_AT, Scored, look
from benchmarks.year_releases import RECALIBRATED, Served, mask, name_of, time_of, trained
from benchmarks.year_served import BEGIN, Releases, Strategy, weeks
from everloop.decide.policy import DriftPolicy, RolloutPolicy
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
from everloop.serve.answering.arms import CHALLENGER, assign
from everloop.use_case import UseCase

LOOK = timedelta(hours=6)
"""How often the rollout is looked at, in the time of the data."""
SHORT_LOOK, DAY = timedelta(hours=1), timedelta(days=1)

Rows = npt.NDArray[np.intp]


@dataclass
class Told:
    """One decision, for the record."""

    at: datetime
    what: str
    release: str
    why: str

    @property
    def of_a_recalibration(self) -> bool:
        """Whether it is about a release that was not trained."""
        return RECALIBRATED in self.release


@dataclass
class Loop:
    """The loop's state as it goes through the year. Releases are named by when they were trained or recalibrated."""

    releases: Releases
    made: Strategy
    state: ReleaseState
    served: dict[str, Served] = field(default_factory=dict)
    windows: dict[datetime, list[Window]] = field(default_factory=dict)
    wanted: dict[datetime, datetime] = field(default_factory=dict)
    scored: dict[datetime, Scored] = field(default_factory=dict)
    log: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)

    def run(self) -> None:
        """Serve, look, measure and decide, week by week."""
        for week in weeks():
            at = week.start
            while at < week.end:
                until = self._next_look(at)
                self._serve(Interval(at, until))
                at = until
                self._look(at)
                self._recalibrate(at)
            self._decide(week)

    def begin_with(self, first: Served) -> None:
        """What serves when the year begins."""
        self._know(first)

    def _next_look(self, at: datetime) -> datetime:
        """Rollouts of recalibrations are short, so they are looked at every hour."""
        trial = self.served.get(str(self.state.challenger or self.state.champion))
        step = SHORT_LOOK if self.state.rollout and trial and trial.recalibrates else LOOK
        return at + step - (at - BEGIN) % step

    @property
    def _case(self) -> UseCase:
        return self.releases.year.case

    def _serve(self, span: Interval) -> None:
        """Have the rows of `span` decided by the release that each entity is assigned to, and keep what a rollout looks at."""
        year, state = self.releases.year, self.state
        rows = np.flatnonzero(year.between(span.start, span.end))
        if state.rollout is None:
            self._answer(rows, state.champion)
            return
        entities = self._entities(rows)
        found = [
            assign(state, entity, str(row), self._case.rollout.shadow_share) for entity, row in zip(entities, rows, strict=True)
        ]
        ours = np.array([one.arm == CHALLENGER for one in found], dtype=bool)
        shadow = np.array([one.shadow for one in found], dtype=bool)
        for mine, release in ((ours, state.challenger), (~ours, state.champion)):
            if mine.any():
                self._answer(rows[mine], release)
        self._keep(rows, ours, shadow, entities)

    def _answer(self, rows: Rows, release: str | None) -> None:
        served, which = self.served[str(release)], mask(rows, self.releases.year.rows.num_rows)
        self.made.serve(self.releases, which, served.cut, served.scores)
        self.scored[served.cut].add(rows, served)

    def _keep(self, rows: Rows, ours: npt.NDArray[np.bool_], shadow: npt.NDArray[np.bool_], entities: list[str]) -> None:
        """As the scorer would have logged them: an answer, the other release's score where it is in the sample."""
        new, old = trial(self.state)
        answering = np.where(ours | (self.state.stage is Stage.WATCH), new, old)
        beside = np.where(answering == new, old, new)
        scores = {name: self.served[name].scores[rows] for name in (new, old) if name}
        for name in set(scores) - {None}:
            sole = rows[shadow & (beside == name)]
            self.scored[self.served[name].cut].add(sole, self.served[name])
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
        action = advance(self.state, self._evidence(at), self._rollout(), at)
        if action.kind is not Kind.WAIT:
            self._apply(action, at)

    def _rollout(self) -> RolloutPolicy:
        """The policy of what is on trial."""
        policy, trial = self.releases.recalibration, self.served[str(self.state.challenger or self.state.champion)]
        return policy.rollout if policy and trial.recalibrates else self._case.rollout

    def _evidence(self, at: datetime) -> Evidence:
        # What the scorer checks before any traffic takes no part here: the models are real and load.
        check = LoadCheck.of([0.5])
        if not self.log:
            return Evidence(check=check)
        rows = {name: np.concatenate(parts) for name, parts in self.log.items()}
        year, index = self.releases.year, rows.pop("row")
        known = year.known[index] <= moment(at)
        rows["label"] = np.where(known, year.labels[index].astype(float), np.nan)
        thresholds = {name: self.served[name].model.threshold for name in trial(self.state) if name}
        return from_traffic(rows, self.state, cost=self._case.cost, thresholds=thresholds, check=check)

    def _apply(self, action: Action, at: datetime) -> None:
        about = action.after.challenger or self.state.challenger or self.state.champion or ""
        self.told.append(Told(at, action.kind.value, about, action.reason))
        if action.after.rollout != self.state.rollout:
            self.log.clear()
        self.state = action.after

    def _recalibrate(self, at: datetime) -> None:
        """Look at the labels of the morning, and put on trial what is wanted and passes."""
        policy = self.releases.recalibration
        if policy is None or (at - BEGIN) % DAY != LOOKED_AT:
            return
        serving = self.served[str(self.state.champion)]
        found = look(self.releases, self.scored[serving.cut], serving, self.state, policy, at)
        if found is None:
            return
        made, verdict = found.served, found.verdict
        self.told.append(Told(at, "recalibration wanted", made.name, found.wanted.reason))
        self.told.append(Told(at, f"prequential: {verdict.outcome.value}", made.name, verdict.because()))
        if verdict.passed:
            self._begin(made, at)

    def _know(self, made: Served) -> None:
        self.served[made.name] = made
        if made.recalibrates is None:
            self.scored[made.cut] = Scored.nothing(made)

    def _begin(self, made: Served, at: datetime) -> None:
        self._know(made)
        self._apply(begin(self.state, made.name, made.name, at, reason="the gate passed", supersede=True), at)

    def _decide(self, week: Interval) -> None:
        """Measure the week of the champion; train, judge and put on trial what the trigger asks for."""
        serving = self.served[str(self.state.champion)]
        seen = self.windows.setdefault(serving.cut, [])
        seen.append(self._window(week, serving))
        found = should_retrain(
            seen,
            self._case.retrain,
            last_trained_through=time_of(serving.model.trained_through),
            last_wanted=self.wanted.get(serving.cut),
            last_asked=max(self.wanted.values(), default=None),
            now=week.end,
        )
        if not found.retrain or self.state.stage not in (Stage.IDLE, Stage.WATCH):
            return
        self.wanted[serving.cut] = week.end
        self._train(week.end, serving, found)

    def _train(self, at: datetime, serving: Served, wanted: RetrainDecision) -> None:
        self.made.trainings.append(at)
        self.told.append(Told(at, "trained", name_of(at), wanted.reason))
        candidate = trained(self.releases, at, self.releases.recalibration)
        verdict = judge(self.releases, candidate, self.served[name_of(serving.cut)], serving.name)
        self.told.append(Told(at, f"gate: {verdict.outcome.value}", name_of(at), verdict.because()))
        if verdict.passed:
            self._begin(candidate.served, at)

    def _window(self, week: Interval, release: Served) -> Window:
        """Drift and performance of the champion on its week, as the monitor measures them."""
        year, case = self.releases.year, self._case
        rows = year.between(week.start, week.end)
        scores = np.where(self.made.cuts[rows] == release.cut, self.made.scores[rows], release.scores[rows])
        drifted = drifting(year.rows.filter(rows), release.scores[rows], release.reference, case.drift, week)
        known = year.known[rows] <= moment(week.end)
        labels, sure = year.labels[rows][known], scores[known]
        days = blocks(year.asked[rows][known], case.gate.block)
        alike = {name: Likeness(**found) for name, found in release.reference["alike"].items()}
        found = performance.measure(labels, sure, sure >= release.model.threshold, case.cost, days, alike)
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


def played(releases: Releases, name: str = "everloop") -> Loop:
    """The whole year, the first model having been released at its begin."""
    made, first = Strategy.empty(name, releases), trained(releases, BEGIN, releases.recalibration).served
    made.trainings = [BEGIN]
    loop = Loop(releases, made, ReleaseState(champion=first.name, since=BEGIN))
    loop.begin_with(first)
    loop.run()
    return loop


def _by(names: npt.NDArray[Any], scores: dict[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Of each row, the score by the release that is named there."""
    return np.array([scores[name][i] if name else np.nan for i, name in enumerate(names)])


def _no_flags(size: int) -> npt.NDArray[Any]:
    flags = np.empty(size, dtype=object)
    flags.fill(())
    return flags
