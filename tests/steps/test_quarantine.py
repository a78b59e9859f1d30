"""Rows put aside: listed, shown, repaired; and repairs that outlive the interval being read again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.errors import DataError
from everloop.steps import accounting, quarantine
from everloop.steps.quarantine import Shelf
from fakes.readings import DAYS, READINGS, World, row

REASON = "read off the paper log"


@pytest.fixture
def world() -> World:
    found = World()
    found.hold(row(1, 0), row(2, 0, "500"), row(3, 0, "high"), row(4, 0), row(4, 0), row(5, 1, "600"), row(6, 1))
    found.ingest()
    return found


def shown(world: World, **which: Any) -> list[dict[str, Any]]:
    return quarantine.shown(world.lake, world.use_case, "readings", **which).to_pylist()


def repair(world: World, rows: list[dict[str, Any]]) -> dict[str, Any]:
    schema = pa.schema(
        [
            ("_row", pa.string()),
            ("id", pa.int64()),
            ("level", pa.float64()),
            ("at", pa.timestamp("us", "UTC")),
            ("_problem", pa.string()),
        ]
    )
    table = pa.Table.from_pylist([{"_problem": None, **row} for row in rows], schema=schema)
    ports = (world.lake, world.checks, world.accounts, world.ledger, world.use_case)
    return quarantine.repair(*ports, "readings", table, actor="ann", reason=REASON, now=world.now)


def mended(world: World, levels: dict[int, float], **which: Any) -> list[dict[str, Any]]:
    return [{**row, "level": levels[row["id"]]} for row in shown(world, **which) if row["id"] in levels]


def adds_up(world: World) -> bool:
    return not any(s.problems for s in accounting.reconcile(world.lake, world.accounts, world.use_case))


def test_what_is_in_quarantine_is_listed_by_table_and_interval_with_the_broken_rules(world: World) -> None:
    assert quarantine.listed(world.lake, world.use_case) == [
        Shelf(table="readings", interval=DAYS[0], rows=3, rules={"contract": 1, "low(level)": 1, "unique_key(id)": 1}),
        Shelf(table="readings", interval=DAYS[1], rows=1, rules={"low(level)": 1}),
    ]


def test_an_empty_quarantine_lists_and_shows_nothing() -> None:
    world = World()
    world.hold(row(1, 0), days=1)
    world.ingest()
    assert quarantine.listed(world.lake, world.use_case) == []
    assert shown(world) == []


def test_rows_are_shown_with_their_values_reasons_and_an_identity_each(world: World) -> None:
    rows = {row["id"]: row for row in shown(world)}
    assert (rows[2]["level"], rows[2]["_expectations"]) == (500.0, ["low(level)"])
    assert (rows[3]["level"], rows[3]["_expectations"]) == (None, ["contract(level: 'high' is not of type float)"])
    assert len({row["_row"] for row in rows.values()}) == 4
    assert [row["id"] for row in shown(world, interval=DAYS[1].start)] == [5]
    assert [row["id"] for row in shown(world, rule="contract")] == [3]


def test_mended_rows_are_published_and_the_accounts_add_up(world: World) -> None:
    report = repair(world, mended(world, {2: 5.0, 3: 7.0}))
    assert report == {"published": 2, "quarantined": 0, "unchanged": 0, "intervals": ["2013-01-01T0000"]}
    assert world.levels() == {1: 1.0, 2: 5.0, 3: 7.0, 4: 1.0, 6: 1.0}
    assert world.reasons() == {4: ["unique_key(id)"], 5: ["low(level)"]}
    [account] = [a for a in world.accounts.read("tides", intervals=DAYS[:1]) if a.table == "readings"]
    assert (account.rows_in, account.published, account.quarantined, account.repaired) == (5, 4, 1, 2)
    assert adds_up(world)


def test_a_repair_is_on_record_with_who_and_why(world: World) -> None:
    repair(world, mended(world, {2: 5.0}))
    [entry] = world.ledger.entries("tides", action="repaired")
    assert (entry.actor, entry.reason, entry.subject) == ("ann", REASON, "readings 2013-01-01T0000")
    assert entry.evidence["published"] == 1


def test_a_repair_outlives_the_interval_being_read_again(world: World) -> None:
    repair(world, mended(world, {2: 5.0, 3: 7.0}))
    before = world.lake.read("readings").to_pylist(), world.reasons()
    assert world.ingest() == DAYS[:1]  # opened by the repair, for its features
    assert (world.lake.read("readings").to_pylist(), world.reasons()) == before
    assert world.accounts.read("tides", intervals=DAYS[:1])[1].repaired == 2
    assert world.pending() == []
    assert adds_up(world)


def test_a_row_that_the_source_corrects_itself_needs_its_repair_no_more(world: World) -> None:
    repair(world, mended(world, {2: 5.0}))
    world.hold(row(1, 0), row(2, 0, "6.0"), row(5, 1, "600"), row(6, 1))
    world.ingest(DAYS[:1], run="corrected")
    assert world.levels()[2] == 6.0
    assert adds_up(world)


def test_what_still_breaks_a_rule_stays_with_its_new_reasons_and_may_be_mended_again(world: World) -> None:
    assert repair(world, mended(world, {3: 700.0}))["quarantined"] == 1
    assert world.reasons()[3] == ["low(level)"]
    assert repair(world, mended(world, {3: 7.0}))["published"] == 1
    assert world.levels()[3] == 7.0
    world.ingest(DAYS[:1], run="again")
    assert world.levels()[3] == 7.0
    assert world.lake.read("readings_repairs").num_rows == 1
    assert adds_up(world)


def test_of_equal_rows_each_repair_takes_one() -> None:
    world = World()
    world.hold(row(1, 0), row(4, 0), row(4, 0), row(4, 0), row(9, 0, "500"), days=1)
    world.ingest()
    first, second = (row for row in shown(world) if row["id"] == 4)
    repair(world, [{**first, "id": 41}, {**second, "id": 42}])
    assert sorted(world.levels()) == [1, 4, 41, 42]
    world.ingest(DAYS[:1], run="again")
    assert sorted(world.levels()) == [1, 4, 41, 42]
    assert adds_up(world)


def test_rows_that_are_as_they_were_are_left_alone(world: World) -> None:
    before = world.lake.version("readings_quarantine")
    assert repair(world, shown(world)) == {"published": 0, "quarantined": 0, "unchanged": 4, "intervals": []}
    assert world.lake.version("readings_quarantine") == before
    assert world.ledger.entries("tides") == []


def test_the_same_file_may_be_taken_twice(world: World) -> None:
    rows = mended(world, {2: 5.0, 3: 7.0})
    repair(world, rows)
    assert repair(world, rows)["unchanged"] == 2


def test_a_row_that_does_not_parse_or_was_never_put_aside_refuses_the_whole_file(world: World) -> None:
    good, other = mended(world, {2: 5.0, 3: 7.0})
    with pytest.raises(DataError, match=r"(?s)row abc is not in quarantine.*level: 'x' is not of type float"):
        repair(world, [good, {**other, "_row": "abc"}, {**other, "_problem": "level: 'x' is not of type float"}])
    assert world.levels() == {1: 1.0, 4: 1.0, 6: 1.0}


def test_a_mended_row_that_blocks_changes_nothing(world: World) -> None:
    with pytest.raises(DataError, match="sane"):
        repair(world, mended(world, {2: 5000.0}))
    assert world.levels() == {1: 1.0, 4: 1.0, 6: 1.0}
    assert world.pending() == []
    assert "readings_repairs" not in world.lake.tables()


def test_killed_after_the_repairs_were_kept_the_next_ingestion_finishes(world: World) -> None:
    class Killed(BaseException):
        pass

    class Dying(type(world.lake)):  # type: ignore[misc]
        def replace(self, table: str, *rest: Any) -> int:
            if table != "readings_repairs":
                raise Killed
            return super().replace(table, *rest)

    world.lake.__class__ = Dying
    with pytest.raises(Killed):
        repair(world, mended(world, {2: 5.0}))
    world.lake.__class__ = Dying.__mro__[1]
    world.ingest()
    assert world.levels()[2] == 5.0
    assert adds_up(world)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(["1.0", "500", "600", "high", None]), min_size=1, max_size=6),
    st.lists(st.sampled_from([1.0, 2.0, 700.0]), min_size=6, max_size=6),
)
def test_reading_again_gives_what_the_repair_gave(levels: list[str | None], edits: list[float]) -> None:
    world = World(replace(World().use_case, sources=(replace(READINGS, quarantine_limit=1.0),)))
    world.hold(*(row(n // 2, 0, level) for n, level in enumerate(levels)), row(9, 0), days=1)
    world.ingest()
    repair(world, [{**old, "level": level} for old, level in zip(shown(world), edits, strict=False)])
    published, aside = world.levels(), sorted(map(str, world.lake.read("readings_quarantine").to_pylist()))
    world.ingest(DAYS[:1])
    assert world.levels() == published
    assert [text.partition("'_run'")[0] for text in sorted(map(str, world.lake.read("readings_quarantine").to_pylist()))] == [
        text.partition("'_run'")[0] for text in aside
    ]
    assert adds_up(world)


def test_an_interval_is_named_by_its_start(world: World) -> None:
    assert shown(world, interval=datetime.fromisoformat("2013-01-05T00:00:00+00:00")) == []
