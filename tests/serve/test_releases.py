"""Releases in memory: loaded once, beside whoever asks, and kept as long as a revert may want them."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from everloop.errors import ReleaseError
from everloop.serve.release import LoadedRelease, Loader
from everloop.serve.releases import Releases
from serve.answering.test_ticks import loaded
from serve.world import USE_CASE


class Gated(Loader):
    """A loader that waits for a gate, and fails for names that begin with `bad`."""

    def __init__(self) -> None:
        object.__setattr__(self, "gate", threading.Event())
        object.__setattr__(self, "asked", [])
        object.__setattr__(self, "_one", loaded())

    def load(self, release: str, use_case: str) -> LoadedRelease:
        self.asked.append(release)  # type: ignore[attr-defined]
        self.gate.wait(10)  # type: ignore[attr-defined]
        if release.startswith("bad"):
            raise ReleaseError(f"{release} is no release")
        found: LoadedRelease = self._one  # type: ignore[attr-defined]
        return LoadedRelease(**{**vars(found), "id": release})


@pytest.fixture(scope="module")
def template() -> Gated:
    return Gated()


@pytest.fixture
def loader(template: Gated) -> Gated:
    template.gate.clear()  # type: ignore[attr-defined]
    template.asked.clear()  # type: ignore[attr-defined]
    return template


def test_what_is_in_memory_is_at_hand_while_another_is_loading(loader: Gated) -> None:
    releases = Releases(loader)
    loader.gate.set()  # type: ignore[attr-defined]
    first = releases.get("first", USE_CASE)
    loader.gate.clear()  # type: ignore[attr-defined]
    second: Future[LoadedRelease] = releases.begin("second", USE_CASE)
    assert releases.begin("first", USE_CASE).result(timeout=0) is first
    assert not second.done()
    assert releases.begin("second", USE_CASE) is second, "one load for all who wait"
    loader.gate.set()  # type: ignore[attr-defined]
    assert second.result(timeout=10).id == "second"
    assert loader.asked == ["first", "second"]  # type: ignore[attr-defined]


def test_what_did_not_load_is_tried_again_when_asked_again(loader: Gated) -> None:
    releases = Releases(loader)
    loader.gate.set()  # type: ignore[attr-defined]
    for _ in range(2):
        with pytest.raises(ReleaseError, match="bad is no release"):
            releases.get("bad", USE_CASE)
    assert loader.asked == ["bad", "bad"]  # type: ignore[attr-defined]


def test_the_ones_asked_for_longest_ago_leave(loader: Gated) -> None:
    releases = Releases(loader)
    loader.gate.set()  # type: ignore[attr-defined]
    for name in ("a", "b", "c", "d"):
        releases.get(name, USE_CASE)
    releases.get("a", USE_CASE)
    releases.get("e", USE_CASE)
    assert [one.id for one in releases.of(USE_CASE)] == ["c", "d", "a", "e"]
