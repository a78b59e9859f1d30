"""Whether the gate's intervals hold: real models on weeks of flights that neither has learnt from, by days and by rows.

Two models meet on two to six weeks, as long as the gate's held-out rows are, all of them after what either has learnt. The gate's
own code makes the interval, once of days, once of rows as if each were independent, once of weeks. The truth is what all days
after the later model's training show. Windows come in two ways:

- **days by lot**, drawn with replacement from those days: they are independent of each other, as the method takes them to be, so
  what is measured is the method;
- **weeks in a row**, as the gate has them: weather of several days and the season count against it as well. What a window misses
  then is mostly that the rest of the year was another season, and the more so the longer it is. No held-out rows can tell that:
  it bounds what any gate may promise, and is why a rollout follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks import flights_year
from benchmarks.flights_year import Trained2013, Year, moment
from benchmarks.record import RESULTS, Record
from everloop.decide.release.gate import Scored, alone, compare
from everloop.decide.statistics.calibration import calibration_error
from everloop.decide.statistics.clusters import blocks
from everloop.decide.statistics.estimate import Estimate

CUTS = tuple(datetime(2013, month, day, tzinfo=UTC) for month, day in ((4, 1), (5, 27), (7, 1), (8, 26)))
SEEDS = (7, 1)
WEEKS = (2, 4, 6)
DRAWS = 16
MEASURES = ("cost difference", "AUC difference", "AUC", "calibration error")
SIDES = ("days", "rows", "weeks")
LOT, ROW = "days by lot", "weeks in a row"
SEED = 20

Codes = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


def main() -> None:
    """Eight models of four trainings and two seeds; those of one training in pairs, and each with the one before it."""
    year = flights_year.load()
    models = {(cut, seed): flights_year.fit(year, cut, replace(year.case.training, seed=seed)) for cut in CUTS for seed in SEEDS}
    pairs = [(models[cut, SEEDS[0]], models[cut, SEEDS[1]]) for cut in CUTS]
    pairs += [(models[new, seed], models[old, seed]) for old, new in pairwise(CUTS) for seed in SEEDS]
    run(year, pairs, WEEKS, DRAWS)


def run(
    year: Year, pairs: Sequence[tuple[Trained2013, Trained2013]], weeks: Sequence[int], draws: int, results: Path = RESULTS
) -> None:
    """Each pair on windows of so many weeks: `draws` of days by lot, and those in a row that begin a fortnight after another."""
    record, found = Record("gate_coverage", packages=("xgboost", "numpy")), Held()
    record.fact("pairs of models", len(pairs))
    record.fact("nominal", year.case.gate.confidence)
    rng = np.random.default_rng(SEED)
    for ours, theirs in pairs:
        met, pair = Met.of(year, ours, theirs), Held()
        for length in weeks:
            for rows, units in met.drawn(7 * length, draws, rng):
                pair.add(LOT, met, met.intervals(rows, units))
            for rows, units in met.in_a_row(7 * length):
                pair.add(ROW, met, met.intervals(rows, units))
        for (kind, side, name), held in pair.held.items():
            record.sample(f"coverage of a pair: {kind}, by {side}", **{name: float(np.mean(held))})
        found.gather(pair)
    tell(record, found, year.case.gate.confidence)
    record.finish(results)


@dataclass(frozen=True)
class Met:
    """Two models on all rows (n,) later than what either has learnt: `first` is the row at which each day begins."""

    year: Year
    labels: Flags
    ours: Scored
    theirs: Scored
    first: Codes
    weeks: Codes

    @classmethod
    def of(cls, year: Year, ours: Trained2013, theirs: Trained2013) -> Met:
        """From the day after the later training on."""
        later = np.datetime_as_string(max(ours.trained_through, theirs.trained_through), "D")
        rows = np.flatnonzero(year.asked >= moment(datetime.fromisoformat(later) + timedelta(days=1)))
        rows = rows[np.argsort(year.asked[rows], stable=True)]
        asked, scores = year.asked[rows], [model.score(year)[rows] for model in (ours, theirs)]
        days, both = blocks(asked), zip(scores, (ours, theirs), strict=True)
        judged = [Scored(each, model.threshold) for each, model in both]
        weeks = blocks(asked, timedelta(weeks=1))
        return cls(year, year.labels[rows], *judged, np.searchsorted(days, np.arange(days.max() + 2)), weeks)

    @property
    def days(self) -> int:
        """How many there are."""
        return len(self.first) - 1

    def drawn(self, days: int, draws: int, rng: np.random.Generator) -> Iterator[tuple[Codes, dict[str, Codes]]]:
        """Rows of so many days by lot, with what counts as independent."""
        for _ in range(draws):
            picked = rng.integers(0, self.days, days)
            parts = [np.arange(self.first[day], self.first[day + 1]) for day in picked]
            rows, day = np.concatenate(parts), np.repeat(np.arange(days), [len(part) for part in parts])
            yield rows, {"days": day, "rows": np.arange(len(rows))}

    def in_a_row(self, days: int) -> Iterator[tuple[Codes, dict[str, Codes]]]:
        """Rows of so many consecutive days, from fortnight to fortnight."""
        for start in range(0, self.days - days, 14):
            rows = np.arange(self.first[start], self.first[start + days])
            day = np.repeat(np.arange(days), np.diff(self.first[start : start + days + 1]))
            yield rows, {"days": day, "rows": np.arange(len(rows)), "weeks": self.weeks[rows]}

    def intervals(self, rows: Codes, units: dict[str, Codes]) -> dict[str, dict[str, Estimate | None]]:
        """By side and measure, what the gate would say of these rows."""
        case, labels = self.year.case, self.labels[rows]
        ours, theirs = (Scored(each.scores[rows], each.threshold) for each in (self.ours, self.theirs))
        found = {}
        for side, unit in units.items():
            compared = compare(labels, unit, ours, theirs, {}, case.cost, case.gate)
            stands = alone(labels, unit, ours, 0.0, datetime.now(UTC), case.gate)
            values = (compared.overall.cost, compared.auc, stands.auc, stands.ece)
            found[side] = dict(zip(MEASURES, values, strict=True))
        return found

    @cached_property
    def truth(self) -> dict[str, float]:
        """What all rows show."""
        everything = np.arange(len(self.labels))
        values = self.intervals(everything, {"rows": everything})["rows"]
        found = {name: one.value for name, one in values.items() if one is not None}
        return found | {MEASURES[-1]: calibration_error(self.labels, self.ours.scores)}

    @cached_property
    def margin(self) -> float:
        """What the gate lets a candidate cost more, per flight."""
        return self.year.case.gate.cost_margin * float(self.theirs.costs(self.labels, self.year.case.cost).mean())


@dataclass
class Held:
    """By kind of window, side and measure: whether each interval held the truth, its width; what the cost margin made of it."""

    held: dict[tuple[str, str, str], list[bool]] = field(default_factory=dict)
    widths: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    wrong: dict[tuple[str, str], list[bool]] = field(default_factory=dict)
    passed: dict[tuple[str, str], list[bool]] = field(default_factory=dict)

    def add(self, kind: str, met: Met, sides: dict[str, dict[str, Estimate | None]]) -> None:
        """One window of a pair."""
        for side, values in sides.items():
            for name, one in values.items():
                self.held.setdefault((kind, side, name), []).append(one is not None and one.low <= met.truth[name] <= one.high)
                if one is not None:
                    self.widths.setdefault((kind, side, name), []).append(one.high - one.low)
            self._judge(kind, side, values["cost difference"], met.truth["cost difference"], met.margin)

    def gather(self, other: Held) -> None:
        """The windows of both."""
        for name in ("held", "widths", "wrong", "passed"):
            for key, values in getattr(other, name).items():
                getattr(self, name).setdefault(key, []).extend(values)

    def _judge(self, kind: str, side: str, cost: Estimate | None, true: float, margin: float) -> None:
        """The gate's decision on the pair as it stands and turned round: who is worse by more than the margin must not pass."""
        if cost is None:
            return
        for found, worth in ((cost, true), (-cost, -true)):
            kept = self.wrong if worth > margin else self.passed
            kept.setdefault((kind, side), []).append(found.high <= margin)


def tell(record: Record, found: Held, nominal: float) -> None:
    """Coverage against the nominal one, on both kinds of windows, and what the gate would have decided."""
    record.fact("windows", {kind: len(found.held[kind, "days", MEASURES[0]]) for kind in (LOT, ROW)})
    for name in MEASURES:
        by = {key: float(np.mean(found.held[(*key, name)])) for key in _keys(found, name)}
        record.fact(f"{name}: held in", {f"{kind}, by {side}": f"{share:.0%}" for (kind, side), share in by.items()})
        record.ratio(f"coverage of the {name} to the nominal, {LOT}, by days", by[LOT, "days"] / nominal, 0.97, "higher")
        some = max(by[ROW, "rows"], 1 / len(found.held[ROW, "rows", name]))
        record.ratio(f"coverage of the {name} by days to that by rows, {ROW}", by[ROW, "days"] / some, 1.5, "higher")
        widths = [float(np.median(found.widths[ROW, side, name])) for side in ("days", "rows")]
        record.fact(f"{name}: an interval by days is wider than by rows", round(widths[0] / max(widths[1], 1e-9), 1))
    for (kind, side), passes in found.wrong.items():
        record.fact(f"passes although costlier by more than the margin, {kind}, by {side}", f"{np.mean(passes):.1%}")
    for (kind, side), passes in found.passed.items():
        record.fact(f"passes although not costlier by more than the margin, {kind}, by {side}", f"{np.mean(passes):.0%}")
    show(found)


def _keys(found: Held, name: str) -> list[tuple[str, str]]:
    return [(kind, side) for kind, side, each in found.held if each == name]


def show(found: Held) -> None:
    """A row for each measure."""
    table = Table("measure", *(f"{kind}, by {side}" for kind, side in _keys(found, MEASURES[0])))
    for name in MEASURES:
        table.add_row(name, *(f"{np.mean(found.held[(*key, name)]):.0%}" for key in _keys(found, name)))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
