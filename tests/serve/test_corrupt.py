"""Damaged model files in the release store: none is ever loaded, each is named, and what runs goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.serving.mutations import mutations
from everloop.errors import ReleaseError
from everloop.release import MODEL
from serve.conftest import Server
from serve.world import USE_CASE, World, model, row, wait_until

COUNT = 100


def file_of(world: World, release: str) -> Path:
    return world.folder / "releases" / release / MODEL


def test_every_damage_is_a_different_file_and_the_same_in_every_run() -> None:
    found = list(mutations(model(2), model(1), COUNT))
    assert len(found) == COUNT
    assert all(damaged != model(2) for _, damaged in found)
    assert len({damaged for _, damaged in found}) > COUNT * 0.9
    assert found == list(mutations(model(2), model(1), COUNT))


def test_no_damaged_model_leaves_the_release_store(world: World) -> None:
    release = world.publish(2)
    for kind, damaged in mutations(model(2), model(1), COUNT):
        file_of(world, release).write_bytes(damaged)
        with pytest.raises(ReleaseError) as raised:
            world.releases.get(release)
        assert [words for words in (MODEL, "SHA-256") if words not in str(raised.value)] == [], kind
    file_of(world, release).write_bytes(model(2))
    assert world.releases.get(release).id == release


def test_the_service_refuses_and_names_each_and_its_running_release_answers_on(world: World, server: Server) -> None:
    running, damaged_release = world.publish(1), world.publish(2)
    for _, damaged in mutations(model(2), model(1), 12):
        file_of(world, damaged_release).write_bytes(damaged)
        seq = world.decide(champion=damaged_release)
        wait_until(lambda words=f"{damaged_release} of row {seq} does not load": words in problem(server))
        assert "SHA-256" in problem(server)
        assert server.score(**row()).json()["results"][0]["release"] == running
    file_of(world, damaged_release).write_bytes(model(2))
    wait_until(lambda: server.score(**row()).json()["results"][0]["release"] == damaged_release)


def problem(server: Server) -> str:
    return server.client.get(f"/v1/{USE_CASE}").json()["problem"] or ""
