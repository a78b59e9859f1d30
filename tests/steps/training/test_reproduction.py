"""A release's snapshot gives its model again, byte for byte, when the lake has long moved on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from everloop.adapters.lake import DeltaLake
from everloop.interval import Interval
from everloop.steps import training
from everloop.steps.training.staging import staged_files
from fakes.departures import START, WEEK, checks, closed, filled_into
from fakes.ledger import InMemoryLedger
from fakes.registry import InMemoryRegistry
from steps.training.conftest import COMMIT, World


def released(world: World, snapshot: dict[str, Any], run: str) -> tuple[bytes, str]:
    """The model and the id of the release that `snapshot` gives."""
    training.training_set(world.lake, world.features, checks(), world.use_case, snapshot, run)
    world.trained(run)
    training.evaluate(world.lake, world.registry, world.ledger, world.use_case, run)
    release = training.register(world.lake, world.registry, world.use_case, run, {"train": 1.0})["release"]
    return staged_files(world.lake, run, "model")["model.ubj"], release


def move_on(world: World) -> None:
    """Late flights and corrected delays in an old week, a new column, and a new week, each with its features."""
    old, new = Interval(START, START + WEEK), Interval(START + 5 * WEEK, START + 6 * WEEK)
    rows = closed(old)
    delays = pc.if_else(pc.less(rows["distance"], 700), pa.scalar(90.0), rows["arrival_delay"])
    corrected = rows.set_column(rows.column_names.index("arrival_delay"), "arrival_delay", delays).slice(0, rows.num_rows - 50)
    for interval, given in ((old, corrected), (new, closed(new))):
        world.lake.replace("flights", given.append_column("gate", pa.array(["A1"] * given.num_rows)), interval)
        for touched in world.features.touched(interval):
            world.features.compute(touched, new.end + timedelta(days=1))


def test_training_again_from_an_old_snapshot_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERLOOP_GIT_COMMIT", COMMIT)
    lake = DeltaLake(str(tmp_path / "lake"))
    world = World(lake, filled_into(lake, 5), InMemoryLedger(), InMemoryRegistry(), tmp_path / "work")
    snapshot = training.snapshot(lake, world.use_case)
    first = released(world, snapshot, "first")
    move_on(world)
    assert released(world, snapshot, "again") == first
    newest = training.snapshot(lake, world.use_case, through=START + 5 * WEEK)
    assert newest["versions"] != snapshot["versions"]
    model, release = released(replace(world), newest, "newest")
    assert (model != first[0], release != first[1]) == (True, True)
