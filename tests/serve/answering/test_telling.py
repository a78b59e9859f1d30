"""What is told of the champion alone is what is told of two releases of which one had nothing to say."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from everloop.decide.release.state import ReleaseState, Stage
from everloop.serve.answering import telling
from everloop.serve.answering.answer import answer
from everloop.serve.answering.batch import Answered, Batch, Spoken
from everloop.serve.follower import Serving
from everloop.serve.request import Request
from serve.answering.test_ticks import loaded
from serve.world import row

NOW = datetime(2013, 4, 1, 12, tzinfo=UTC)
CHAMPION, OTHER = loaded(1), loaded(2)
STATES = {
    "no trial": (ReleaseState(champion=CHAMPION.id), None),
    "a shadow": (ReleaseState(champion=CHAMPION.id, challenger=OTHER.id, rollout="r", stage=Stage.SHADOW), OTHER),
}


def requests(serving: Serving, explain: bool) -> list[Request]:
    rows = [row(f"k{n}", distance=50.0 * n, flight=n, carrier="ZZ" if n == 2 else "AA") for n in range(6)]
    parts = [rows[:1], rows[1:4], rows[4:]]
    blocks = [CHAMPION.reader.rows(part, "rows[{}].", NOW) for part in parts]
    return [Request(f"r{n}", serving, block, explain, NOW, time.perf_counter()) for n, block in enumerate(blocks)]


def logged(answered: Answered) -> list[dict[str, Any]]:
    return [{**msgspec.to_builtins(record), "latency_ms": None} for record in answered.records]


@pytest.mark.parametrize("explain", [False, True])
@pytest.mark.parametrize("what", STATES)
def test_the_short_way_of_telling_says_the_same(monkeypatch: pytest.MonkeyPatch, what: str, explain: bool) -> None:
    state, trial = STATES[what]
    serving = Serving(1, state, CHAMPION, trial)
    asked = requests(serving, explain)

    def told() -> Answered:
        batch = Batch.of(asked)
        vectors = CHAMPION.features.cached(batch.block)
        assert vectors is not None
        return answer(batch, vectors, None)

    short = told()
    long_way = telling._Telling
    monkeypatch.setattr(telling, "_told_of_one", lambda batch, first: long_way(batch, Spoken(first, None, set())).told())
    long = told()
    assert short.answers == long.answers
    assert logged(short) == logged(long)
    assert [one.names for one in short.shadowed] == [one.names for one in long.shadowed]
    assert any("unknown_category:carrier" in record.flags for record in short.records)
    assert any("warn:flight:expect_column_values_to_be_in_set" in record.flags for record in short.records)
