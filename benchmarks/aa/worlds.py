"""The worlds that releases are tried in: real flights, and traffic made of them; in `WORLDS` neither release is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from benchmarks.aa.flown import BEGIN, WEEK, WEEKS, Codes, Floats, Flown
from benchmarks.aa.traffic import Flags, Traffic

SEED = 2013
MEDIAN_MS, SPREAD, ENTITY_SPREAD = 8.0, 0.5, 0.3
"""Latencies are log-normal; entities differ in theirs (a longer route, a larger request)."""
BLIP = 0.003
"""How often a release fails on a row by chance, in made traffic; in that of the flights none does."""
OWN = 0.15
"""How often a release fails by itself that nobody would want."""
VIEW = "missing:aircraft"

World = Callable[[Traffic, np.random.Generator], Traffic]


def traffic(name: str, flown: Flown, salt: int, length: timedelta) -> Traffic:
    """The traffic of rollout `salt` in the world `name`: it begins in a week of its own and lasts for `length`."""
    chance = np.random.default_rng([SEED, salt])
    start = BEGIN + int(chance.integers(WEEKS)) * WEEK
    return {**WORLDS, **FAILURES}[name](real(flown, chance, start, length), chance)


def real(flown: Flown, chance: np.random.Generator, start: datetime, length: timedelta) -> Traffic:
    """The flights as they were, scored by two models that differ by the seed of their training alone, in any order."""
    rows, later = flown.window(start, length)
    entity, pair = flown.entity[rows], chance.permutation(len(flown.scores))[:2]
    return Traffic(
        asked=flown.asked[rows] + later,
        known=flown.known[rows] + later,
        label=flown.label[rows],
        entity=entity,
        entities=flown.entities,
        flags=_flags(flown)[flown.missing[rows]],
        origin=flown.origin[rows],
        latency=_latency(entity, len(flown.entities), chance),
        scores=flown.scores[pair][:, rows],
        failing=np.zeros((2, len(rows)), dtype=bool),
        drawn=chance.random(len(rows)),
    )


def same(base: Traffic, _: np.random.Generator) -> Traffic:
    """The same release twice."""
    return replace(base, scores=base.scores[[1, 1]])


def seeds(base: Traffic, _: np.random.Generator) -> Traffic:
    """Two releases that are equally good."""
    return base


def whale(base: Traffic, chance: np.random.Generator) -> Traffic:
    """A fifth of the rows is one entity's, which lacks a view more often, fails more often, and waits longer."""
    big = chance.random(len(base)) < 0.2
    entity = np.where(big, len(base.entities), base.entity)
    lacks = big & (chance.random(len(base)) < 0.6)
    return replace(
        base,
        entity=entity,
        entities=np.append(base.entities, "whale"),
        flags=_lacking(lacks),
        latency=base.latency * np.where(big, 2.0, 1.0),
        failing=_by_chance(base, chance, np.where(big, 0.02, BLIP)),
    )


def zipf(base: Traffic, chance: np.random.Generator) -> Traffic:
    """Entities of very different size (the n-th has 1/n of the rows of the first), each with its own chance to lack a view."""
    count = 5_000
    sizes = 1 / np.arange(1, count + 1)
    entity = chance.choice(count, len(base), p=sizes / sizes.sum())
    return replace(
        base,
        entity=entity,
        entities=np.char.add("z", np.arange(count).astype(str)),
        flags=_lacking(chance.random(len(base)) < chance.beta(0.3, 1.2, count)[entity]),
        latency=_latency(entity, count, chance),
        failing=_by_chance(base, chance, BLIP),
    )


def bursts(base: Traffic, chance: np.random.Generator) -> Traffic:
    """Three times a week an hour in which both releases fail on a third of the rows, each by chance, and answers take tenfold."""
    hour = base.asked.astype("datetime64[h]").astype(int)
    hours, place = np.unique(hour, return_inverse=True)
    bad = (chance.random(len(hours)) < 3 / (7 * 24))[place]
    return replace(
        base,
        latency=base.latency * np.where(bad, 10.0, 1.0),
        failing=_by_chance(base, chance, np.where(bad, 0.33, BLIP)),
    )


def missing(base: Traffic, chance: np.random.Generator) -> Traffic:
    """Missing views are nearly a property of the entity: one in five lacks its view on nearly all of its rows."""
    share = np.where(chance.random(len(base.entities)) < 0.2, 0.95, 0.02)[base.entity]
    lacks = chance.random(len(base)) < share
    return replace(
        base,
        flags=_lacking(lacks),
        failing=_by_chance(base, chance, BLIP),
    )


def errors(base: Traffic, chance: np.random.Generator) -> Traffic:
    """One entity in fifty fails always, with either release; beside that each release fails by chance."""
    never = (chance.random(len(base.entities)) < 0.02)[base.entity]
    return replace(base, failing=_by_chance(base, chance, BLIP) | never)


def hopeless(base: Traffic, chance: np.random.Generator) -> Traffic:
    """A seventh of the rows is one entity's, which no release can answer; beside that each release fails by chance."""
    return _hopeless(base, chance, (BLIP, BLIP))


def frail(base: Traffic, chance: np.random.Generator) -> Traffic:
    """The same, and either release fails on `OWN` of all rows, each by itself."""
    return _hopeless(base, chance, (OWN, OWN))


def failing(base: Traffic, chance: np.random.Generator) -> Traffic:
    """The same, but the release on trial alone fails on `OWN` of all rows."""
    return _hopeless(base, chance, (OWN, BLIP))


def days(base: Traffic, chance: np.random.Generator) -> Traffic:
    """Days move together: each has a level of its own for all labels, and one by which both models miss, to opposite sides.

    The design effect of the difference of their costs by day is about 7; that of two real ones 4 to 5.
    """
    day = np.unique(base.asked.astype("datetime64[D]"), return_inverse=True)[1]
    level, apart = (chance.normal(0, spread, day.max() + 1)[day] for spread in (0.7, 0.12))
    told = logit(np.clip(base.scores[0], 1e-3, 1 - 1e-3))
    label = (chance.random(len(base)) < expit(told + level)).astype(float)
    return replace(
        base,
        label=label,
        scores=np.stack([expit(told + apart), expit(told - apart)]),
        failing=_by_chance(base, chance, BLIP),
    )


WORLDS: dict[str, World] = {
    "same": same,
    "seeds": seeds,
    "whale": whale,
    "zipf": zipf,
    "bursts": bursts,
    "missing": missing,
    "errors": errors,
    "hopeless": hopeless,
    "days": days,
}
FAILURES: dict[str, World] = {"frail": frail, "failing": failing}
"""Worlds in which one release fails often beside what no release can answer, or both do."""


def _flags(flown: Flown) -> npt.NDArray[np.object_]:
    """The flags of each pattern of missing views."""
    found = np.empty(len(flown.patterns), dtype=object)
    found[:] = [tuple(f"missing:{view}" for view in told.split(",") if view) for told in flown.patterns.tolist()]
    return found


def _lacking(lacks: Flags) -> npt.NDArray[np.object_]:
    """No flags but those of the rows that lack a view."""
    kinds = np.empty(2, dtype=object)
    kinds[:] = [(), (VIEW,)]
    return kinds[lacks.astype(int)]


def _latency(entity: Codes, count: int, chance: np.random.Generator) -> Floats:
    own = ENTITY_SPREAD * chance.standard_normal(count)
    return MEDIAN_MS * np.exp(own[entity] + SPREAD * chance.standard_normal(len(entity)))


def _hopeless(base: Traffic, chance: np.random.Generator, shares: tuple[float, float]) -> Traffic:
    """`shares`: of the rows that the release on trial and the other one fail on by chance."""
    never = chance.random(len(base)) < 1 / 7
    return replace(
        base,
        entity=np.where(never, len(base.entities), base.entity),
        entities=np.append(base.entities, "hopeless"),
        failing=never | (chance.random((2, len(base))) < np.array(shares)[:, None]),
    )


def _by_chance(base: Traffic, chance: np.random.Generator, share: float | Floats) -> Flags:
    """Each release fails by itself."""
    return chance.random((2, len(base))) < share
