"""Requests of one turn of the event loop are answered together, and none pays for another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from everloop.decide.policy import ServicePolicy
from everloop.decide.release.state import ReleaseState, Stage
from everloop.release import Bundle
from everloop.serve.answering.batch import Answered, Shadowed
from everloop.serve.answering.shadow import Shadows
from everloop.serve.answering.ticks import Ticks
from everloop.serve.features.store import OnlineStore
from everloop.serve.features.vectors import Vectors
from everloop.serve.follower import Serving
from everloop.serve.journal import Journal
from everloop.serve.log.record import Record, ShadowRecord
from everloop.serve.log.segment import PredictionLog
from everloop.serve.observe.passage import Marks
from everloop.serve.problems import Refused
from everloop.serve.release import LoadedRelease, Loader
from everloop.serve.request import Answer, Request
from serve.world import PLAN, USE_CASE, bundle, row

NOW = datetime(2013, 4, 1, 12, tzinfo=UTC)
POISONED = """
def clock(columns):
    if 13.0 in columns["distance"]:
        raise ValueError("unlucky")
    return {"minute": [1 for _ in columns["distance"]]}
"""


SOUND = POISONED.replace("13.0", "-1.0")


class Bundles(dict[str, Bundle]):
    """A release store in memory."""

    def get(self, release: str) -> Bundle:  # type: ignore[override]
        return self[release]


def loaded(seed: int = 1, functions: str = POISONED, shadow_share: float = 1.0, **service: Any) -> LoadedRelease:
    """A release without stored views."""
    made = bundle(seed, functions=functions, service=ServicePolicy(**service), shadow_share=shadow_share)
    clock = replace(PLAN.functions[0], inputs={"distance": "float"})
    made = Bundle(replace(made.manifest, plan=replace(PLAN, views=(), functions=(clock,))), made.files)
    store = OnlineStore("postgresql://nowhere", lambda *_: None)
    return Loader(Bundles({made.id: made}), store, "xgboost").load(made.id, USE_CASE)


class Written(Journal):
    """A journal that remembers what was written, each write apart."""

    def __init__(self, folder: Path) -> None:
        super().__init__(PredictionLog(folder))
        self.writes: list[Sequence[Record]] = []
        self.shadowed: list[ShadowRecord] = []
        self.waited: list[int] = []
        self.full = False

    def rows(self, records: Sequence[Record]) -> int:
        if self.full:
            raise OSError("disk full")
        self.writes.append(records)
        return super().rows(records)

    def shadows(self, records: Sequence[ShadowRecord]) -> None:
        self.shadowed += records

    async def durable(self, position: int) -> None:
        self.waited.append(position)
        await super().durable(position)


class Asking:
    """Ticks at work, and rows to ask them."""

    def __init__(self, folder: Path, champion: LoadedRelease, trial: LoadedRelease | None = None, **state: Any) -> None:
        self.journal = Written(folder)
        self.counted: list[Answered] = []
        self.marks: list[Marks] = []
        self.shed = 0
        self.shadows = Shadows(self.journal.shadows, self._shed)
        self.ticks = Ticks(self.journal, self.shadows, self._count)
        self._serving = Serving(1, ReleaseState(champion=champion.id, **state), champion, trial)

    def _count(self, answered: Answered, marks: Marks) -> None:
        self.counted.append(answered)
        self.marks.append(marks)

    def _shed(self, _use_case: str, rows: int) -> None:
        self.shed += rows

    def request(self, *rows: dict[str, Any], explain: bool = False) -> Request:
        block = self._serving.champion.reader.rows(rows, "rows[{}].", NOW)
        return Request(f"r{time.perf_counter_ns()}", self._serving, block, explain, NOW, time.perf_counter())

    async def together(self, *requests: Request) -> list[Answer | BaseException]:
        return await asyncio.gather(*(self.ticks.answer(request) for request in requests), return_exceptions=True)


def run(use: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(use())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def champion() -> LoadedRelease:
    return loaded()


def scored(answer: Answer | BaseException) -> float:
    assert isinstance(answer, Answer), answer
    assert answer.scores[0] is not None
    return answer.scores[0]


def test_requests_of_one_turn_share_one_write_and_get_what_they_get_alone(tmp_path: Path, champion: LoadedRelease) -> None:
    async def use() -> None:
        asking = Asking(tmp_path, champion)
        requests = [asking.request(row(f"k{n}", distance=100.0 * n)) for n in range(8)]
        together = await asking.together(*requests)
        assert [len(write) for write in asking.journal.writes] == [8]
        for request, answer in zip(requests, together, strict=True):
            (alone,) = await asking.together(request)
            assert scored(alone) == scored(answer)
            assert isinstance(answer, Answer)
            assert (answer.request_id, answer.keys) == (request.id, request.block.keys)

    run(use)


def test_a_request_alone_does_not_wait_for_the_turn(tmp_path: Path, champion: LoadedRelease) -> None:
    async def use() -> None:
        asking = Asking(tmp_path, champion)
        future = asking.ticks.answer(asking.request(row()), alone=True)
        assert future.done()
        (later,) = await asking.together(asking.request(row()))
        assert scored(future.result()) == scored(later)

    run(use)


def test_a_row_that_the_release_cannot_score_fails_its_own_request_alone(tmp_path: Path, champion: LoadedRelease) -> None:
    async def use() -> None:
        asking = Asking(tmp_path, champion)
        good, bad = asking.request(row("good")), asking.request(row("bad", distance=13.0))
        answers = await asking.together(good, bad, asking.request(row("also good")))
        assert scored(answers[0]) == scored(answers[2])
        assert isinstance(answers[1], Answer)
        assert answers[1].scores == [None]
        errors = {record.key: record.error for write in asking.journal.writes for record in write}
        assert errors == {"good": None, "bad": "ValueError: unlucky", "also good": None}

    run(use)


def test_a_challenger_that_fails_on_one_request_answers_the_others(tmp_path: Path, champion: LoadedRelease) -> None:
    async def use() -> None:
        fine = loaded(2, POISONED.replace("13.0", "-13.0"))
        asking = Asking(tmp_path, fine, champion, challenger=champion.id, rollout="r", stage=Stage.CANARY, weight=1.0)
        answers = await asking.together(asking.request(row("good")), asking.request(row("bad", distance=13.0)))
        told = [(answer.arms, answer.releases, answer.flags) for answer in answers if isinstance(answer, Answer)]
        assert told[0][:2] == (["challenger"], [champion.id])
        assert told[1] == (["champion"], [fine.id], [("challenger_failed",)])

    run(use)


def test_explained_requests_do_not_explain_the_others(tmp_path: Path, champion: LoadedRelease) -> None:
    async def use() -> None:
        asking = Asking(tmp_path, champion)
        plain, explained = await asking.together(asking.request(row()), asking.request(row(), explain=True))
        assert scored(plain) == scored(explained)
        assert isinstance(plain, Answer)
        assert isinstance(explained, Answer)
        assert plain.contributions is None
        assert explained.contributions
        assert set(explained.contributions[0]) == {*champion.manifest.columns, "bias"}

    run(use)


def test_many_rows_are_scored_beside_the_loop_and_come_back_in_order(tmp_path: Path, champion: LoadedRelease) -> None:
    async def use() -> None:
        asking = Asking(tmp_path, champion)
        rows = [row(f"k{n}", distance=20.0 + n) for n in range(300)]
        many, one = await asking.together(asking.request(*rows), asking.request(rows[7]))
        assert isinstance(many, Answer)
        assert many.keys == [f"k{n}" for n in range(300)]
        assert many.scores[7] == scored(one)

    run(use)


def test_a_full_disk_refuses_all_and_answers_none(tmp_path: Path, champion: LoadedRelease) -> None:
    async def use() -> None:
        asking = Asking(tmp_path, champion)
        asking.journal.full = True
        for answer in await asking.together(asking.request(row()), asking.request(row())):
            assert isinstance(answer, Refused)
            assert (answer.status, answer.problems[0].field) == (503, "prediction log")
        assert asking.counted == []

    run(use)


def test_with_a_durable_log_an_answer_waits_for_the_disk(tmp_path: Path) -> None:
    async def use() -> None:
        asking = Asking(tmp_path, loaded(durable_log=True))
        await asking.together(asking.request(row("a")), asking.request(row("b")))
        assert asking.journal.waited == [asking.journal.log.position]
        assert asking.journal.log.synced == asking.journal.log.position

    run(use)


def test_shadow_scores_come_after_the_answer_and_are_those_of_the_other_release(tmp_path: Path, champion: LoadedRelease) -> None:
    async def use() -> None:
        other = loaded(2)
        asking = Asking(tmp_path, champion, other, challenger=other.id, rollout="r", stage=Stage.SHADOW)
        requests = [asking.request(row(f"k{n}", distance=100.0 * n)) for n in range(5)]
        await asking.together(*requests)
        assert asking.journal.shadowed == []
        await asking.shadows.finish()
        beside = Asking(tmp_path, other)
        for request, shadow in zip(requests, asking.journal.shadowed, strict=True):
            (answer,) = await beside.together(request)
            expected = other.score(request.block, other.features.cached(request.block)).scores[0]  # type: ignore[arg-type]
            assert (shadow.request_id, shadow.shadow_release, shadow.shadow_score) == (request.id, other.id, expected)
            assert scored(answer) != expected

    run(use)


def test_a_shadow_that_fails_is_logged_as_failed(tmp_path: Path, champion: LoadedRelease) -> None:
    async def use() -> None:
        broken = loaded(2, "def clock(columns):\n    raise KeyError('x')\n")
        asking = Asking(tmp_path, champion, broken, challenger=broken.id, rollout="r", stage=Stage.SHADOW)
        await asking.together(asking.request(row()))
        await asking.shadows.finish()
        assert [(s.shadow_score, s.error) for s in asking.journal.shadowed] == [(None, "KeyError: 'x'")]

    run(use)


@pytest.mark.parametrize(
    ("stage", "weight", "asked"),
    [(Stage.SHADOW, 0.0, True), (Stage.CANARY, 1e-9, True), (Stage.WATCH, 0.0, True), (Stage.CHECK, 0.0, False)],
)
def test_what_the_champion_fails_on_is_asked_of_the_other_release_whatever_the_sample(
    tmp_path: Path, stage: Stage, weight: float, asked: bool
) -> None:
    async def use() -> None:
        unlucky, other = loaded(1, shadow_share=0.0), loaded(2, SOUND, shadow_share=0.0)
        named = {"previous": other.id} if stage is Stage.WATCH else {"challenger": other.id}
        asking = Asking(tmp_path, unlucky, other, **named, rollout="r", stage=stage, weight=weight)
        good, bad = asking.request(row("a", distance=7.0)), asking.request(row("b", distance=13.0))
        answers = await asking.together(good, bad)
        assert [answer.scores[0] is None for answer in answers if isinstance(answer, Answer)] == [False, True]
        assert asking.journal.shadowed == []  # nobody waited for it
        await asking.shadows.finish()
        found = [(s.request_id, s.shadow_release, s.shadow_score is None, s.error) for s in asking.journal.shadowed]
        assert found == ([(bad.id, other.id, False, None)] if asked else [])

    run(use)


def test_what_the_champion_fails_on_and_the_shadow_has_no_room_for_is_let_go(tmp_path: Path) -> None:
    async def use() -> None:
        unlucky, other = loaded(1, shadow_share=0.0), loaded(2, SOUND, shadow_share=0.0)
        asking = Asking(tmp_path, unlucky, other, challenger=other.id, rollout="r", stage=Stage.SHADOW)
        asking.shadows._maximum = 0
        await asking.together(asking.request(row("b", distance=13.0)))
        await asking.shadows.finish()
        assert (asking.shed, asking.journal.shadowed) == (1, [])

    run(use)


@pytest.mark.parametrize(("functions", "asked"), [(SOUND, ["champion"]), (POISONED, [])])
def test_where_the_challenger_failed_on_the_same_request_nothing_is_left_to_ask(
    tmp_path: Path, functions: str, asked: list[str]
) -> None:
    """Rows of both arms in one request, one of them unlucky: the champion fails on its own, the challenger on its own or not."""

    async def use() -> None:
        unlucky, other = loaded(1, shadow_share=0.0), loaded(2, functions, shadow_share=0.0)
        asking = Asking(tmp_path, unlucky, other, challenger=other.id, rollout="r", stage=Stage.CANARY, weight=0.5)
        request = asking.request(*(row(f"k{n}", flight=n, distance=13.0) for n in range(20)))
        await asking.together(request)
        await asking.shadows.finish()
        (written,) = asking.journal.writes
        own = [record.row_number for record in written if record.arm == "champion"]
        assert 0 < len(own) < 20
        assert [s.row_number for s in asking.journal.shadowed] == (own if asked else [])
        assert {s.shadow_release for s in asking.journal.shadowed} <= {other.id}

    run(use)


def test_a_row_that_the_shadow_cannot_score_costs_no_other_row_its_score(tmp_path: Path) -> None:
    async def use() -> None:
        sound, unlucky = loaded(1, SOUND), loaded(2)
        asking = Asking(tmp_path, sound, unlucky, challenger=unlucky.id, rollout="r", stage=Stage.SHADOW)
        requests = [asking.request(row("a", distance=7.0), row("b", distance=8.0)), asking.request(row("c", distance=13.0))]
        requests += [asking.request(row("d", distance=13.0), row("e", distance=9.0)), asking.request(row("f", distance=10.0))]
        await asking.together(*requests)
        await asking.shadows.finish()
        shadowed = asking.journal.shadowed
        assert [(s.request_id, s.row_number) for s in shadowed] == [
            (request.id, number) for request in requests for number in range(len(request.block))
        ]
        assert [s.error for s in shadowed] == [None, None, *["ValueError: unlucky"] * 3, None]
        alone = [unlucky.score(r.block, unlucky.features.cached(r.block)).scores for r in (requests[0], requests[3])]  # type: ignore[arg-type]
        assert [s.shadow_score for s in shadowed] == [*alone[0], None, None, None, *alone[1]]

    run(use)


def test_rows_beyond_what_the_shadow_may_keep_waiting_are_let_go_and_counted(tmp_path: Path, champion: LoadedRelease) -> None:
    async def use() -> None:
        other = loaded(2)
        asking = Asking(tmp_path, champion, other, challenger=other.id, rollout="r", stage=Stage.SHADOW)
        asking.shadows._maximum = 3
        block = asking.request(*(row(f"k{n}") for n in range(2))).block
        names = [(f"r{n}", 0, NOW) for n in range(2)]
        for _ in range(2):
            asking.shadows.offer(Shadowed(other, USE_CASE, names, block, Vectors({}, [()] * 2)))
        await asking.shadows.finish()
        assert (asking.shed, len(asking.journal.shadowed)) == (2, 2)

    run(use)


def test_the_stages_of_a_batch_follow_each_other_within_its_requests(tmp_path: Path, champion: LoadedRelease) -> None:
    async def use() -> None:
        asking = Asking(tmp_path, champion)
        began = time.perf_counter()
        first, second = asking.request(row("a")), asking.request(row("b"))
        await asking.together(first, second)
        (marks,) = asking.marks
        moments = [began, marks.began, marks.features, marks.score, marks.log, time.perf_counter()]
        assert moments == sorted(moments)
        assert first.marks is second.marks is marks

    run(use)
