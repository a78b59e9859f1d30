"""The year: what seven ways of keeping a model good would have cost on the real flights of 2013, week by week, for two seeds."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks import flights_year
from benchmarks.flights_year import Year
from benchmarks.record import RESULTS, Record
from benchmarks.year_loop import Loop, played
from benchmarks.year_releases import recalibrated
from benchmarks.year_served import BEGIN, END, Releases, Strategy, every, for_ever, oracle, weeks
from everloop.decide.policy import RecalibrationPolicy
from everloop.decide.statistics.compare import costs

PLOT = RESULTS / "year.svg"
SEED = 11
"""Of the second run: its models differ from those of the use case's own seed by chance alone."""
LOOP, RECALIBRATING, SCHEDULED = "everloop", "everloop with recalibration", "everloop with recalibration and a schedule"
SCHEDULE = timedelta(days=28)
"""How long after the last training the schedule asks for another: in nine months some twelve of them, refused ones too.
Recalibrated, a new model need not wait for its season (the 84 days of flights' cooldown)."""
WITHIN, TRAININGS = 1.07, 12
"""What the loop may cost, as a share of what the oracle does, and how often it may train."""
AFTER = timedelta(days=28)
"""How long after a promotion the booster before it is still scored beside, to see whether the promotion was right."""


@dataclass(frozen=True)
class Played:
    """All ways over the models of one seed, among them the loop as flights is set and with recalibration. `note`: which seed."""

    releases: Releases
    ways: list[Strategy]
    loops: list[Loop]
    note: str = ""

    def named(self, way: str) -> str:
        """What a way is called in the record."""
        return way + self.note


def main() -> None:
    """Play all ways with both seeds, each in a process of its own; write the table and the plot."""
    record = Record("year", packages=("xgboost", "numpy", "scipy"))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        for found in processes.map(measured, (None, SEED)):
            record.samples |= found.samples
            record.facts |= found.facts
            record.ratios |= found.ratios
    record.finish(RESULTS)


def measured(seed: int | None) -> Record:
    """What was found with the models of a seed; `None` for the use case's own, of which the plot is drawn."""
    record, year = Record("year"), flights_year.load()
    run = play(year) if seed is None else play(of_seed(year, seed), f", seed {seed}")
    measure(record, run)
    for loop in run.loops:
        promotions(record, run, loop)
    if seed is None:
        draw(run, PLOT)
    return record


def of_seed(year: Year, seed: int) -> Year:
    """The same year, whose models are trained with another seed."""
    return replace(year, case=replace(year.case, training=replace(year.case.training, seed=seed)))


def play(year: Year, note: str = "") -> Played:
    """Every way over the models of one seed, each trained once."""
    releases = Releases(year)
    recalibrating = replace(releases, recalibration=RecalibrationPolicy())
    scheduled = replace(year.case, retrain=replace(year.case.retrain, every=SCHEDULE, cooldown=SCHEDULE))
    loops = [
        played(releases, LOOP),
        played(recalibrating, RECALIBRATING),
        played(replace(recalibrating, year=replace(year, case=scheduled)), SCHEDULED),
    ]
    ways = [
        for_ever(releases),
        every(releases, 1, "every week, always promoted"),
        every(releases, 4, "every month, always promoted"),
        *(loop.made for loop in loops),
        oracle(releases),
    ]
    return Played(releases, ways, loops, note)


def measure(record: Record, run: Played) -> None:
    """Samples by week of every way, totals, and the ratios that matter."""
    releases, policy = run.releases, RecalibrationPolicy()
    rows = releases.year.between(BEGIN, END)
    cost = {way.name: float(way.spent[rows].mean()) for way in run.ways}
    for way in run.ways:
        name = run.named(way.name)
        for week in weeks():
            record.sample(name, **way.measures(releases.year, week))
        record.fact(f"cost a flight, {name}", round(cost[way.name], 4))
        record.fact(f"cost above the oracle, {name}", f"{cost[way.name] / cost['oracle'] - 1:.1%}")
        record.fact(f"trainings, {name}", len(way.trainings))
        record.fact(f"cost a flight with each week's best threshold, {name}", round(with_best_thresholds(releases, way), 4))
        fresh = float(recalibrated(releases, way, policy).spent[rows].mean())
        record.fact(f"cost a flight, recalibrated every day, {name}", round(fresh, 4))
        record.fact(f"cost above the oracle, recalibrated every day, {name}", f"{fresh / cost['oracle'] - 1:.1%}")
    for loop in run.loops:
        way = loop.made
        record.ratio(f"cost, {run.named(way.name)} / oracle", cost[way.name] / cost["oracle"], WITHIN, "lower")
        record.ratio(f"trainings, {run.named(way.name)}", len(way.trainings), TRAININGS, "lower")


def with_best_thresholds(releases: Releases, way: Strategy) -> float:
    """What the same scores would have cost had somebody known each week's best threshold: what is lost by calibration alone."""
    year, total, flights = releases.year, 0.0, 0
    for week in weeks():
        rows = year.between(week.start, week.end)
        labels, scores = year.labels[rows], way.scores[rows]
        thresholds = np.quantile(scores, np.linspace(0, 1, 201))
        total += min(float(costs(labels, scores >= one, year.case.cost).sum()) for one in thresholds)
        flights += len(labels)
    return total / flights


def promotions(record: Record, run: Played, loop: Loop) -> None:
    """What the loop decided; and of every new booster that it promoted, what the next weeks say of it."""
    name = run.named(loop.made.name)
    decisions = [asdict(told) | {"at": told.at.isoformat()} for told in loop.told if not told.of_a_recalibration]
    record.fact(f"decisions, {name}", decisions)
    record.fact(f"recalibrations, {name}", Counter(told.what for told in loop.told if told.of_a_recalibration))
    judged = list(_judged(run.releases, loop))
    record.fact(f"promotions, and the next four weeks, {name}", judged)
    if judged:
        worst = max(one["cost"] / one["cost of the one before"] for one in judged)
        limit = 1 + run.releases.year.case.rollout.cost_margin
        record.ratio(f"worst promotion, cost against the release before, next 4 weeks, {name}", worst, limit, "lower")


def _judged(releases: Releases, loop: Loop) -> list[dict[str, Any]]:
    """Every new booster that was promoted, beside the one before on the same flights, both served as the loop serves."""
    before, found = BEGIN, []
    for told in loop.told:
        if told.what != "promoted" or told.of_a_recalibration:
            continue
        new = datetime.fromisoformat(told.release)
        rows = releases.year.between(told.at, min(told.at + AFTER, END))
        ours, theirs = (_cost(releases, cut, rows, loop.releases.recalibration) for cut in (new, before))
        names = {"at": told.at.isoformat(), "release": told.release, "instead of": before.isoformat()}
        found.append(names | {"cost": ours, "cost of the one before": theirs})
        before = new
    return found


def _cost(releases: Releases, cut: datetime, rows: flights_year.Flags, policy: RecalibrationPolicy | None) -> float:
    """What a model costs a flight, recalibrated every day where the loop recalibrates."""
    way = Strategy.empty(cut.isoformat(), releases)
    way.serve(releases, rows, cut)
    return float((recalibrated(releases, way, policy) if policy else way).spent[rows].mean())


def draw(run: Played, path: Path) -> None:
    """Cost by week of every way against the first model's, and where the last of the loops trained and promoted."""
    mpl.use("svg")
    import matplotlib.pyplot as plt

    starts = [week.start for week in weeks()]
    by_week = {way.name: np.array([way.measures(run.releases.year, week)["cost"] for week in weeks()]) for way in run.ways}
    figure, (above, below) = plt.subplots(2, 1, figsize=(10, 7), sharex=True, layout="constrained")
    first = by_week[run.ways[0].name]
    for way in run.ways:
        thick = 2.4 if way.name == SCHEDULED else 1.2
        label = f"{way.name}: {len(way.trainings)} training{'s' if len(way.trainings) > 1 else ''}"
        above.plot(starts, by_week[way.name], lw=thick, label=label)
        below.plot(starts, np.cumsum(by_week[way.name] - first) / np.arange(1, len(first) + 1) / first.mean() * 100, lw=thick)
    loop = run.loops[-1]
    for told in loop.told:
        if told.what in ("trained", "promoted", "rolled_back") and not told.of_a_recalibration:
            style = {"trained": ":", "promoted": "-", "rolled_back": "--"}[told.what]
            below.axvline(told.at, ls=style, lw=0.8, color="grey")
    above.set_ylabel("cost per flight")
    above.legend(fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    below.set_ylabel("% of the first model's cost so far")
    title = f"dotted: {loop.made.name} trains; line: it has promoted a new booster; dashed: it has rolled one back"
    below.set_title(title, fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
