"""Few labels: what the gate by expected loss and the default one decide about small use cases that are drawn from real flights.

A use case has the flights of a few entities on a few days, both drawn whole, so that what moves together stays together; days are
drawn with replacement, so the flights that they come from are the truth about its two real models. How much a candidate
truly differs follows the prior that the policy states. Beside it, what such models are like: where that prior comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.flights_year import Year, fit, load
from benchmarks.record import RESULTS, Record
from everloop.decide.policy import ExpectedLoss, GatePolicy
from everloop.decide.release import gate
from everloop.decide.statistics.clusters import Clusters, blocks
from everloop.decide.statistics.compare import auc, auc_difference, costs
from everloop.decide.statistics.intervals import wilson
from everloop.decide.verdict import Outcome

CASES, SEED, WORKERS = 200, 2013, 2
LABELS, DAYS = (500, 2_000), 28
PER_WEEK, WEEKS = 750, 26
PERIOD = timedelta(days=56)
"""How long after the later of two trainings their models are the truth of a use case."""
SMALL, DEFAULT = "by expected loss", "default"
ECE = 0.20
"""The calibration's ceiling is that of the use case flights: seasons move the base rate."""
MONTHS = tuple(datetime(2013, month, 1, tzinfo=UTC) for month in range(4, 13))
OTHER_SEED = 8

Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

FINE = gate.Behaviour(
    tests={}, boundaries=gate.Boundaries(rows=1), absent={},
    noise=gate.Disturbance(changed=Clusters(), cost=None, undisturbed=None),
)  # fmt: skip
"""How models behave on changed rows is not what is asked here."""


@dataclass(frozen=True)
class Pair:
    """Two real models on the flights of a period: scores, labels and entities by row, and the rows of each day."""

    champion: Floats
    candidate: Floats
    labels: npt.NDArray[np.bool_]
    entities: Rows
    days: tuple[Rows, ...]
    truth: float


@dataclass(frozen=True)
class Decided:
    """What became of a use case: its truth, the outcome at one look by policy, and the week of the first pass, if any."""

    truth: float
    labels: int
    outcomes: Mapping[str, Outcome]
    weeks: Mapping[str, int | None]


def policies() -> dict[str, GatePolicy]:
    """The two sides."""
    return {SMALL: GatePolicy(ece_ceiling=ECE, decide_by=ExpectedLoss()), DEFAULT: GatePolicy(ece_ceiling=ECE)}


def main() -> None:
    """200 use cases."""
    run(CASES, WEEKS, RESULTS)


def run(cases: int, weeks: int, results: Path, months: Sequence[datetime] = MONTHS, workers: int = WORKERS) -> None:
    """Draw, decide and count them, and write the result to `results`."""
    record = Record("small_data", packages=("numpy", "scipy", "xgboost"))
    for what, value in _likeness(months).items():
        record.fact(what, value)
    _pairs(tuple(months))  # the forked workers inherit it
    with ProcessPoolExecutor(workers) as pool:
        found = list(pool.map(_one, range(cases), [weeks] * cases, [tuple(months)] * cases, chunksize=5))
    _tell(record, found, weeks)
    record.finish(results)


def _tell(record: Record, found: Sequence[Decided], weeks: int) -> None:
    margin, by = GatePolicy().cost_margin, ExpectedLoss()
    record.fact("use cases", len(found))
    record.fact("labels a use case, from to", [min(one.labels for one in found), max(one.labels for one in found)])
    record.fact("true differences, standard deviation", round(float(np.std([one.truth for one in found])), 4))
    kinds = {
        "better by more than the margin": [one for one in found if one.truth < -margin],
        "within the margin": [one for one in found if abs(one.truth) <= margin],
        "worse by more than the margin": [one for one in found if one.truth > margin],
    }
    for side in policies():
        for kind, of in kinds.items():
            record.fact(f"use cases, {kind}", len(of))
            for outcome in (Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL):
                _share(record, f"{side}: {outcome}, {kind}", sum(one.outcomes[side] is outcome for one in of), len(of))
            first = [one.weeks[side] for one in of]
            _share(record, f"{side}: let on within {weeks} weeks, {kind}", sum(week is not None for week in first), len(of))
            if of:
                waited = float(np.median([weeks + 1 if week is None else week for week in first]))
                record.fact(f"{side}: weeks until half are let on, {kind}", waited if waited <= weeks else f"more than {weeks}")
        ways = {
            "one look": [one.truth for one in found if one.outcomes[side] is Outcome.PASS],
            "a look every week": [one.truth for one in found if one.weeks[side] is not None],
        }
        for way, promoted in ways.items():
            wrong, lost = sum(truth > margin for truth in promoted), sum(max(0.0, truth) for truth in promoted)
            count = max(1, len(promoted))
            _share(record, f"{side}: promotions worse by more than the margin, {way}", wrong, len(promoted))
            record.fact(f"{side}: promotions, {way}", len(promoted))
            record.fact(f"{side}: mean loss of a promotion, share of the cost, {way}", round(lost / count, 5))
            if side == SMALL:
                record.ratio(f"wrong promotions / stated harm, {way}", wrong / count / by.harm, 1.0, "lower")
                record.ratio(f"mean loss of a promotion / stated risk, {way}", lost / count / by.risk, 1.0, "lower")
    better = kinds["better by more than the margin"]
    let_on = {side: sum(one.outcomes[side] is Outcome.PASS for one in better) for side in policies()}
    record.ratio(
        "better models let on at one look, expected loss / default", let_on[SMALL] / max(1, let_on[DEFAULT]), 1.5, "higher"
    )


def _share(record: Record, side: str, hits: int, of: int) -> None:
    low, high = wilson(hits, of)
    record.sample(side, share=hits / max(1, of), low=low, high=high)


def _one(number: int, weeks: int, months: tuple[datetime, ...]) -> Decided:
    """Draw a use case, decide at one look, and look every week until both policies have let the candidate on."""
    chance = np.random.default_rng([SEED, number])
    pairs = _pairs(months)
    wanted = chance.normal(0, ExpectedLoss().prior)
    pair = min(pairs, key=lambda one: abs(one.truth - wanted))
    labels = int(chance.integers(*LABELS, endpoint=True))
    rows, units = _drawn(pair, labels, DAYS, chance)
    first: dict[str, int | None] = dict.fromkeys(policies())
    grown = _drawn(pair, PER_WEEK * weeks, 7 * weeks, chance)
    for week in range(2, weeks + 1):
        if all(first.values()):
            break
        so_far = grown[1] < 7 * week
        for side, outcome in _outcomes(pair, grown[0][so_far], grown[1][so_far]).items():
            first[side] = first[side] or (week if outcome is Outcome.PASS else None)
    return Decided(pair.truth, len(rows), _outcomes(pair, rows, units), first)


def _drawn(pair: Pair, labels: int, days: int, chance: np.random.Generator) -> tuple[Rows, Rows]:
    """About so many rows, on whole days and of whole entities, and the day of each, numbered as drawn."""
    drawn = chance.integers(len(pair.days), size=days)
    share = labels / sum(len(pair.days[day]) for day in drawn)
    kept = chance.random(pair.entities.max() + 1) < share
    rows = [pair.days[day][kept[pair.entities[pair.days[day]]]] for day in drawn]
    return np.concatenate(rows), np.repeat(np.arange(days), [len(one) for one in rows])


def _outcomes(pair: Pair, rows: Rows, units: Rows) -> dict[str, Outcome]:
    """Both policies on the same evidence."""
    labels, cost = pair.labels[rows], _year().case.cost
    ours, theirs = (gate.Scored(scores[rows], cost.threshold) for scores in (pair.candidate, pair.champion))
    policy = GatePolicy()
    evidence = gate.Evidence(
        candidate=gate.alone(labels, units, ours, 1.0, MONTHS[1], policy),
        behaviour=FINE,
        champion=gate.Champion(release="champion", trained_through=MONTHS[0]),
        comparison=gate.compare(labels, units, ours, theirs, {}, cost, policy),
        rows_per_week=PER_WEEK,
    )
    return {side: gate.judge(evidence, one).outcome for side, one in policies().items()}


@cache
def _year() -> Year:
    return load()


@cache
def _scores(cut: datetime, seed: int | None = None) -> Floats:
    """All flights of the year as the model of a cut scores them, or one that only differs by its seed."""
    year = _year()
    policy = None if seed is None else replace(year.case.training, seed=seed)
    return fit(year, cut, policy).score(year)


@cache
def _pairs(months: tuple[datetime, ...]) -> list[Pair]:
    """Every two models either way round, and each beside its twin of another seed."""
    found = []
    for later, cut in enumerate(months):
        rows = np.flatnonzero(_year().between(cut, cut + PERIOD))
        latest = _scores(cut)
        others = [_scores(earlier) for earlier in months[:later]] + [_scores(cut, OTHER_SEED)]
        for other in others:
            found += [_pair(rows, *sides) for sides in ((latest, other), (other, latest))]
    return found


def _pair(rows: Rows, candidate: Floats, champion: Floats) -> Pair:
    year = _year()
    labels, case = year.labels[rows], year.case
    new, old = (costs(labels, scores[rows] >= case.cost.threshold, case.cost) for scores in (candidate, champion))
    codes = blocks(year.asked[rows])
    return Pair(
        champion=champion[rows], candidate=candidate[rows], labels=labels, entities=_entities()[rows],
        days=tuple(np.flatnonzero(codes == day) for day in range(codes.max() + 1)),
        truth=float((new.mean() - old.mean()) / old.mean()),
    )  # fmt: skip


@cache
def _entities() -> Rows:
    year = _year()
    fields = [np.asarray(year.rows[name].to_pylist(), dtype=str) for name in year.case.entity]
    names = fields[0]
    for one in fields[1:]:
        names = np.char.add(np.char.add(names, "|"), one)
    return np.unique(names, return_inverse=True)[1].astype(np.intp)


def _likeness(months: Sequence[datetime]) -> dict[str, float]:
    """What two models are like that a month lies between: what the defaults of small data rest on."""
    found = np.array(list(_consecutive(months)))
    names = ("decide differently", "alike within a day", "champion's cost of the best constant's", "correlation of AUCs")
    told = {f"a month apart: {name}, median": round(float(np.median(found[:, i])), 4) for i, name in enumerate(names)}
    return told | {
        "a month apart: relative difference of cost, root mean square": round(float(np.sqrt((found[:, 4] ** 2).mean())), 4)
    }


def _consecutive(months: Sequence[datetime]) -> Iterator[tuple[float, ...]]:
    year, cost = _year(), _year().case.cost
    for before, after in pairwise(months):
        rows = year.between(after, after + PERIOD)
        labels, old, new = year.labels[rows], _scores(before)[rows], _scores(after)[rows]
        decided = [scores >= cost.threshold for scores in (old, new)]
        spent = [costs(labels, one, cost) for one in decided]
        apart, days = spent[1] - spent[0], blocks(year.asked[rows])
        sizes, sums = np.bincount(days), np.bincount(days, weights=apart - apart.mean())
        alike = ((sums**2).sum() / apart.var() - len(apart)) / ((sizes**2).sum() - len(apart))
        constant = min(labels.mean() * cost.false_negative, (1 - labels.mean()) * cost.false_positive)
        one, two = auc(labels, old), auc_difference(labels, new, old)
        assert one
        assert two
        common = 1 - (two.high - two.low) ** 2 / (2 * (one.high - one.low) ** 2)
        yield (decided[0] != decided[1]).mean(), alike, spent[0].mean() / constant, common, apart.mean() / spent[0].mean()


if __name__ == "__main__":
    main()
