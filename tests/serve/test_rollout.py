"""Two releases at once: assignment, shadow, failures of the one on trial, promotions and reverts under traffic."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from everloop.decide.release.state import Stage
from serve.conftest import Server
from serve.world import USE_CASE, World, row, wait_until, without

BROKEN = "def clock(columns):\n    raise ValueError('no clock')\n"


def rows(count: int) -> list[dict[str, Any]]:
    carriers = ("AA", "B6", "UA")
    return [row(f"k{n}", carrier=carriers[n % 3], flight=n, distance=100.0 + n) for n in range(count)]


def arms(server: Server, count: int = 60) -> dict[str, dict[str, Any]]:
    answer = server.score(rows=rows(count))
    assert answer.status_code == 200, answer.text
    return {result["key"]: result for result in answer.json()["results"]}


def on_trial(world: World, challenger: str, **state: Any) -> int:
    given = {"champion": world.publish(1), "challenger": challenger, "rollout": "r1", "stage": Stage.CANARY, "weight": 0.5}
    return world.decide(**{**given, **state})


def test_canary_is_sticky_and_both_arms_score_every_shadowed_row(world: World, server: Server) -> None:
    challenger = world.publish(2)
    server.follow(on_trial(world, challenger))
    first, second = arms(server), arms(server)
    assert {key: r["arm"] for key, r in first.items()} == {key: r["arm"] for key, r in second.items()}
    assert {r["arm"] for r in first.values()} == {"champion", "challenger"}
    assert all((r["release"] == challenger) == (r["arm"] == "challenger") for r in first.values())
    wait_until(lambda: world.rows("SELECT count(*) FROM prediction")[0][0] == 120)
    logged = "SELECT key, arm, release, shadow_release, score, shadow_score, rollout FROM prediction"
    by_arm: dict[str, dict[str, tuple[float, float]]] = {"champion": {}, "challenger": {}}
    for key, arm, release, shadow, score, shadow_score, rollout in world.rows(logged):
        assert {release, shadow} == {world.publish(1), challenger}
        assert rollout == "r1"
        by_arm[arm][key] = (score, shadow_score)
    server.follow(on_trial(world, challenger, weight=1.0))
    after = arms(server)
    for key, (score, shadow_score) in by_arm["champion"].items():
        assert after[key]["score"] == shadow_score != score


def test_shadow_answers_by_the_champion_alone(world: World, server: Server) -> None:
    server.follow(on_trial(world, world.publish(2), stage=Stage.SHADOW, weight=0.0))
    assert {r["arm"] for r in arms(server).values()} == {"champion"}
    wait_until(lambda: world.rows("SELECT count(shadow_score) FROM prediction")[0][0] == 60)


def test_a_challenger_that_fails_costs_nobody_an_answer_and_its_error_is_logged(world: World, server: Server) -> None:
    challenger = world.publish(2, functions=BROKEN)
    server.follow(on_trial(world, challenger))
    found = arms(server)
    assert all(r["arm"] == "champion" and r["release"] == world.publish(1) and 0 < r["score"] < 1 for r in found.values())
    fallen = {key for key, r in found.items() if "challenger_failed" in r["flags"]}
    assert 10 < len(fallen) < 50
    wait_until(lambda: world.rows("SELECT count(*) FROM prediction")[0][0] == 60)
    failed = world.rows("SELECT key, release, score, error, shadow_score FROM prediction WHERE arm = 'challenger'")
    assert {key for key, *_ in failed} == fallen
    assert all(r[1:4] == (challenger, None, "ValueError: no clock") and r[4] == found[r[0]]["score"] for r in failed)
    unscored = world.rows("SELECT shadow_release, shadow_score, error, flags FROM prediction WHERE arm = 'champion'")
    assert all(r[:3] == (challenger, None, None) and "shadow_failed" in r[3] for r in unscored)


def test_a_challenger_that_does_not_load_is_reported_and_the_champion_goes_on(world: World, server: Server) -> None:
    server.follow(on_trial(world, "f" * 16))
    assert {r["release"] for r in arms(server).values()} == {world.publish(1)}
    assert "f" * 16 in server.client.get(f"/v1/{USE_CASE}").json()["problem"]
    assert server.client.get("/readyz").status_code == 200
    wait_until(lambda: world.rows("SELECT count(*) FROM prediction WHERE error LIKE '%%does not load%%'")[0][0] > 10)


def test_a_champion_that_does_not_load_changes_nothing_until_it_does(world: World, server: Server) -> None:
    first, second = world.publish(1), world.publish(2)
    with without(world.folder / "releases" / second):
        world.decide(champion=second)
        wait_until(lambda: second in (server.client.get(f"/v1/{USE_CASE}").json()["problem"] or ""))
        assert server.score(**row()).json()["results"][0]["release"] == first
    wait_until(lambda: server.score(**row()).json()["results"][0]["release"] == second)
    assert server.client.get(f"/v1/{USE_CASE}").json()["problem"] is None


def test_a_release_with_changed_bytes_is_refused(world: World, server: Server) -> None:
    second = world.publish(2)
    (world.folder / "releases" / second / "model.ubj").write_bytes(b"{}")
    world.decide(champion=second)
    wait_until(lambda: "SHA-256" in (server.client.get(f"/v1/{USE_CASE}").json()["problem"] or ""))
    assert server.score(**row()).json()["results"][0]["release"] == world.publish(1)


def test_a_revert_under_load_fails_no_request_and_needs_no_release_store(world: World, server: Server) -> None:
    first, second = world.publish(1), world.publish(2)
    server.follow(world.decide(champion=second, previous=first))
    statuses, releases, stop = [], [], threading.Event()

    def load() -> None:
        with httpx.Client(base_url=server.url) as client:
            while not stop.is_set():
                answer = client.post(f"/v1/{USE_CASE}/score", json=row())
                statuses.append(answer.status_code)
                releases.append(answer.json()["results"][0]["release"])

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    shutil.rmtree(world.folder / "releases")
    wait_until(lambda: len(releases) > 20)
    began = time.monotonic()
    world.decide(champion=first, previous=second)
    wait_until(lambda: set(releases[-5:]) == {first})
    assert time.monotonic() - began < 2
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}


def test_with_the_ledger_away_what_is_loaded_goes_on_serving(world: World, serve: Callable[..., Server]) -> None:
    import psycopg

    seq = world.decide(champion=world.publish(1))
    server = serve()
    server.follow(seq)
    with psycopg.connect(world.database, autocommit=True) as connection:
        connection.execute("ALTER TABLE ledger RENAME TO gone")
        wait_until(lambda: server.client.get(f"/v1/{USE_CASE}").json()["ledger"] != "ok")
        assert server.score(**row()).status_code == 200
        assert server.client.get("/readyz").status_code == 200
        connection.execute("ALTER TABLE gone RENAME TO ledger")
    wait_until(lambda: server.client.get(f"/v1/{USE_CASE}").json()["ledger"] == "ok")
    server.follow(world.decide(champion=world.publish(2)))
