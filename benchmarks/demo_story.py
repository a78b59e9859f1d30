"""The demo's story without Airflow: 50 salts at three speeds, on the real flights that the demo scores.

What the demo does is played by the same decisions: the first release; April to October in weeks, with the monitor's trigger on
what was served, the gate, and the rollout on a fifth of the flights, by the scorer's own hash, with the views that each row
really lacked; then a model of shuffled labels, refused by the gate and forced into the canary. A rollout's salt is its name, so
each salt is a demo that could have been. A speed is how much data time goes by between two looks at the rollout: a machine that
replays slowly looks often, one that is busy seldom.

What the rollouts of these flights came to by the code as it was before is the other side of `aa_traffic`.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import timedelta

from benchmarks import flights_year
from benchmarks.demo_played import Demo, Models, Told
from benchmarks.record import RESULTS, Record
from everloop.decide.statistics.intervals import wilson

SALTS = 50
SPEEDS = {
    "a look a day": timedelta(days=1),
    "two looks a week": timedelta(hours=84),
    "a look in three weeks": timedelta(days=21),
}

Stories = dict[str, list[Told]]
"""By speed, a story of each salt."""


def main(salts: int = SALTS) -> None:
    """Play every story and write what became of them."""
    record = Record("demo_story", packages=("xgboost", "numpy", "scipy"))
    record.fact("salts", salts)
    tell(record, played(salts))
    record.finish(RESULTS)


def tell(record: Record, stories: Stories) -> None:
    """What became of every story."""
    for speed, told in stories.items():
        for one in told:
            numbers = {name: value for name, value in asdict(one).items() if isinstance(value, int)}
            record.sample(f"{speed}", **numbers, well=int(one.well))
        stuck = [one.waits_for for one in told if one.promoted < 2]
        well = sum(one.well for one in told)
        record.fact(f"{speed}: ended well", f"{well} of {len(told)}")
        record.fact(f"{speed}: two promotions, one refusal, one roll-back and no more", sum(one.as_written for one in told))
        if stuck:
            record.fact(f"{speed}: no second promotion", {"stories": len(stuck), "the first one's last look": stuck[0]})
    all_told = [one for told in stories.values() for one in told]
    well = sum(one.well for one in all_told)
    record.fact("ended well, lower end at 95 %", round(wilson(well, len(all_told), 0.95).low, 4))
    record.ratio("stories that ended well", well / len(all_told), 1.0, "higher")
    record.ratio("drills that were promoted", sum(one.drill_promoted for one in all_told), 0, "lower")


def played(salts: int) -> Stories:
    """Every salt at every speed."""
    work = [(speed, salt) for speed in SPEEDS for salt in range(salts)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), _ready) as pool:
        told = pool.map(_story, *zip(*((salt, SPEEDS[speed]) for speed, salt in work), strict=True))
        stories: Stories = {speed: [] for speed in SPEEDS}
        for (speed, _), one in zip(work, told, strict=True):
            stories[speed].append(one)
    return stories


_models: list[Models] = []


def _ready() -> None:
    """Once a process: the year, and what is made of it."""
    _models.append(Models(flights_year.load()))


def _story(salt: int, look: timedelta) -> Told:
    return Demo(_models[0], f"salt {salt}", look).play()


if __name__ == "__main__":
    main()
