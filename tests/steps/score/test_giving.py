"""Predictions given back: into tables and as files, once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from everloop.errors import ConfigurationError
from everloop.steps import score
from everloop.use_case import Files, UseCase, WriteBack
from fakes.destination import MemoryDestination
from fakes.outbox import MemoryOutbox
from fakes.taxi import DAYS, TAXI
from steps.score.conftest import World

TABLE = WriteBack(connection="shop", table="late_trips")
NAME = "taxi/interval=2013-01-02T0000/predictions"


def giving(*places: Any) -> UseCase:
    return replace(TAXI, write_back=places[0] if len(places) == 1 else places)


@pytest.mark.parametrize("places", [(TABLE,), (Files(), TABLE), (TABLE, WriteBack(connection="shop", table="copy"))])
def test_predictions_go_back_once_by_key(world: World, ids: dict[str, str], places: tuple[Any, ...]) -> None:
    world.promote(ids["new"])
    world.run()
    destination, use_case = MemoryDestination(), giving(*places)
    tables = [one.table for one in use_case.tables_back]
    for _ in range(2):
        assert score.write_back(world.lake, destination, use_case, DAYS[1]) == {"rows": 2, "tables": tables}
    for table in tables:
        assert destination.rows("shop", table) == world.predictions


def test_predictions_are_laid_down_as_one_file_an_interval_whose_name_no_run_decides(world: World, ids: dict[str, str]) -> None:
    outbox, use_case = MemoryOutbox(), giving(Files(), TABLE, Files(place="/elsewhere", format="csv"))
    for champion in ("old", "new"):
        world.promote(ids[champion])
        world.run(run=champion)
        told = score.write_files(world.lake, outbox, use_case, DAYS[1])
        assert told == {"rows": 2, "files": [f"outbox/{NAME}.parquet", f"/elsewhere/{NAME}.csv"]}
    assert {place: list(files) for place, files in outbox.files.items()} == {
        "outbox": [f"{NAME}.parquet"],
        "/elsewhere": [f"{NAME}.csv"],
    }
    assert outbox.files["outbox"][f"{NAME}.parquet"].to_pylist() == world.predictions


def test_an_interval_that_was_scored_and_is_empty_has_an_empty_file(world: World, ids: dict[str, str]) -> None:
    outbox = MemoryOutbox()
    world.promote(ids["new"])
    world.run()
    score.write_files(world.lake, outbox, giving(Files()), DAYS[1])
    world.drive()
    world.run()
    assert score.write_files(world.lake, outbox, giving(Files()), DAYS[1])["rows"] == 0
    [rows] = outbox.files["outbox"].values()
    assert (rows.num_rows, rows.column_names) == (0, ["key", "score", "decision", "release", "as_of"])


def test_before_any_prediction_nothing_is_given(world: World) -> None:
    destination, outbox = MemoryDestination(), MemoryOutbox()
    assert score.write_back(world.lake, destination, giving(TABLE), DAYS[0])["rows"] == 0
    assert score.write_files(world.lake, outbox, giving(Files()), DAYS[0]) == {"rows": 0, "files": []}
    assert (destination.tables, outbox.files) == ({}, {})


def test_a_use_case_without_a_destination_is_told(world: World) -> None:
    with pytest.raises(ConfigurationError, match="no write_back of this kind: name a WriteBack"):
        score.write_back(world.lake, MemoryDestination(), giving(Files()), DAYS[1])
    with pytest.raises(ConfigurationError, match="no write_back of this kind: name a Files"):
        score.write_files(world.lake, MemoryOutbox(), TAXI, DAYS[1])


def test_what_is_wrong_with_files_and_parts_is_told_with_the_rest() -> None:
    with pytest.raises(ConfigurationError) as told:
        giving(TABLE, Files(place="here", format="xlsx"))
    assert 'Files.format is "xlsx"' in str(told.value)
    assert 'Files.place is "here"' in str(told.value)
