from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from everloop.demo import narrator
from everloop.demo.narrator import LOOK, Narrator
from everloop.errors import StackError


class Clock:
    """A clock that moves while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(narrator, "time", SimpleNamespace(monotonic=lambda: made.now, sleep=made.sleep))
    return made


def told(out: io.StringIO) -> Narrator:
    return Narrator(Console(file=out, width=200, highlight=False))


def test_it_waits_as_long_as_anything_moves(clock: Clock) -> None:
    out = io.StringIO()
    told(out).wait("The training", lambda: clock.now > 5_000, lambda: clock.now // 90, patience=100)
    assert clock.now > 5_000


def test_each_new_state_is_told_and_counts_as_a_move(clock: Clock) -> None:
    out = io.StringIO()
    told(out).wait("The backfill", lambda: clock.now > 400 or f"{clock.now // 100:.0f} of 4", patience=110 + LOOK)
    assert [line.split("  ")[-1] for line in out.getvalue().splitlines()] == ["0 of 4", "1 of 4", "2 of 4", "3 of 4", "4 of 4"]


def test_when_nothing_moves_it_gives_up_and_says_what_it_saw_last(clock: Clock) -> None:
    with pytest.raises(
        StackError, match=r"The ingest: nothing has moved for 2 minutes \(last seen: half\); see `everloop status`"
    ):
        told(io.StringIO()).wait("The ingest", lambda: "half", lambda: 1, patience=120)
    assert 120 < clock.now < 140


def test_what_is_done_already_is_not_waited_for(clock: Clock) -> None:
    told(io.StringIO()).wait("Nothing", lambda: True, lambda: pytest.fail("nobody asks what moves"))
    assert clock.now == 0


def test_chapters_keep_when_they_began(clock: Clock) -> None:
    out = io.StringIO()
    tell = told(out)
    clock.now += 75
    tell.chapter("Summer")
    assert tell.chapters == {"Summer": 75.0}
    assert out.getvalue() == "\n 1:15  Summer\n"
