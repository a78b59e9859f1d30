"""What a real model is expected to do before any label, month by month, and what it did; whether it said so when it failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import flights_year
from benchmarks.flights_year import Scores, Trained2013, Year
from benchmarks.record import RESULTS, Record
from benchmarks.watched import Watched, months, spans, watch
from everloop.decide.policy import RetrainPolicy
from everloop.decide.statistics.clusters import blocks
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason
from everloop.decide.watch import assumptions, concept
from everloop.decide.watch.concept import Residuals
from everloop.decide.watch.estimate import WINDOWS, Calibration, expect
from everloop.interval import Interval

CUT, END = datetime(2013, 4, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC)
MEASURES = ("auc", "cost", "precision", "recall", "f1")


def main() -> None:
    """April to December, by month and by week, of a model that has learnt until the end of March."""
    year = flights_year.load()
    by_length = {"month": months(2013, 4, 12), "week": spans(CUT, END, timedelta(weeks=1))}
    compare(year, flights_year.fit(year, CUT), by_length)


def compare(
    year: Year,
    model: Trained2013,
    by_length: Mapping[str, Sequence[Interval]],
    results: Path = RESULTS,
) -> None:
    """Every window of each length; the first length is drawn and shown."""
    record, scores = Record("cbpe", packages=("xgboost", "scikit-learn", "numpy")), model.score(year)
    record.fact("labels until", f"{CUT:%Y-%m-%d}")
    record.fact("AUC at release", model.metrics["auc"])
    record.fact("cost at release", model.metrics["cost"])
    found = {each: foretold(year, model, scores, windows) for each, windows in by_length.items()}
    for each, windows in found.items():
        tell(record, each, windows, model, year.case.retrain)
    first = next(iter(found.values()))
    show(first, model, year.case.retrain)
    record.finish(results)
    draw(first, model, results / "cbpe.png")


@dataclass(frozen=True)
class Foretold:
    """What was expected of a window before its labels, the assumptions that did not hold, and what came.

    `noise_only`: with the interval of label noise alone, as if the calibrator were perfect.
    """

    window: Interval
    expected: Mapping[str, Estimate]
    noise_only: Mapping[str, Estimate]
    doubts: tuple[str, ...]
    true: Mapping[str, Estimate]

    def error(self, name: str) -> float:
        """Expected less true."""
        return self.expected[name].value - self.true[name].value

    def fails(self, model: Trained2013, policy: RetrainPolicy) -> tuple[str, ...]:
        """What it is wrong about by more than the loop would act on: a drop of the AUC, a rise of the cost."""
        limits = {"auc": policy.auc_drop, "cost": policy.cost_rise * model.metrics["cost"]}
        return tuple(name for name, limit in limits.items() if abs(self.error(name)) > limit)


def foretold(year: Year, model: Trained2013, scores: Scores, windows: Sequence[Interval]) -> list[Foretold]:
    """Each window in turn, knowing the labels of the windows before it and of the held-out rows, and none of its own."""
    known = [model.reference["score"]["residuals"]]
    found = []
    for window in windows:
        watched = watch(year, model, scores, window)
        given = scores[year.between(window.start, window.end)]
        found.append(_foretell(year, model, given, watched, known))
        known.append(watched.residuals)
    return found


def _foretell(year: Year, model: Trained2013, given: Scores, watched: Watched, known: Sequence[Residuals]) -> Foretold:
    score, case = model.reference["score"], year.case
    calibration = Calibration.of(score["edges"], [known[0], *known[1:][-WINDOWS:]])
    asked = year.asked[year.between(watched.window.start, watched.window.end)]
    days = blocks(asked, case.gate.block)
    sides = [expect(given, model.threshold, case.cost, each, days) for each in (calibration, None)]
    expected, noise_only = (side.measures() if side else {} for side in sides)
    relation = concept.judge(concept.measure(known[-1], known[0]), case.drift)
    assumed = assumptions.checked(given, score["range"], watched.drift, watched.strangers, relation)
    return Foretold(watched.window, expected, noise_only, _doubts(assumed), watched.found)


def _doubts(assumed: Sequence[Reason]) -> tuple[str, ...]:
    return tuple(reason.check.removeprefix("estimate.") for reason in assumed if reason.outcome is not Outcome.PASS)


def tell(record: Record, each: str, found: Sequence[Foretold], model: Trained2013, policy: RetrainPolicy) -> None:
    """Errors against believing that all is as it was at release, coverage of the intervals, and what was said."""
    for one in found:
        record.sample(f"expected by {each}", **{name: one.expected[name].value for name in MEASURES})
        record.sample(f"true by {each}", **{name: one.true[name].value for name in MEASURES})
        record.sample(f"error by {each}", **{name: abs(one.error(name)) for name in MEASURES})
    for name in MEASURES:
        held = np.mean([_holds(one.expected[name], one.true[name]) for one in found])
        bare = np.mean([_holds(one.noise_only[name], one.true[name]) for one in found])
        record.fact(f"true {name} within its interval, by {each}", f"{held:.0%} ({bare:.0%} with label noise alone)")
    for name in ("auc", "cost"):
        believing = np.mean([abs(model.metrics[name] - one.true[name].value) for one in found])
        ours = np.mean([abs(one.error(name)) for one in found])
        record.ratio(f"mean error of {name} to that of believing the release, by {each}", float(ours / believing), 1.0, "lower")
    _tell_failures(record, each, found, [one.fails(model, policy) for one in found])


def _tell_failures(record: Record, each: str, found: Sequence[Foretold], fails: Sequence[tuple[str, ...]]) -> None:
    failing = [(one, names) for one, names in zip(found, fails, strict=True) if names]
    doubted = [one for one in found if one.doubts]
    outside = {one.window: [name for name in names if not _holds(one.expected[name], one.true[name])] for one, names in failing}
    silent = [one for one, _ in failing if not one.doubts and outside[one.window]]
    record.fact(f"{each}s", len(found))
    record.fact(f"{each}s in which it fails", {_day(one): ", ".join(names) for one, names in failing})
    record.fact(f"{each}s that it said not to believe", {_day(one): ", ".join(one.doubts) for one in doubted})
    record.fact(f"failing {each}s that it said not to believe", sum(bool(one.doubts) for one, _ in failing))
    record.fact(f"failing {each}s of which its interval held the truth", sum(not names for names in outside.values()))
    record.fact(f"{each}s that it doubted although it was right", len(doubted) - sum(bool(one.doubts) for one, _ in failing))
    record.fact(f"{each}s in which it fails and neither said so nor held the truth", [_day(one) for one in silent])
    record.ratio(f"share of the failing {each}s that are told", 1 - len(silent) / max(1, len(failing)), 1.0, "higher")


def _day(one: Foretold) -> str:
    return f"{one.window.start:%Y-%m-%d}"


def _holds(expected: Estimate, true: Estimate) -> bool:
    return expected.low <= true.value <= expected.high


def show(found: Sequence[Foretold], model: Trained2013, policy: RetrainPolicy) -> None:
    """A row for each window."""
    table = Table("from", "AUC expected", "true", "error", "cost expected", "true", "error", "fails", "doubts")
    for one in found:
        cells = [_day(one)]
        for name in ("auc", "cost"):
            cells += [str(one.expected[name]), f"{one.true[name].value:.4f}", f"{one.error(name):+.4f}"]
        table.add_row(*cells, ", ".join(one.fails(model, policy)), ", ".join(one.doubts))
    Console(width=160).print(table)


def draw(found: Sequence[Foretold], model: Trained2013, picture: Path) -> None:
    """Expected and true AUC and cost by window; those whose estimate said not to believe it are shaded."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    places = np.arange(len(found))
    for axes, name, title in zip(figure.subplots(1, 2), ("auc", "cost"), ("AUC", "cost per flight"), strict=True):
        values, low, high = (np.array([getattr(one.expected[name], end) for one in found]) for end in ("value", "low", "high"))
        axes.errorbar(places - 0.08, values, yerr=[values - low, high - values], fmt="o", capsize=3, label="expected, 95 %")
        axes.plot(places + 0.08, [one.true[name].value for one in found], "x", color="C3", label="true")
        axes.axhline(model.metrics[name], color="0.6", linestyle="--", label="at release")
        for place in places[[bool(one.doubts) for one in found]]:
            axes.axvspan(place - 0.5, place + 0.5, color="0.92", zorder=0)
        axes.set(title=title, xticks=places, xticklabels=[f"{one.window.start:%b}" for one in found])
    figure.axes[0].legend(fontsize=8)
    figure.savefig(picture, format="png", metadata={"Software": None})


if __name__ == "__main__":
    main()
