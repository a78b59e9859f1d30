"""When drift is told of the real flights of 2013: on ordinary weeks, by lot, of faults, in July and February's snowstorm.

What was said before releases kept what ordinary windows show stands beside it, from the same windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks import faults, few_valued, flights_year, ordinary, shuffled, world
from benchmarks.flights_year import Trained2013, Year
from benchmarks.record import RESULTS, Record
from benchmarks.watched import Watched, months, spans, watch
from everloop.decide.statistics.bursts import burst_rate
from everloop.decide.watch.drift import moved
from everloop.interval import Interval

CUT, END = datetime(2013, 4, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC)
STORM = datetime(2013, 2, 8, tzinfo=UTC)
JULY = Interval(datetime(2013, 7, 1, tzinfo=UTC), datetime(2013, 8, 1, tzinfo=UTC))
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
QUARTER = timedelta(days=91)
QUARTERS = tuple(datetime(2013, month, 1, tzinfo=UTC) for month in range(4, 13))
"""The ends of the quarters whose ordinary weeks are looked at."""
AFTER = 21
"""Days from the storm on that are told, so that it can be held against quieter ones."""
BEFORE = 4
"""An alarm in one of so many windows before a loss of performance foretells it."""
KINDS = ("drift", "before", "label", "concept", "performance")
REPETITIONS, DRAWS, SEED = {"week": 20, "day": 4}, 2_000, 2013
WORLDS = 40
"""Made quarters of a column with few values."""


def main() -> None:
    """The weeks and months after March, ordinary weeks, faults, all rows in orders drawn by lot, and the days of February."""
    year = flights_year.load()
    quarterly = replace(year.case.training, window=QUARTER)
    quarters = [flights_year.fit(year, end, quarterly) for end in QUARTERS]
    compare(year, flights_year.fit(year, CUT), flights_year.fit(year, STORM), quarters)


def compare(
    year: Year, model: Trained2013, earlier: Trained2013, quarters: Sequence[Trained2013], results: Path = RESULTS
) -> None:
    """`model` has learnt until `CUT`, `earlier` until the snowstorm, `quarters` each of a quarter alone."""
    record = Record("drift", packages=("xgboost", "numpy", "scipy"))
    scores = model.score(year)
    for each, windows in (("month", months(2013, 4, 12)), ("week", spans(CUT, END, WEEK))):
        found = [watch(year, model, scores, window) for window in windows]
        tell(record, each, found, year)
        if each == "week":
            foretell(record, found)
    ordinary_weeks(record, year, quarters)
    few_values(record, WORLDS)
    broken(record, year, quarters[::3])
    false_alarms(record, year, model, REPETITIONS)
    storm(record, year, earlier)
    record.finish(results)


def tell(record: Record, each: str, found: Sequence[Watched], year: Year) -> None:
    """Which windows fail by what, and the effect sizes behind it."""
    for one in found:
        share = len(moved(one.shifts, year.case.drift)) / len(one.shifts)
        record.sample(f"by {each}", columns_moved=share, score_psi=one.score.psi, label_rate=one.label.rate)
        record.sample(f"by {each}", bias=one.relation.bias.value, error=one.relation.error.value)
        record.sample(f"by {each}", **{name: one.found[name].value for name in ("auc", "cost")})
    record.fact(f"{each}s", len(found))
    for kind in KINDS:
        record.fact(f"{each}s that fail by {kind}", [_day(one) for one in found if kind in one.failed])
    record.fact(f"columns that moved, by {each}", {_day(one): list(moved(one.shifts, year.case.drift)) for one in found})
    july = [one for one in found if JULY.start <= one.window.start and one.window.end <= JULY.end]
    record.ratio(f"{each}s of July told by drift", sum("drift" in one.failed for one in july) / len(july), 1.0, "higher")


@dataclass(frozen=True)
class Episode:
    """Windows in a row that fail by performance, by place, and how many windows before it each other kind failed."""

    first: int
    last: int

    def lead(self, alarms: Sequence[int]) -> int | None:
        """Windows from the earliest alarm not more than `BEFORE` before it until its first one; below 0 if only later in it."""
        near = [place for place in alarms if self.first - BEFORE <= place <= self.last]
        return self.first - near[0] if near else None


def episodes(places: Iterable[int]) -> list[Episode]:
    """Runs of neighbouring places."""
    found: list[Episode] = []
    for place in places:
        if found and place == found[-1].last + 1:
            found[-1] = Episode(found[-1].first, place)
        else:
            found.append(Episode(place, place))
    return found


def foretell(record: Record, weeks: Sequence[Watched]) -> None:
    """How long before performance fell the other kinds told, against alarms in as many weeks that are drawn by lot."""
    failed = {kind: [place for place, one in enumerate(weeks) if kind in one.failed] for kind in KINDS}
    losses = episodes(failed["performance"])
    for kind, places in failed.items():
        record.fact(f"first week in which {kind} asks for a new model", _asks(weeks, places))
    record.fact("losses of performance", [f"{_day(weeks[each.first])} to {_day(weeks[each.last])}" for each in losses])
    for kind in ("drift", "label", "concept"):
        leads = [each.lead(failed[kind]) for each in losses]
        record.fact(f"weeks of lead of {kind}, by loss", leads)
        idle = [p for p in failed[kind] if not any(each.first - BEFORE <= p <= each.last for each in losses)]
        record.fact(f"weeks of {kind} without a loss in {BEFORE} weeks", [_day(weeks[p]) for p in idle])
        if losses:
            share, chance = told_before(losses, failed[kind]), by_lot(losses, len(failed[kind]), len(weeks))
            record.fact(f"share of the losses that {kind} told a week or more before", share)
            record.fact(f"share of the losses that as many weeks drawn by lot tell before, {kind}", chance)
            if chance:
                record.ratio(
                    f"losses told a week or more before by {kind}, to as many weeks drawn by lot", share / chance, 1.0, "higher"
                )


def told_before(losses: Sequence[Episode], alarms: Sequence[int]) -> float:
    """Share of the losses of which an alarm told a window or more before."""
    return sum((each.lead(alarms) or 0) > 0 for each in losses) / len(losses)


def by_lot(losses: Sequence[Episode], alarms: int, windows: int) -> float:
    """The same share for alarms in as many windows drawn by lot, on average: frequent alarms lead often by chance."""
    rng = np.random.default_rng(SEED)
    drawn = (sorted(rng.choice(windows, alarms, replace=False).tolist()) for _ in range(DRAWS))
    return float(np.mean([told_before(losses, places) for places in drawn]))


def _asks(weeks: Sequence[Watched], places: Sequence[int]) -> str | None:
    """The first week that fails and makes k of the last n, as the use case asks; the cooldown left aside."""
    policy = world.flights().retrain
    asks = (p for p in places if sum(p - policy.n < other <= p for other in places) >= policy.k)
    first = next(asks, None)
    return None if first is None else _day(weeks[first])


def ordinary_weeks(record: Record, year: Year, quarters: Sequence[Trained2013]) -> None:
    """Every week of each quarter, begun on any day, as if the rest of the quarter were all that had been learnt from."""
    policy, found = year.case.drift, []
    for model in quarters:
        judged = [ordinary.judged(model.reference, each, policy) for each in ordinary.windows(model.reference, WEEK, DAY)]
        found += judged
        record.sample("ordinary weeks by quarter", **_shares(judged))
    record.fact("ordinary weeks", len(found))
    for name, share in _shares(found).items():
        record.fact(f"ordinary weeks: {name.replace('_', ' ')}", share)
    # Weeks that share days are no two weeks: those of one begin are one unit, so an interval counts calendar weeks.
    units = np.unique([each.window.start.toordinal() // 7 for each in found], return_inverse=True)[1]
    interval = burst_rate(np.array([each.alarm for each in found]), units, 0.95)
    record.fact("ordinary weeks: interval of the share that alarm", [interval.low, interval.high])
    record.ratio("ordinary weeks told by drift, no input left aside", interval.value, policy.false_alarms, "lower")


def _shares(found: Sequence[ordinary.Judged]) -> dict[str, float]:
    columns = sum(each.columns for each in found)
    return {
        "alarms": float(np.mean([each.alarm for each in found])),
        "alarms_by_the_scores": float(np.mean([each.score_moved for each in found])),
        "alarms_before": float(np.mean([each.alarm_before for each in found])),
        "alarms_before_without_a_list": float(np.mean([each.alarm_before_without_list for each in found])),
        "red_charts": sum(len(each.moved) for each in found) / columns,
        "red_charts_before": sum(len(each.moved_before) for each in found) / columns,
    }


def few_values(record: Record, worlds: int) -> None:
    """Five precincts with one value a week, as they were and with values that rise."""
    still, risen = (few_valued.ordinary(worlds, SEED, rise) for rise in (0.0, 4.0))
    record.fact("five precincts with a value a week", asdict(still))
    record.fact("five precincts whose values rise by four standard deviations", asdict(risen))
    record.ratio("weeks in which a column of few values is told to have moved", still.now / still.weeks, 0.05, "lower")
    record.ratio("weeks in which values of few that rise are told", risen.now / risen.weeks, 0.9, "higher")


def broken(record: Record, year: Year, quarters: Sequence[Trained2013]) -> None:
    """Faults of a feed in the whole weeks of some quarters, one after another."""
    models = [(model, list(ordinary.windows(model.reference, WEEK, WEEK))) for model in quarters]
    for name, fault in faults.FAULTS.items():
        told = faults.told(year, models, fault)
        record.fact(f"weeks in which {name}", asdict(told))
        record.ratio(f"inputs told in weeks in which {name}", told.inputs, 0.9, "higher")


def false_alarms(record: Record, year: Year, model: Trained2013, repetitions: dict[str, int]) -> None:
    """Nothing moves when the rows' order is drawn by lot: every alarm is false, in windows of a week's and of a day's size."""
    binned = shuffled.Binned.of(year, model, model.score(year), SEED)
    for each, parts in (("week", 52), ("day", 365)):
        size = len(year.labels) // parts
        found = shuffled.alarms(binned, size, model.reference["rows"], year.case.drift, repetitions[each], SEED)
        record.fact(f"windows of a {each}'s size ({size} rows) in orders drawn by lot", found.windows)
        record.fact(f"columns of them that moved, of {found.columns}", found.columns_moved)
        record.ratio(f"false alarms of drift in {each}s drawn by lot", found.drifted / found.windows, 0.01, "lower")
        record.ratio(f"false alarms of the label in {each}s drawn by lot", found.labels / found.windows, 0.01, "lower")
        moved_columns = sum(found.columns_moved.values())
        record.ratio(f"columns falsely told to have moved, {each}s", moved_columns / found.columns, 0.01, "lower")


def storm(record: Record, year: Year, model: Trained2013) -> None:
    """8 and 9 February by day and in their week, against what a model had learnt before, and the quieter days after."""
    scores = model.score(year)
    days = [watch(year, model, scores, window) for window in spans(STORM, STORM + AFTER * DAY, DAY)]
    (week,) = (watch(year, model, scores, window) for window in spans(STORM - 3 * DAY, STORM + 4 * DAY, WEEK))
    for name, one in (("8 February", days[0]), ("9 February", days[1]), ("5 to 12 February", week)):
        most = list(moved(one.shifts, year.case.drift))[:3]
        record.fact(f"{name} fails by", list(one.failed))
        record.fact(f"{name}: late or cancelled, expected, and what moved most", [one.label.rate, _expected(one), most])
    for what, sizes in (
        ("label rate", [one.label.rate - float(model.reference["label_rate"]) for one in days]),
        ("labels above scores", [one.relation.bias.value for one in days]),
    ):
        order = np.argsort(np.argsort([-size for size in sizes])) + 1
        record.fact(f"place of the two days among {len(days)} by {what}", order[:2].tolist())
    for kind in KINDS:
        quiet = [kind in one.failed for one in days[2:]]
        record.fact(f"of {len(quiet)} days after the storm fail by {kind}", sum(quiet))
        record.fact(f"of the two storm days fail by {kind}", sum(kind in one.failed for one in days[:2]))
    record.fact(
        "columns that moved on days after the storm", {_day(one): list(moved(one.shifts, year.case.drift)) for one in days}
    )
    seen = [bool({"drift", "label"} & {*one.failed}) for one in days[:2]]
    record.ratio("storm days told by drift of inputs, scores or label", sum(seen) / 2, 1.0, "higher")
    record.ratio("storm days told by concept", sum("concept" in one.failed for one in days[:2]) / 2, 1.0, "higher")


def _expected(one: Watched) -> float:
    """The mean score: the share of late flights that the model expected."""
    return one.label.rate - one.relation.bias.value


def _day(one: Watched) -> str:
    return f"{one.window.start:%m-%d}"


if __name__ == "__main__":
    main()
