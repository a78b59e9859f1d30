"""The ledger is followed: a revert waits for nothing, and a release that does not load is told to the ledger once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from everloop.decide.release.state import Stage
from everloop.serve.access import Access
from everloop.serve.access.follow import KeyReader
from everloop.serve.features.store import OnlineStore
from everloop.serve.follower import LOAD_FAILED, Follower
from everloop.serve.release import LoadedRelease, Loader
from everloop.serve.releases import Releases
from serve.world import USE_CASE, World, wait_until


class Slow(Loader):
    """A loader that takes its time for one release, until it is let go."""

    def __init__(self, world: World, slow: str) -> None:
        super().__init__(world.releases, OnlineStore(world.database, lambda *_: None), "xgboost")
        object.__setattr__(self, "slow", slow)
        object.__setattr__(self, "go", threading.Event())

    def load(self, release: str, use_case: str) -> LoadedRelease:
        if release == self.slow:  # type: ignore[attr-defined]
            self.go.wait(30)  # type: ignore[attr-defined]
        return super().load(release, use_case)


@contextmanager
def following(world: World, loader: Loader) -> Iterator[Follower]:
    access = Access(None)
    follower = Follower(world.database, world.ledger, Releases(loader), KeyReader(access), lambda *_: None)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


def serves(follower: Follower, release: str) -> bool:
    serving = follower.serving(USE_CASE)
    return serving is not None and serving.champion.id == release


def test_a_revert_does_not_wait_for_a_challenger_that_is_being_loaded(world: World) -> None:
    first, second, third = (world.publish(seed) for seed in (1, 2, 3))
    loader = Slow(world, slow=third)
    world.decide(champion=first)
    with following(world, loader) as follower:
        wait_until(lambda: serves(follower, first))
        world.decide(champion=second, previous=first)
        wait_until(lambda: serves(follower, second))
        world.decide(champion=second, challenger=third, rollout="r", stage=Stage.CHECK)
        time.sleep(0.3)
        began = time.monotonic()
        world.decide(champion=first, previous=second)
        wait_until(lambda: serves(follower, first))
        assert time.monotonic() - began < 2
        loader.go.set()  # type: ignore[attr-defined]


def test_a_new_state_counts_only_when_all_that_it_names_was_tried(world: World) -> None:
    first, second = world.publish(1), world.publish(2)
    loader = Slow(world, slow=second)
    world.decide(champion=first)
    with following(world, loader) as follower:
        wait_until(lambda: serves(follower, first))
        seq = world.decide(champion=first, challenger=second, rollout="r", stage=Stage.CANARY, weight=1.0)
        time.sleep(0.5)
        serving = follower.serving(USE_CASE)
        assert serving is not None
        assert serving.state.challenger is None, "else its rows would fall back and count as its failures"
        loader.go.set()  # type: ignore[attr-defined]
        wait_until(lambda: (now := follower.serving(USE_CASE)) is not None and now.seq == seq)
        now = follower.serving(USE_CASE)
        assert now is not None
        assert now.trial is not None
        assert now.trial.id == second


def test_it_is_ready_only_after_what_the_ledger_names_was_tried(world: World) -> None:
    first = world.publish(1)
    loader = Slow(world, slow=first)
    world.decide(champion=first)
    with following(world, loader) as follower:
        assert not follower.looked.wait(0.5)
        loader.go.set()  # type: ignore[attr-defined]
        assert follower.looked.wait(10)
        assert serves(follower, first)


@pytest.mark.parametrize("role", ["champion", "challenger"])
def test_a_release_that_does_not_load_is_told_to_the_ledger_once_and_changes_nothing(world: World, role: str) -> None:
    first, bad = world.publish(1), world.publish(2)
    (world.folder / "releases" / bad / "model.ubj").write_bytes(b"{}")
    state = (
        {"champion": first, "challenger": bad, "rollout": "r", "stage": Stage.CANARY}
        if role == "challenger"
        else {"champion": bad}
    )
    world.decide(champion=first)
    loader = Loader(world.releases, OnlineStore(world.database, lambda *_: None), "xgboost")
    with following(world, loader) as follower, following(world, loader) as other:
        wait_until(lambda: serves(follower, first) and serves(other, first))
        seq = world.decide(**state)
        wait_until(lambda: world.ledger.entries(USE_CASE, subject=bad, action=LOAD_FAILED))
        wait_until(lambda: all((s := one.serving(USE_CASE)) and s.problem for one in (follower, other)))
        time.sleep(1.5)
        (told,) = world.ledger.entries(USE_CASE, after=seq)
        assert (told.actor, told.action, told.subject, told.before) == ("scorer", LOAD_FAILED, bad, told.after)
        assert "SHA-256" in told.reason
        assert serves(follower, first)
