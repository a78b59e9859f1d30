"""The year: what five ways of keeping a model good would have cost on the real flights of 2013, week by week."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks import flights_year
from benchmarks.record import RESULTS, Record
from benchmarks.year_loop import Loop, played
from benchmarks.year_served import BEGIN, END, Releases, Strategy, every, for_ever, oracle, recalibrated, weeks
from everloop.decide.statistics.compare import costs

PLOT = RESULTS / "year.svg"
WITHIN = 1.03
"""A few per cent of the oracle: what the loop may cost, as a share of what the oracle does."""
AFTER = timedelta(days=28)
"""How long after a promotion the release before it is still scored beside, to see whether the promotion was right."""


def main() -> None:
    """Play all five, write the table and the plot."""
    record = Record("year", packages=("xgboost", "numpy", "scipy"))
    releases = Releases(flights_year.load())
    loop = played(releases)
    ways = [
        for_ever(releases),
        every(releases, 1, "every week, always promoted"),
        every(releases, 4, "every month, always promoted"),
        loop.made,
        oracle(releases),
    ]
    measure(record, releases, ways)
    promotions(record, releases, loop)
    record.finish(RESULTS)
    draw(releases, ways, loop, PLOT)


def measure(record: Record, releases: Releases, ways: list[Strategy]) -> None:
    """Samples by week of every way, totals, and the ratios that matter."""
    rows = releases.year.between(BEGIN, END)
    cost = {way.name: float(way.spent[rows].mean()) for way in ways}
    for way in ways:
        for week in weeks():
            record.sample(way.name, **way.measures(releases.year, week))
        record.fact(f"cost a flight, {way.name}", round(cost[way.name], 4))
        record.fact(f"trainings, {way.name}", len(way.trainings))
        record.fact(f"cost a flight with each week's best threshold, {way.name}", round(with_best_thresholds(releases, way), 4))
        fresh = recalibrated(releases, way)
        record.fact(f"cost a flight, {fresh.name}", round(float(fresh.spent[rows].mean()), 4))
    best = cost["oracle"]
    for way in ways[:-1]:
        record.fact(f"cost above the oracle, {way.name}", f"{cost[way.name] / best - 1:.1%}")
    record.ratio("cost, everloop / oracle", cost["everloop"] / best, WITHIN, "lower")
    loop = next(way for way in ways if way.name == "everloop")
    record.ratio("trainings, everloop / every week", len(loop.trainings) / len(weeks()), 0.25, "lower")


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


def promotions(record: Record, releases: Releases, loop: Loop) -> None:
    """Everything that the loop decided; and of every promotion, what the next weeks say of it."""
    record.fact("decisions", [asdict(told) | {"at": told.at.isoformat()} for told in loop.told])
    margin, worst, before = releases.year.case.rollout.cost_margin, float("-inf"), BEGIN
    judged: list[dict[str, Any]] = []
    for told in loop.told:
        if told.what != "promoted":
            continue
        new = datetime.fromisoformat(told.release)
        rows = releases.year.between(told.at, min(told.at + AFTER, END))
        ours, theirs = releases.costs(new)[rows].mean(), releases.costs(before)[rows].mean()
        worst = max(worst, float(ours / theirs - 1))
        names = {"at": told.at.isoformat(), "release": told.release, "instead of": before.isoformat()}
        judged.append(names | {"cost": float(ours), "cost of the one before": float(theirs)})
        before = new
    record.fact("promotions, and the next four weeks", judged)
    if judged:
        record.ratio("worst promotion, cost against the release before, next 4 weeks", 1 + worst, 1 + margin, "lower")


def draw(releases: Releases, ways: list[Strategy], loop: Loop, path: Path) -> None:
    """Cost by week of every way against the first model's, and where the loop trained and promoted."""
    mpl.use("svg")
    import matplotlib.pyplot as plt

    starts = [week.start for week in weeks()]
    by_week = {way.name: np.array([way.measures(releases.year, week)["cost"] for week in weeks()]) for way in ways}
    figure, (above, below) = plt.subplots(2, 1, figsize=(10, 7), sharex=True, layout="constrained")
    first = by_week[ways[0].name]
    for way in ways:
        thick = 2.4 if way.name == "everloop" else 1.2
        label = f"{way.name}: {len(way.trainings)} training{'s' if len(way.trainings) > 1 else ''}"
        above.plot(starts, by_week[way.name], lw=thick, label=label)
        below.plot(starts, np.cumsum(by_week[way.name] - first) / np.arange(1, len(first) + 1) / first.mean() * 100, lw=thick)
    for told in loop.told:
        if told.what in ("trained", "promoted", "rolled_back"):
            style = {"trained": ":", "promoted": "-", "rolled_back": "--"}[told.what]
            below.axvline(told.at, ls=style, lw=0.8, color="grey")
    above.set_ylabel("cost per flight")
    above.legend(fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    below.set_ylabel("% of the first model's cost so far")
    below.set_title("dotted: everloop trains; line: it has promoted; dashed: it has rolled back", fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
