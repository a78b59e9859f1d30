"""The scorer's port: the real service over HTTP and the fake keep the same promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from everloop.adapters.scorer import HttpScorer
from everloop.errors import ReleaseError, SourceError
from everloop.ports import Scorer
from everloop.stack.ports import free_port
from fakes.scorer import InMemoryScorer
from serve.conftest import Server
from serve.world import USE_CASE, World, row


class Given(NamedTuple):
    scorer: Scorer
    good: str
    broken: str


@pytest.fixture(scope="module")
def fake() -> Given:
    return Given(InMemoryScorer(broken={"b" * 16: "it does not load"}), "a" * 16, "b" * 16)


@pytest.fixture
def server(everloop_database: str, tmp_path: Path) -> Iterator[Server]:
    world = World(everloop_database, tmp_path)
    world.decide(champion=world.publish())
    with Server(world, api_key="key") as started:
        yield started


@pytest.fixture(params=["fake", "http"])
def given(request: pytest.FixtureRequest) -> Given:
    if request.param == "fake":
        found: Given = request.getfixturevalue("fake")
        return found
    server: Server = request.getfixturevalue("server")
    broken = server.world.publish(3, functions="")
    return Given(HttpScorer(server.url, "key"), server.world.publish(2), broken)


def test_a_good_release_scores_every_row(given: Given) -> None:
    rows: list[dict[str, Any]] = [row("a"), row("b", carrier="UA")]
    answer = given.scorer.check(USE_CASE, given.good, rows)
    assert len(answer["scores"]) == 2
    assert all(0 <= score <= 1 for score in answer["scores"])
    assert answer["latency_ms"] > 0


def test_a_broken_release_is_refused_with_the_scorers_words(given: Given) -> None:
    with pytest.raises(ReleaseError, match=f"refuses release {given.broken} of {USE_CASE}: .+"):
        given.scorer.check(USE_CASE, given.broken, [row()])


def test_a_service_that_cannot_be_asked_says_nothing_of_the_release(server: Server) -> None:
    with pytest.raises(SourceError, match="does not answer"):
        HttpScorer(f"http://127.0.0.1:{free_port()}").check(USE_CASE, "a" * 16, [row()])
    with pytest.raises(SourceError, match="401: API key"):
        HttpScorer(server.url, "wrong").check(USE_CASE, "a" * 16, [row()])
