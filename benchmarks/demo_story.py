"""The demo's story without Airflow: 50 salts at three speeds, on the real flights that the demo scores, before and after.

What the demo does is played by the same decisions: the first release; April to October in weeks, with the monitor's trigger on
what was served, the gate, and the rollout on a fifth of the flights, by the scorer's own hash, with the views that each row
really lacked; then a model of shuffled labels, refused by the gate and forced into the canary. A rollout's salt is its name, so
each salt is a demo that could have been. A speed is how much data time goes by between two looks at the rollout: a machine that
replays slowly looks often, one that is busy seldom.

`before`: the code as it was at `BEFORE`, with the story as it was: weeks did not wait for the rollout, and the drill came in
October whatever was on trial.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from benchmarks import demo_played, flights_year
from benchmarks.demo_played import Demo, Models, Told
from benchmarks.record import RESULTS, Record
from everloop.decide.statistics.intervals import wilson
from everloop.settings import PROJECT

BEFORE = "4a21e42"
SALTS = 50
SPEEDS = {
    "a look a day": timedelta(days=1),
    "two looks a week": timedelta(hours=84),
    "a look in three weeks": timedelta(days=21),
}

Stories = dict[str, list[Told]]
"""By speed, a story of each salt."""


def main(salts: int = SALTS) -> None:
    """Both sides, side by side in the record."""
    record = Record("demo_story", packages=("xgboost", "numpy", "scipy"))
    record.fact("salts", salts)
    for side, stories in (("after", played(salts, waits=True)), ("before", as_it_was(salts))):
        tell(record, side, stories)
    record.finish(RESULTS)


def tell(record: Record, side: str, stories: Stories) -> None:
    """What became of every story; the share that ended well is a promise of the code as it is."""
    for speed, told in stories.items():
        for one in told:
            numbers = {name: value for name, value in asdict(one).items() if isinstance(value, int)}
            record.sample(f"{side}, {speed}", **numbers, well=int(one.well))
        stuck = [one.waits_for for one in told if one.promoted < 2]
        well = sum(one.well for one in told)
        record.fact(f"{side}, {speed}: ended well", f"{well} of {len(told)}")
        record.fact(
            f"{side}, {speed}: two promotions, one refusal, one roll-back and no more", sum(one.as_written for one in told)
        )
        if stuck:
            record.fact(f"{side}, {speed}: no second promotion", {"stories": len(stuck), "the first one's last look": stuck[0]})
    all_told = [one for told in stories.values() for one in told]
    well = sum(one.well for one in all_told)
    record.fact(f"{side}: ended well, lower end at 95 %", round(wilson(well, len(all_told), 0.95).low, 4))
    if side == "after":
        record.ratio("stories that ended well", well / len(all_told), 1.0, "higher")
        worst = sum(one.drill_promoted for one in all_told)
        record.ratio("drills that were promoted", worst, 0, "lower")


def played(salts: int, *, waits: bool) -> Stories:
    """Every salt at every speed, by the code that is imported here."""
    work = [(speed, salt) for speed in SPEEDS for salt in range(salts)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), _ready) as pool:
        told = pool.map(_story, *zip(*((salt, SPEEDS[speed], waits) for speed, salt in work), strict=True))
        stories: Stories = {speed: [] for speed in SPEEDS}
        for (speed, _), one in zip(work, told, strict=True):
            stories[speed].append(one)
    return stories


_models: list[Models] = []


def _ready() -> None:
    """Once a process: the year, and what is made of it."""
    _models.append(Models(flights_year.load()))


def _story(salt: int, look: timedelta, waits: bool) -> Told:
    return Demo(_models[0], f"salt {salt}", look, waits).play()


def as_it_was(salts: int) -> Stories:
    """The same by the whole checkout of `BEFORE`, in a process of its own, with these files added to it."""
    with tempfile.TemporaryDirectory(prefix="everloop-before-") as folder:
        archive = subprocess.run(["git", "archive", BEFORE], cwd=PROJECT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "x"], cwd=folder, input=archive, check=True)
        for file in (__file__, demo_played.__file__):
            shutil.copy(file, Path(folder) / "benchmarks")
        found = Path(folder) / "stories.json"
        paths = os.pathsep.join([f"{folder}/plugins", folder])
        subprocess.run(
            [sys.executable, "-m", "benchmarks.demo_story", "before", str(salts), str(found)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": paths},
            check=True,
        )
        return {speed: [Told(**one) for one in told] for speed, told in json.loads(found.read_text()).items()}


def _before(salts: str, path: str) -> None:
    stories = played(int(salts), waits=False)
    Path(path).write_text(json.dumps({speed: [asdict(one) for one in told] for speed, told in stories.items()}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["before"]:
        _before(*sys.argv[2:])
    else:
        main()
