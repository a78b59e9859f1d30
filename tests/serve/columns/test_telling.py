"""What is logged by column is what would be logged by row; so is what the client gets."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from everloop.decide.release.state import ReleaseState, Stage
from everloop.release import Bundle
from everloop.serve.answering import answer as answering
from everloop.serve.answering.answer import answer
from everloop.serve.answering.batch import Answered, Batch
from everloop.serve.columns.featured import features
from everloop.serve.features.store import OnlineStore
from everloop.serve.features.vectors import Vectors
from everloop.serve.follower import Serving
from everloop.serve.log.columnar import columns as framed
from everloop.serve.log.frames import scan
from everloop.serve.log.record import Record
from everloop.serve.release import LoadedRelease, Loader
from everloop.serve.request import Request
from serve.world import USE_CASE, bundle, row

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 150


class Bundles:
    """A release store of two."""

    def __init__(self, *bundles: Bundle) -> None:
        self._bundles = {one.id: one for one in bundles}

    def get(self, release: str) -> Bundle:
        return self._bundles[release]


FAILING = "def clock(columns):\n    return 1 / 0\n"
ONE, TWO, BROKEN = bundle(1), bundle(2), bundle(3, functions=FAILING)
LOADER = Loader(Bundles(ONE, TWO, BROKEN), OnlineStore("postgresql://127.0.0.1:1/none", lambda *_: None), "xgboost")


@pytest.fixture(scope="module")
def releases() -> Mapping[str, LoadedRelease]:
    return {one.id: LOADER.load(one.id, USE_CASE) for one in (ONE, TWO, BROKEN)}


def request(serving: Serving, as_arrow: bool, explain: bool) -> Request:
    rows = [
        row(f"t{n}", carrier=("AA", "B6", "ZZ")[n % 3], flight=n % 5, distance=None if n % 7 else n * 1.5) for n in range(ROWS)
    ]
    block = serving.champion.reader.rows(rows, "rows[{}].", NOW)
    if as_arrow:
        # What came as JSON, handed in as a table.
        named = {"key": block.keys, "event_timestamp": pa.array(list(block.as_of), pa.timestamp("us", "UTC")), **block.request}
        block = serving.champion.columns.block(pa.table(named), NOW, 10**9)
        assert isinstance(block.request["carrier"], pa.Array)
    return Request("r1", serving, block, explain, NOW, time.perf_counter())


def vectors() -> Vectors:
    columns: dict[str, list[Any]] = {
        "delays__rate": [0.3, None] * 75,
        "weather__temp": [1.0] * ROWS,
        "weather__wind": [None] * ROWS,
    }
    return Vectors(columns, [("missing:weather",) if n % 4 else () for n in range(ROWS)])


def rows_of(answered: Answered) -> list[dict[str, Any]]:
    """What the shipper would make of the log, whichever its form."""
    if answered.records:
        return [msgspec.json.decode(msgspec.json.encode(record)) for record in answered.records]
    found = []
    for frame in scan(b"".join(map(framed, answered.columns))).frames:
        table = pa.ipc.open_stream(pa.py_buffer(frame.payload)).read_all()
        texts = features(table).to_pylist()
        plain = table.select([name for name in Record.__struct_fields__ if name != "features"]).to_pylist()
        found += [
            msgspec.json.decode(msgspec.json.encode(one)) | {"features": msgspec.json.decode(text)}
            for one, text in zip(plain, texts, strict=True)
        ]
    return sorted(found, key=lambda one: one["row_number"])


def without_time(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in one.items() if name != "latency_ms"} for one in rows]


CANARY = ReleaseState(champion=ONE.id, challenger=TWO.id, rollout="r", stage=Stage.CANARY, weight=0.4)
STATES = {
    "one release": (ReleaseState(champion=ONE.id), None),
    "a canary": (CANARY, TWO.id),
    "a canary whose challenger fails": (replace(CANARY, challenger=BROKEN.id), BROKEN.id),
    "a challenger that is not loaded": (CANARY, None),
    "a champion that fails": (ReleaseState(champion=BROKEN.id), None),
    "a champion that fails in a canary": (replace(CANARY, champion=BROKEN.id), TWO.id),
    "a champion that fails beside a challenger that is not loaded": (replace(CANARY, champion=BROKEN.id, weight=0.0), None),
    "both fail": (replace(CANARY, champion=BROKEN.id, challenger=BROKEN.id), BROKEN.id),
}


@pytest.mark.parametrize("explain", [False, True])
@pytest.mark.parametrize("as_arrow", [False, True])
@pytest.mark.parametrize("what", STATES)
def test_by_column_and_by_row_the_same_is_logged_and_answered(
    releases: Mapping[str, LoadedRelease], monkeypatch: pytest.MonkeyPatch, what: str, as_arrow: bool, explain: bool
) -> None:
    state, trial = STATES[what]
    serving = Serving(1, state, releases[state.champion or ""], releases[trial] if trial else None, None)
    asked = request(serving, as_arrow, explain)
    ours = answer(Batch.of([asked]), vectors(), vectors() if trial else None)
    assert ours.columns
    monkeypatch.setattr(answering, "FEW", 10**9)
    theirs = answer(Batch.of([asked]), vectors(), vectors() if trial else None)
    assert theirs.records
    assert without_time(rows_of(ours)) == without_time(rows_of(theirs))
    assert ours.answers == theirs.answers
    assert ours.troubled == theirs.troubled
    assert [one.names for one in ours.shadowed] == [one.names for one in theirs.shadowed]


@pytest.mark.parametrize("few", [1, 10**9])
def test_that_a_release_is_not_loaded_says_nothing_of_rows_that_got_no_answer(
    releases: Mapping[str, LoadedRelease], monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(answering, "FEW", few)
    for champion, told in ((ONE, {(TWO.id, True)}), (BROKEN, {(None, False)})):
        state = ReleaseState(champion=champion.id, challenger=TWO.id, rollout="r", stage=Stage.SHADOW)
        asked = request(Serving(1, state, releases[champion.id]), False, False)
        found = rows_of(answer(Batch.of([asked]), vectors(), None))
        sampled = [one for one in found if one["shadow_release"] or not one["error"]]
        marks = {(one["shadow_release"], "shadow_failed" in one["flags"]) for one in found}
        assert marks == told
        assert bool(sampled) is (champion is ONE)


def test_values_that_no_column_holds_are_logged_by_row() -> None:
    odd = bundle(4, functions='def clock(columns):\n    return {"minute": [1, None] * (len(columns["departs"]) // 2)}\n')
    loaded = Loader(Bundles(odd), OnlineStore("postgresql://127.0.0.1:1/none", lambda *_: None), "xgboost").load(odd.id, USE_CASE)
    given = vectors()
    given.columns["weather__wind"][0] = 2**70
    serving = Serving(1, ReleaseState(champion=odd.id), loaded)
    answered = answer(Batch.of([request(serving, True, False)]), given, None)
    assert not answered.columns
    assert len(answered.records) == ROWS
