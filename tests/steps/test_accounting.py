"""The accounts of ingestion: they add up, survive every repetition, and tell when the lake holds something else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.steps import accounting
from fakes.readings import DAYS, NOW, World, row


def told(world: World) -> list[str]:
    return [line for statement in accounting.reconcile(world.lake, world.accounts, world.use_case) for line in statement.lines()]


def problems(world: World) -> list[str]:
    found = accounting.reconcile(world.lake, world.accounts, world.use_case)
    return [problem for statement in found for problem in statement.problems]


def broken() -> World:
    world = World()
    world.hold(row(1, 0), row(2, 0, "500"), row(3, 0, "high"), row(4, 1), days=2)
    world.ingest()
    return world


def test_rows_in_are_rows_published_and_rows_put_aside() -> None:
    [quiet, _, first, second] = broken().accounts.read("tides")
    assert (first.rows_in, first.published, first.quarantined, first.run) == (3, 1, 2, "run")
    assert (second.rows_in, second.published, second.quarantined) == (1, 1, 0)
    assert (quiet.table, quiet.rows_in, quiet.at > NOW) == ("quiet", 0, True)


def test_the_accounts_are_told_by_unbroken_row_of_intervals() -> None:
    world = broken()
    world.hold(row(9, 3), days=4)
    world.ingest([DAYS[3]])
    assert told(world)[:2] == [
        "readings  2013-01-01T0000 to 2013-01-02T0000  2 intervals  4 rows in = 2 published + 2 quarantined (0 repaired)",
        "readings  2013-01-04T0000 to 2013-01-04T0000  1 intervals  1 rows in = 1 published + 0 quarantined (0 repaired)",
    ]
    assert problems(world) == []


def test_ingesting_again_leaves_one_account() -> None:
    world = broken()
    world.ingest(DAYS[:2], run="again")
    assert [account.run for account in world.accounts.read("tides")] == ["again"] * 4
    assert problems(world) == []


def test_rows_that_are_lost_or_too_many_are_told_by_interval() -> None:
    world = broken()
    world.lake.replace("readings", world.lake.read("readings").slice(0, 0), DAYS[0])
    world.lake.replace("readings_quarantine", world.lake.read("readings_quarantine").slice(0, 1), DAYS[0])
    assert problems(world) == [
        "readings 2013-01-01T0000: the account says 1 rows published, the lake holds 0",
        "readings 2013-01-01T0000: the account says 2 rows quarantined, the lake holds 1",
    ]


def test_an_interval_without_account_after_one_that_has_it_is_told() -> None:
    world = broken()
    world.lake.replace("readings", world.lake.read("readings", interval=DAYS[1]), DAYS[2])
    assert problems(world) == [
        "readings 2013-01-03T0000: the lake holds 1 rows published and 0 quarantined, and there is no account: "
        "ingest the interval again"
    ]


def test_a_lake_from_before_accounts_is_said_to_be_one() -> None:
    world = broken()
    world.accounts._accounts.clear()
    assert problems(world) == []
    assert told(world)[0] == (
        "readings  2013-01-01T0000 to 2013-01-02T0000  2 intervals, published before accounts were kept: "
        "ingest them again to have theirs"
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["1.0", "500", "high", None])), min_size=1, max_size=12))
def test_accounts_add_up_whatever_comes(rows: list[tuple[int, str | None]]) -> None:
    world = World()
    world.hold(row(99, 0), *(row(1000 + n, 0) for n in range(2)), *(row(number, 0, level) for number, level in rows), days=1)
    world.ingest()
    [account] = [account for account in world.accounts.read("tides") if account.table == "readings"]
    assert account.rows_in == 3 + len(rows)
    assert problems(world) == []
