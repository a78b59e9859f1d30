"""How soon a costlier challenger is stopped, by paired and unpaired labels of flights; a harmful one, beside Flagger's rule; and
one whose errors lie beside those that no release can help.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import flights_year
from benchmarks.aa.prepared import prepared
from benchmarks.aa_traffic import PROMISED, exact
from benchmarks.before import checkout, executed
from benchmarks.interval_rule import IntervalRule
from benchmarks.process import PLUGINS, measure
from benchmarks.record import RESULTS, Record
from benchmarks.streams import EQUAL, World, play
from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.evidence import PairedCosts
from everloop.decide.release.guardrails import GUARDRAILS, labelled_cost, level
from everloop.decide.release.rollout import UNJUDGED, Kind
from everloop.decide.statistics.compare import costs
from everloop.decide.statistics.intervals import mean_sequence
from everloop.decide.verdict import Outcome

SEED, WORKERS, RUNS = 2013, 2, 100
WORSE = (0.01, 0.02, 0.05)
STEP, MOST = 500, 600_000
"""Labels between two looks, and after which a run is given up."""
STRICT = RolloutPolicy(cost_margin=0.0)
"""Any shown excess is harm: how many labels showing it takes."""
LEVEL = next(level(one, STRICT, UNJUDGED) for one in GUARDRAILS if one.name == "cost")
"""The level at which the rollout judges cost."""

ROLLOUT = RolloutPolicy(minimum_time=timedelta(minutes=1), watch_time=timedelta(days=1), watch_labels=10**9)
HARM = {
    "as good (0.5 % errors)": {},
    "as good, noisy (0.9 % errors on both sides)": {"errors": (0.009, 0.009)},
    "3 % errors instead of 0.5 %": {"errors": (0.03, 0.005)},
    "5 % errors instead of 0.5 %": {"errors": (0.05, 0.005)},
    "10 % errors instead of 0.5 %": {"errors": (0.10, 0.005)},
    "3 times as slow": {"median_ms": (24.0, 8.0)},
    "a third costlier, no errors": {"cells": "costlier"},
}
EXPOSED = {
    "3 % errors instead of 0.5 %": 1 / 1.5,
    "5 % errors instead of 0.5 %": 1.0,
    "10 % errors instead of 0.5 %": 1.0,
    "3 times as slow": 1.0,
    "a third costlier, no errors": 1.0,
}
"""What is to be stopped, and how many times as many requests the rule may expose to it, at least."""
KEPT = 0.9
"""The power that a change of the rules may not fall below, as a share of what it was."""
HIDDEN = {
    "hopeless": "as good, a seventh of the traffic hopeless",
    "frail": "as good, 15 % errors on both sides beside a hopeless seventh",
    "failing": "15 % errors beside a hopeless seventh",
}
"""The worlds of `benchmarks.aa` with one entity that no release can answer."""
HARMED = "failing"
"""The one of them in which the release on trial is to be stopped."""
HARM_BEFORE = """
from benchmarks.rollback_power import COSTLIER, _everloop
from benchmarks.streams import World
made = [{"cells": COSTLIER} if "cells" in one else {name: tuple(two) for name, two in one.items()} for one in worlds]
result = [[_everloop(World(requests=10_000, minutes=60, **one), number) for number in range(runs)] for one in made]
"""
LABELS_BEFORE = """
from benchmarks.rollback_power import _table, costlier, paired, real_cells
pairs, chances = _table(real_cells())
result = [[paired(pairs, costlier(pairs, chances, one), number) for number in range(runs)] for one in worse]
"""
COSTLIER = tuple((new, old, share + {(3.0, 0.0): 0.07, (0.0, 0.0): -0.07}.get((new, old), 0.0)) for new, old, share in EQUAL)


def main() -> None:
    """All parts."""
    record = Record("rollback_power", packages=("numpy", "scipy", "xgboost"))
    with checkout() as earlier:
        labels_needed(record, real_cells(), earlier, RUNS)
        harm_done(record, earlier, RUNS)
        harm_hidden(record, earlier, RUNS)
    record.finish(RESULTS)


def real_cells() -> PairedCosts:
    """What two real models, trained through March in two ways, cost on each flight of April."""
    year = flights_year.load()
    case, cut = year.case, datetime(2013, 4, 1, tzinfo=UTC)
    quicker = replace(case.training, parameters={**case.training.parameters, "max_depth": 4, "learning_rate": 0.15}, seed=8)
    april = year.between(cut, datetime(2013, 5, 1, tzinfo=UTC))
    labels = year.labels[april]
    both = [costs(labels, model.score(year, april) >= model.threshold, case.cost) for model in _models(year, cut, quicker)]
    return PairedCosts.of(*both, largest=case.cost.false_negative)


def _models(year: flights_year.Year, cut: datetime, other: Any) -> Iterator[flights_year.Trained2013]:
    yield flights_year.fit(year, cut, other)
    yield flights_year.fit(year, cut)


def labels_needed(record: Record, cells: PairedCosts, earlier: Path, runs: int) -> None:
    """Labels until a challenger that is 1, 2 and 5 % costlier is stopped, both ways, on rows drawn from the real ones."""
    pairs, chances = _table(cells)
    record.fact("flights of April", cells.count)
    record.fact("cost a row of both real models", [round(cells.candidate, 4), round(cells.baseline, 4)])
    record.fact("flights that they decide differently", round(float(chances[pairs[:, 0] != pairs[:, 1]].sum()), 4))
    before = executed(earlier, LABELS_BEFORE, worse=WORSE, runs=runs)
    for worse, then in zip(WORSE, before, strict=True):
        shares = costlier(pairs, chances, worse)
        found = {}
        with ProcessPoolExecutor(WORKERS) as pool:
            for way, count in (("paired", paired), ("unpaired", unpaired)):
                needed = list(pool.map(partial(count, pairs, shares), range(runs)))
                found[way] = float(np.median(needed))
                for one in needed:
                    record.sample(f"{worse:.0%} costlier, {way}", labels=one)
        for one in then:
            record.sample(f"{worse:.0%} costlier, paired, before", labels=one)
        record.ratio(f"labels, unpaired / paired, {worse:.0%} costlier", found["unpaired"] / found["paired"], 1.0, "higher")
        kept = float(np.median(then)) / found["paired"]
        record.ratio(f"labels, before / now, {worse:.0%} costlier", kept, KEPT, "higher")


def _table(cells: PairedCosts) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Pairs of costs (k, 2) and how likely each is (k,)."""
    found = np.array(cells.cells)
    return found[:, :2], found[:, 2] / found[:, 2].sum()


def costlier(pairs: npt.NDArray[np.float64], chances: npt.NDArray[np.float64], worse: float) -> npt.NDArray[np.float64]:
    """The chances under which the candidate costs exactly `worse` more than the baseline, by moving mass to or from one pair."""
    wanted = (1 + worse) * (chances @ pairs[:, 1]) - chances @ pairs[:, 0]
    rise, even = (int(np.flatnonzero((pairs == pair).all(axis=1))[0]) for pair in ((1.0, 0.0), (0.0, 0.0)))
    moved = chances.copy()
    moved[rise] += wanted
    moved[even] -= wanted
    if moved.min() < 0:
        raise ValueError(f"{worse:.0%} more than the baseline needs {wanted:+.4f} of the rows, which are not there")
    return moved


def paired(pairs: npt.NDArray[np.float64], shares: npt.NDArray[np.float64], number: int) -> int:
    """Labels of rows that both score until the guardrail of the rollout fails."""
    chance, counts = np.random.default_rng([SEED, number]), np.zeros(len(shares), dtype=int)
    for labels in range(STEP, MOST + 1, STEP):
        counts += chance.multinomial(STEP, shares)
        cells = tuple((float(new), float(old), int(n)) for (new, old), n in zip(pairs, counts, strict=True) if n)
        costs_so_far = PairedCosts(cells=cells, largest=3.0)
        if labelled_cost(costs_so_far, STRICT, LEVEL, MOST).outcome is Outcome.FAIL:
            return labels
    return MOST


def unpaired(pairs: npt.NDArray[np.float64], shares: npt.NDArray[np.float64], number: int) -> int:
    """Labels of rows that one or the other scores, half each, until the difference of both means is shown."""
    chance, counts = np.random.default_rng([SEED, number]), np.zeros((2, len(shares)), dtype=int)
    for labels in range(STEP, MOST + 1, STEP):
        counts += np.stack([chance.multinomial(STEP // 2, shares) for _ in range(2)])
        n = labels // 2
        means = [counts[i] @ pairs[:, i] / n for i in range(2)]
        variance = sum(counts[i] @ (pairs[:, i] - means[i]) ** 2 / (n - 1) for i in range(2))
        low, _ = mean_sequence(means[0] - means[1], float(variance), n, 2 * LEVEL, 20_000)
        if low > 0:
            return labels
    return MOST


def harm_done(record: Record, earlier: Path, runs: int) -> None:
    """Requests that a challenger answered until it was rolled back, and how often it was: now, before, and by the rule."""
    before = executed(earlier, HARM_BEFORE, worlds=list(HARM.values()), runs=runs)
    for (name, changes), then in zip(HARM.items(), before, strict=True):
        world = World(requests=10_000, minutes=60, **({"cells": COSTLIER} if "cells" in changes else changes))
        with ProcessPoolExecutor(WORKERS) as pool:
            now = list(pool.map(partial(_everloop, world), range(runs)))
            rule = list(pool.map(partial(_rule, world), range(runs)))
        for side, found in (("everloop", now), ("everloop before", then), ("interval rule", rule)):
            for stopped, answered, failed in found:
                record.sample(f"{name}: {side}", rolled_back=stopped, answered=answered, failed=failed)
        if name in EXPOSED:
            exposed = [float(np.median([answered for _, answered, _ in found])) for found in (now, then, rule)]
            record.ratio(f"requests exposed, interval rule / everloop, {name}", exposed[2] / exposed[0], EXPOSED[name], "higher")
            record.ratio(f"requests exposed, before / now, {name}", exposed[1] / exposed[0], KEPT, "higher")


def harm_hidden(record: Record, earlier: Path, runs: int) -> None:
    """How rollouts end where one entity asks for a seventh of all rows and gets errors whichever release answers."""
    cases, flown = [(world, "default", runs) for world in HIDDEN], str(prepared())
    for side, plugins in (("everloop", PLUGINS), ("everloop before", earlier / "plugins")):
        found = measure("benchmarks.aa.sides", "played", plugins=plugins, flown=flown, cases=cases).value
        for world, name in HIDDEN.items():
            ended = [one for one in found if one["world"] == world]
            for one in ended:
                record.sample(f"{name}: {side}", rolled_back=one["how"] == "rolled_back", rows=one["rows"])
            record.fact(f"{name}: {side}", dict(Counter(one["how"] for one in ended)))
            stopped = sum(one["how"] == "rolled_back" for one in ended)
            if side != "everloop":
                continue
            if world == HARMED:
                record.ratio(f"rolled back, {name}", stopped / runs, 1.0, "higher")
            else:
                record.ratio(f"rolled back, upper end / promised, {name}", exact(stopped, runs)[1] / PROMISED, 1.0, "lower")


def _everloop(world: World, number: int) -> tuple[bool, int, int]:
    seen = play(world, ROLLOUT, np.random.default_rng([SEED, number]))
    return seen.ended is Kind.ROLL_BACK, seen.answered, seen.failed


def _rule(world: World, number: int) -> tuple[bool, int, int]:
    return IntervalRule().play(world, ROLLOUT.steps, np.random.default_rng([SEED, number]))


if __name__ == "__main__":
    main()
