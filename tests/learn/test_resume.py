"""A training process that is ended by kill -9, run again in the same folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from everloop.decide.policy import TrainingPolicy
from everloop.learn.checkpoint import CHECKPOINT
from everloop.learn.job import TRAINED, Job, Trained, ask, give, read
from everloop.release import MODEL
from everloop.settings import PROJECT

SLOW = TrainingPolicy(
    rounds=30,
    early_stopping=30,
    checkpoint_rounds=3,
    parameters={"max_depth": 3, "learning_rate": 0.1, "subsample": 0.7, "colsample_bytree": 0.7},
)
HELD = """
import sys, time
from pathlib import Path
from everloop.learn import fit, train

def hold(number, loss):
    if number == {last}:
        Path({here!r}).touch()
        time.sleep(60)

real = train.fit
train.fit = lambda *a, **k: real(*a, **k, told=hold)
train.main(Path(sys.argv[1]))
"""
"""The training process, but that it waits to be killed after one round."""


def start(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "plugins")}
    return subprocess.Popen([sys.executable, *command, str(folder)], env=environment, start_new_session=True)


def killed_after(folder: Path, last: int) -> None:
    here = folder / f"round-{last}"
    process = start(folder, "-c", HELD.format(last=last, here=str(here)))
    until = time.monotonic() + 60
    while not here.exists():
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    here.unlink()


@pytest.fixture(scope="module")
def slow(job: Job) -> Job:
    return replace(job, policy=SLOW)


@pytest.fixture(scope="module")
def uninterrupted(examples, slow: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    give(folder, examples.to_batches())
    ask(folder, slow)
    assert start(folder, "-m", "everloop.learn.train").wait() == 0
    return folder


@pytest.mark.parametrize("external", [False, True])
def test_a_process_killed_at_several_rounds_makes_the_same_model(
    uninterrupted: Path, laid_out, slow: Job, external: bool
) -> None:
    folder = laid_out(replace(slow, external=external))
    for last in (1, 11, 29):
        killed_after(folder, last)
        assert (folder / CHECKPOINT).exists() == (last > 3)
    assert start(folder, "-m", "everloop.learn.train").wait() == 0

    assert (folder / MODEL).read_bytes() == (uninterrupted / MODEL).read_bytes()
    ours, theirs = (read(place, TRAINED, Trained) for place in (folder, uninterrupted))
    assert replace(ours, seconds=0) == replace(theirs, seconds=0)
    assert not (folder / CHECKPOINT).exists()


def test_a_checkpoint_of_other_rows_is_not_gone_on_from(uninterrupted: Path, examples, laid_out, slow: Job) -> None:
    folder = laid_out(slow)
    killed_after(folder, 11)
    give(folder, examples.slice(1).to_batches())
    assert start(folder, "-m", "everloop.learn.train").wait() == 0
    assert (folder / MODEL).read_bytes() != (uninterrupted / MODEL).read_bytes()
    give(folder, examples.to_batches())
    assert start(folder, "-m", "everloop.learn.train").wait() == 0
    assert (folder / MODEL).read_bytes() == (uninterrupted / MODEL).read_bytes()
