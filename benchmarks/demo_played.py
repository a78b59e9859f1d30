"""One demo, played by the loop's decisions without Airflow: first release, seasons, drill, on what the demo scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.flights_year import Trained2013, Year, fit, moment
from benchmarks.year_gate import judge
from benchmarks.year_loop import drifting
from benchmarks.year_releases import trained
from benchmarks.year_served import Releases
from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.evidence import Evidence, LoadCheck, from_traffic, trial
from everloop.decide.release.rollout import Action, Kind, advance, begin, force
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.statistics.clusters import Likeness, blocks
from everloop.decide.watch import performance
from everloop.decide.watch.retrain import Window, should_retrain
from everloop.demo.replay import sampled
from everloop.interval import Interval
from everloop.serve.answering.arms import CHALLENGER, assign

SHARE = 0.2
WEEK = timedelta(days=7)
SPRING, AUTUMN = datetime(2013, 4, 2, tzinfo=UTC), datetime(2013, 10, 1, tzinfo=UTC)
LATEST, END = datetime(2013, 11, 19, tzinfo=UTC), datetime(2013, 12, 31, tzinfo=UTC)
SABOTAGED = timedelta(microseconds=1)
"""A release is named by the moment at which it was trained; one of shuffled labels by a microsecond more."""

Flags = npt.NDArray[np.bool_]


class Models(Releases):
    """The models that a story may meet, sabotaged ones too, and what the gate says of them: each made once for all salts."""

    def __init__(self, year: Year) -> None:
        super().__init__(year)
        self.verdicts: dict[tuple[datetime, str | None], bool] = {}
        self.windows: dict[tuple[datetime, str], Window] = {}
        keys = year.rows["key"].to_pylist()
        self.asked_about = np.array([sampled(key, SHARE) for key in keys], dtype=bool)
        self.lacking = np.fromiter(_lacking(year), dtype=object, count=year.rows.num_rows)
        fields = [year.rows[name].to_pylist() for name in year.case.entity]
        self.entities = np.array(["|".join(map(str, values)) for values in zip(*fields, strict=True)], dtype=object)
        self.groups = {name: np.array(year.rows[name].to_pylist(), dtype=object) for name in year.case.fairness.columns}

    def at(self, cut: datetime) -> Trained2013:
        """The model trained at `cut`."""
        if cut not in self._models:
            drill = bool(cut.microsecond)
            self._models[cut] = fit(self.year, cut - SABOTAGED if drill else cut, shuffled=drill)
        return self._models[cut]

    def passes(self, cut: datetime, champion: str | None) -> bool:
        """Whether the gate lets the model of `cut` on, against the champion where there is one."""
        if (cut, champion) not in self.verdicts:
            old = None if champion is None else trained(self, _cut(champion), None).served
            self.verdicts[cut, champion] = judge(self, trained(self, cut, None), old, champion or "").passed
        return self.verdicts[cut, champion]

    def window(self, week: Interval, champion: str) -> Window:
        """What the monitor finds in a week of what was scored."""
        if (week.start, champion) not in self.windows:
            self.windows[week.start, champion] = _measured(self, week, champion)
        return self.windows[week.start, champion]


def _lacking(year: Year) -> Iterator[tuple[str, ...]]:
    """Of each row the flags that the scorer would have set: the views of which it had nothing."""
    views: dict[str, list[str]] = {}
    for name in year.columns:
        view, found, _ = name.partition("__")
        if found:
            views.setdefault(view, []).append(name)
    absent = {
        view: np.logical_and.reduce([year.rows[name].is_null().to_numpy(zero_copy_only=False) for name in names])
        for view, names in views.items()
    }
    for flags in zip(*absent.values(), strict=True):
        yield tuple(f"missing:{view}" for view, gone in zip(absent, flags, strict=True) if gone)


def _measured(models: Models, week: Interval, champion: str) -> Window:
    year, case, release = models.year, models.year.case, models.at(_cut(champion))
    rows = year.between(week.start, week.end) & models.asked_about
    scores = models.scores(_cut(champion))[rows]
    drifted = drifting(year.rows.filter(rows), scores, release.reference, case.drift, week)
    known = year.known[rows] <= moment(week.end)
    labels, sure = year.labels[rows][known], scores[known]
    days = blocks(year.asked[rows][known], case.gate.block)
    alike = {name: Likeness(**one) for name, one in release.reference["alike"].items()}
    found = performance.measure(labels, sure, sure >= release.threshold, case.cost, days, alike)
    performed = performance.judge(found, release.metrics, case.retrain, case.drift.minimum_rows)
    return Window(end=week.end, drift=drifted.outcome, performance=performed.outcome, labels=int(known.sum()))


@dataclass
class Told:
    """How one story went: what became of real releases and of the drill, and when it ended."""

    promoted: int = 0
    rolled_back: int = 0
    drill_refused: int = 0
    drill_rolled_back: int = 0
    drill_promoted: int = 0
    paused: int = 0
    trained: int = 0
    weeks: int = 0
    waits_for: str = ""

    @property
    def well(self) -> bool:
        """Two promotions at least, one refusal and one roll-back of the drill, which never served."""
        return self.promoted >= 2 and self.drill_refused == self.drill_rolled_back == 1 and not self.drill_promoted

    @property
    def as_written(self) -> bool:
        """Exactly two promotions, one refusal, one roll-back."""
        return self.well and self.promoted == 2 and not self.rolled_back


@dataclass
class Demo:
    """One story: weeks wait for the rollout's decision, and go on until a second release serves and none is on trial."""

    models: Models
    salt: str
    look: timedelta
    state: ReleaseState = field(default_factory=ReleaseState)
    told: Told = field(default_factory=Told)
    log: list[dict[str, npt.NDArray[Any]]] = field(default_factory=list)
    wanted: dict[str, datetime] = field(default_factory=dict)
    seen: dict[str, list[Window]] = field(default_factory=dict)
    next_look: datetime = SPRING

    def play(self) -> Told:
        """From the first release to the drill's end; nothing at all without a first release."""
        if not self.models.passes(SPRING, None):
            self.told.waits_for = "the gate refused the first model"
            return self.told
        self._begin(SPRING, SPRING)
        self._decide(SPRING)
        at = SPRING
        while at < AUTUMN or (not self._settled() and at < LATEST):
            at = self._live_through(at)
            self._monitor(Interval(at - WEEK, at))
            self._await(at)
        drill = at + SABOTAGED
        waiting = self.told.waits_for  # of a release that keeps the story waiting; the drill overwrites it
        self.told.drill_refused = int(not self.models.passes(drill, str(self.state.champion)))
        options = {"actor": "demo", "reason": "drill", "skip_shadow": True, "supersede": True}
        self._apply(force(self.state, _name(drill), self._salted(drill), self._policy, at, **options))
        while not self.told.drill_rolled_back and at < END:
            at = self._live_through(at)
            self._await(at)
        self.told.waits_for = waiting
        return self.told

    @property
    def _policy(self) -> RolloutPolicy:
        """That of flights. Its patience counts the wall clock, of which half a year of the demo takes a few hundred seconds."""
        return replace(self.models.year.case.rollout, patience=timedelta(days=999))

    def _settled(self) -> bool:
        return self.told.promoted >= 2 and self.state.stage in (Stage.IDLE, Stage.WATCH)

    def _live_through(self, at: datetime) -> datetime:
        """A week of traffic with looks as they come; its end."""
        end = at + WEEK
        while at < end:
            until = min(end, self.next_look) if self.next_look > at else end
            self._serve(at, until)
            if until == self.next_look:
                self._decide(until)
            while self.next_look <= until:
                self.next_look += self.look
            at = until
        self.told.weeks += 1
        return end

    def _serve(self, start: datetime, end: datetime) -> None:
        """The rows of a span are answered and logged as the scorer would, while a rollout is under way."""
        new, old = trial(self.state)
        if self.state.rollout is None or new is None or old is None:
            return
        models, year = self.models, self.models.year
        rows = np.flatnonzero(year.between(start, end) & models.asked_about)
        entities = models.entities[rows]
        share = self._policy.shadow_share
        found = [assign(self.state, entity, str(row), share) for entity, row in zip(entities, rows, strict=True)]
        ours = np.array([one.arm == CHALLENGER for one in found], dtype=bool)
        shadow = np.array([one.shadow for one in found], dtype=bool)
        first = ours | (self.state.stage is Stage.WATCH)
        scores = {name: models.scores(_cut(name))[rows] for name in (new, old)}
        answer, beside = np.where(first, scores[new], scores[old]), np.where(first, scores[old], scores[new])
        columns = {
            "row": rows,
            "request_id": rows.astype(str),
            "entity": entities,
            "at": year.asked[rows],
            "as_of": year.asked[rows],
            "arm": np.where(ours, "challenger", "champion"),
            "release": np.where(first, new, old).astype(object),
            "score": answer,
            "shadow_release": np.where(shadow, np.where(first, old, new), None),
            "shadow_score": np.where(shadow, beside, np.nan),
            "flags": models.lacking[rows],
            "error": np.full(len(rows), None, dtype=object),
            "latency_ms": np.full(len(rows), 5.0),
        }
        self.log.append(columns | {f"request.{name}": values[rows] for name, values in models.groups.items()})

    def _await(self, at: datetime) -> None:
        """What the rollout can decide at the end of a week, it decides before the next one begins."""
        while self._decide(at):
            pass

    def _decide(self, at: datetime) -> bool:
        """One look at the rollout; whether anything came of it."""
        if self.state.rollout is None:
            return False
        # The stages' shortest times are seconds of the wall clock: they have passed by any look.
        now = at + max(self._policy.minimum_time, self._policy.watch_time)
        action = advance(self.state, self._evidence(at), self._policy, now, self.models.year.case.fairness)
        self.told.waits_for = f"{action.after.stage}: {action.reason}" if action.kind is Kind.WAIT else ""
        if action.kind is Kind.WAIT:
            return False
        after = action.after if action.after.since is None else replace(action.after, since=at)
        self._apply(replace(action, after=after))
        return True

    def _evidence(self, at: datetime) -> Evidence:
        check = LoadCheck.of([0.5])
        if not self.log:
            return Evidence(check=check)
        models, year = self.models, self.models.year
        rows = {name: np.concatenate([part[name] for part in self.log]) for name in self.log[0]}
        index = rows.pop("row")
        rows["label"] = np.where(year.known[index] <= moment(at), year.labels[index].astype(float), np.nan)
        tried = [name for name in trial(self.state) if name]
        thresholds = {name: models.at(_cut(name)).threshold for name in tried}
        views = {name: dict.fromkeys(_views(year)) for name in tried}
        return from_traffic(
            rows, self.state, cost=year.case.cost, thresholds=thresholds, check=check, groups=tuple(models.groups), views=views
        )  # fmt: skip

    def _monitor(self, week: Interval) -> None:
        """What the monitor asks for is trained and judged, and what the gate lets on goes on trial."""
        champion = str(self.state.champion)
        seen = self.seen.setdefault(champion, [])
        seen.append(self.models.window(week, champion))
        asked = should_retrain(
            seen,
            self.models.year.case.retrain,
            last_trained_through=_time(self.models.at(_cut(champion)).trained_through),
            last_wanted=self.wanted.get(champion),
            last_asked=max(self.wanted.values(), default=None),
            now=week.end,
        )
        if not asked.retrain or self.state.stage not in (Stage.IDLE, Stage.WATCH):
            return
        self.wanted[champion] = week.end
        self.told.trained += 1
        if self.models.passes(week.end, champion):
            self._begin(week.end, week.end)

    def _begin(self, cut: datetime, at: datetime) -> None:
        self._apply(begin(self.state, _name(cut), self._salted(cut), at, reason="the gate passed", supersede=True))

    def _salted(self, cut: datetime) -> str:
        return f"{self.salt}-{cut:%Y%m%dT%H%M%S}"

    def _apply(self, action: Action) -> None:
        """Count what was decided, and go on from there."""
        subject = trial(self.state)[0]
        counted = _DRILL if subject is not None and _cut(subject).microsecond else _REAL
        if (name := counted.get(action.kind)) is not None:
            setattr(self.told, name, getattr(self.told, name) + 1)
        if action.after.rollout != self.state.rollout:
            self.log.clear()
        self.state = action.after


_REAL = {Kind.PROMOTE: "promoted", Kind.ROLL_BACK: "rolled_back", Kind.PAUSE: "paused"}
_DRILL = {Kind.PROMOTE: "drill_promoted", Kind.ROLL_BACK: "drill_rolled_back", Kind.PAUSE: "paused"}
"""What is counted of a real release and of a drill's."""


def _views(year: Year) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.partition("__")[0] for name in year.columns if "__" in name))


def _name(cut: datetime) -> str:
    return cut.isoformat()


def _cut(name: str | None) -> datetime:
    return datetime.fromisoformat(str(name))


def _time(at: np.datetime64) -> datetime:
    found: datetime = at.astype("datetime64[us]").item().replace(tzinfo=UTC)
    return found
