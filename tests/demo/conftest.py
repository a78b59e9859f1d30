"""Fixtures of the demo's tests."""

from __future__ import annotations

import pytest

from demo.stage import Clock, Stage
from everloop.demo import airline, loop_watch, narrator, weeks
from fakes.s3 import s3_server

__all__ = ["s3_server"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (loop_watch, narrator, weeks):
        monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def stage(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A loop whose rows arrive by `airline.arrive` and are ingested and monitored at once, unless a test says otherwise."""
    made = Stage(clock)

    def arrive(uri: str, landing: str, week: object, endpoint: object) -> None:
        made.ingest(week)  # type: ignore[arg-type]
        made.monitor(week)  # type: ignore[arg-type]

    monkeypatch.setattr(airline, "arrive", arrive)
    return made
