from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.learn.checkpoint import CHECKPOINT, Checkpoint, Progress

HALF = Progress(model=b"\x00trees" * 40, losses=(0.6, 0.5, 0.55))


def test_what_is_kept_comes_back_exactly(tmp_path: Path) -> None:
    Checkpoint(tmp_path, "this fit").save(HALF)
    assert Checkpoint(tmp_path, "this fit").load() == HALF
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_the_checkpoint_of_another_fit_counts_for_nothing(tmp_path: Path) -> None:
    Checkpoint(tmp_path, "another fit").save(HALF)
    assert Checkpoint(tmp_path, "this fit").load() == Progress()


@pytest.mark.parametrize("place", [0, 63, 64, 100, -1])
def test_a_changed_byte_anywhere_and_it_counts_for_nothing(tmp_path: Path, place: int) -> None:
    Checkpoint(tmp_path, "this fit").save(HALF)
    content = bytearray((tmp_path / CHECKPOINT).read_bytes())
    content[place] ^= 1
    (tmp_path / CHECKPOINT).write_bytes(content)
    assert Checkpoint(tmp_path, "this fit").load() == Progress()


@pytest.mark.parametrize("size", [0, 10, 64, 200])
def test_a_file_that_was_cut_counts_for_nothing(tmp_path: Path, size: int) -> None:
    Checkpoint(tmp_path, "this fit").save(HALF)
    (tmp_path / CHECKPOINT).write_bytes((tmp_path / CHECKPOINT).read_bytes()[:size])
    assert Checkpoint(tmp_path, "this fit").load() == Progress()


def test_clearing_forgets_it_and_may_run_twice(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, "this fit")
    checkpoint.save(HALF)
    for _ in range(2):
        checkpoint.clear()
    assert checkpoint.load() == Progress()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 10), st.integers(1, 40))
def test_a_fit_is_over_at_its_last_round_or_when_nothing_got_better_for_long(
    losses: list[float], patience: int, rounds: int
) -> None:
    progress = Progress(losses=tuple(losses))
    stale = len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])
    assert progress.over(rounds, patience) == (len(losses) >= rounds or stale)
    assert losses[progress.best] == min(losses)
    assert min(losses) not in losses[: progress.best]
