"""Scoring over HTTP: what is answered, what is logged, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg
import pytest

from everloop.decide.policy import ServicePolicy
from everloop.learn.scoring import score as batch_score
from serve.conftest import Server
from serve.world import USE_CASE, World, bundle, row, wait_until


def logged(world: World, count: int) -> list[tuple]:
    """The logged rows, once `count` of them are there."""
    columns = "key, arm, release, score, shadow_release, shadow_score, features, flags, error, entity, rollout, decision"
    sql = f"SELECT {columns} FROM prediction ORDER BY at, row_number"
    wait_until(lambda: len(world.rows(sql)) >= count)
    return world.rows(sql)


def test_one_row_is_answered_and_logged_with_what_it_was_made_of(world: World, server: Server) -> None:
    answer = server.score(**row())
    assert answer.status_code == 200, answer.text
    result = answer.json()["results"][0]
    release = bundle().id
    assert (result["key"], result["arm"], result["release"]) == ("t1", "champion", release)
    assert result["decision"] == (result["score"] >= 0.4)
    assert result["flags"] == ["missing:weather"]
    (found,) = logged(world, 1)
    assert found[:6] == ("t1", "champion", release, pytest.approx(result["score"]), None, None)
    assert found[6]["request"] == {k: v for k, v in row().items() if k not in ("key", "event_timestamp")}
    assert found[6]["vector"] == {"delays__rate": 0.3, "weather__temp": None, "weather__wind": None, "clock__minute": 870}
    assert found[7:] == (["missing:weather"], None, "AA|1", None, result["decision"])


def test_service_and_batch_agree_on_the_score(server: Server) -> None:
    import pyarrow as pa

    inputs = {"carrier": "B6", "distance": 812.0, "delays__rate": None, "weather__temp": None, "weather__wind": None}
    table = pa.table({name: pa.array([v], pa.string() if name == "carrier" else pa.float64()) for name, v in inputs.items()})
    batch = batch_score(bundle(), table.append_column("clock__minute", pa.array([870])))
    assert server.score(**row(carrier="B6", distance=812)).json()["results"][0]["score"] == batch["score"][0].as_py()


def test_unknown_category_is_scored_as_missing_and_flagged(server: Server) -> None:
    assert "unknown_category:carrier" in server.score(**row(carrier="ZZ")).json()["results"][0]["flags"]


def test_a_check_that_only_warns_becomes_a_flag(server: Server) -> None:
    flags = server.score(**row(flight=7)).json()["results"][0]["flags"]
    assert "warn:flight:expect_column_values_to_be_in_set" in flags


def test_contributions_add_up_to_the_uncalibrated_log_odds(server: Server) -> None:
    import math

    result = server.score(**row(), explain=True).json()["results"][0]
    raw = 1 / (1 + math.exp(-sum(result["contributions"].values())))
    assert result["score"] == pytest.approx(0.05 + 0.9 * raw, abs=1e-5)
    assert "contributions" not in server.score(**row()).json()["results"][0]


def test_features_are_read_as_of_each_row(server: Server) -> None:
    rows = [row("early", event_timestamp="2013-04-01T11:59:59Z"), row("at"), row("late", event_timestamp="2013-05-01T00:00:00Z")]
    flags = [result["flags"][0] for result in server.score(rows=rows).json()["results"]]
    assert flags == ["early:delays", "missing:weather", "stale:delays"]


def test_all_errors_of_all_rows_come_at_once(server: Server) -> None:
    rows = [row("a", carrier=None, distance=-1), row("b", origin="jfk", departs="noon"), row(""), row("d", wheels=4, flight=1.5)]
    answer = server.score(rows=rows)
    assert answer.status_code == 422
    errors = answer.json()["errors"]
    fields = {
        "rows[0].carrier",
        "rows[0].distance",
        "rows[1].origin",
        "rows[1].departs",
        "rows[2].key",
        "rows[3].wheels",
        "rows[3].flight",
    }
    assert {error["field"] for error in errors} == fields
    assert all(set(error) == {"field", "value", "rule", "next"} and error["rule"] and error["next"] for error in errors)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[1]", 400),
        (b'{"rows": 3}', 400),
        (b'{"rows": [3]}', 400),
        (b'{"rows": []}', 422),
        (b'{"key": "a\\u0000b"}', 422),
        (b"\xff", 400),
        (b'"' + b"x" * 3_000_000 + b'"', 413),
        (json.dumps({"rows": [{}] * 1001}).encode(), 413),
    ],
)
def test_malformed_bodies_are_refused(server: Server, body: bytes, status: int) -> None:
    answer = server.client.post(f"/v1/{USE_CASE}/score", content=body)
    assert (answer.status_code, set(answer.json())) == (status, {"errors"})


def test_a_body_without_declared_length_is_cut_off_at_the_limit(server: Server) -> None:
    answer = server.client.post(f"/v1/{USE_CASE}/score", content=(b" " * 100_000 for _ in range(40)))
    assert answer.status_code == 413


def test_unknown_names_are_404_in_the_shape_of_all_errors(server: Server) -> None:
    for answer in (
        server.client.post("/v1/nothing/score", json=row()),
        server.client.get("/v1/nothing"),
        server.client.get("/nowhere"),
    ):
        assert (answer.status_code, set(answer.json())) == (404, {"errors"})
    assert server.client.get(f"/v1/{USE_CASE}/score").status_code == 405


def test_without_a_champion_it_says_so_and_is_ready_all_the_same(world: World, serve: Callable[..., Server]) -> None:
    server = serve()
    assert server.score(**row()).status_code == 404
    world.decide(challenger=world.publish())
    wait_until(lambda: server.score(**row()).status_code == 503)
    assert "no release serves yet" in server.score(**row()).json()["errors"][0]["rule"]
    assert server.client.get(f"/v1/{USE_CASE}").json()["problem"].startswith("no release serves yet")


def test_overload_is_shed(world: World, serve: Callable[..., Server]) -> None:
    seq = world.decide(champion=world.publish(service=ServicePolicy(maximum_in_flight=0)))
    server = serve()
    server.follow(seq)
    assert server.score(**row()).status_code == 429


def test_a_use_case_may_refuse_to_score_without_features(world: World, serve: Callable[..., Server]) -> None:
    seq = world.decide(champion=world.publish(service=ServicePolicy(on_missing_features="refuse")))
    server = serve()
    server.follow(seq)
    answer = server.score(**row())
    assert (answer.status_code, answer.json()["errors"][0]["value"]) == (422, "missing:weather")


def test_the_api_key_guards_every_v1_route(world: World, serve: Callable[..., Server]) -> None:
    seq = world.decide(champion=world.publish())
    server = serve(api_key="s3cret")
    server.follow(seq)
    for answer in (
        server.score(**row()),
        server.client.get(f"/v1/{USE_CASE}"),
        server.client.post(f"/v1/{USE_CASE}/push/weather"),
    ):
        assert answer.status_code == 401
    server.client.headers["X-API-Key"] = "s3cret"
    assert server.score(**row()).status_code == 200
    assert server.client.get("/metrics").status_code == 200


def test_a_release_whose_code_fails_answers_500_without_a_trace_and_logs_the_error(
    world: World, serve: Callable[..., Server]
) -> None:
    seq = world.decide(champion=world.publish(functions="def clock(columns):\n    return 1 / 0\n"))
    server = serve()
    server.follow(seq)
    answer = server.score(**row())
    assert answer.status_code == 500
    assert "Traceback" not in answer.text
    (found,) = logged(world, 1)
    assert (found[3], found[8]) == (None, "ZeroDivisionError: division by zero")


def test_outcomes_are_recorded_and_a_newer_one_wins(world: World, server: Server) -> None:
    def send(label: bool, known_at: str) -> int:
        body = {"outcomes": [{"key": "t1", "label": label, "known_at": known_at}]}
        return server.client.post(f"/v1/{USE_CASE}/outcomes", json=body).status_code

    assert [send(True, "2013-04-02T00:00:00Z"), send(False, "2013-04-01T00:00:00Z")] == [200, 200]
    assert world.rows("SELECT key, label FROM outcome") == [("t1", True)]
    assert send("yes", "tomorrow") == 422  # type: ignore[arg-type]


@pytest.mark.parametrize("label", [2, 1, 0.5, "true", None])
def test_an_outcome_that_is_not_true_or_false_is_refused_by_name(world: World, server: Server, label: object) -> None:
    body = {"outcomes": [{"key": "t1", "label": label, "known_at": "2013-04-02T00:00:00Z"}]}
    answer = server.client.post(f"/v1/{USE_CASE}/outcomes", json=body)
    told = {"field": "outcomes[0].label", "value": label, "rule": "must be true or false"}
    assert (answer.status_code, answer.json()["errors"]) == (422, [told | {"next": "send outcomes[0].label as true or false"}])
    assert world.rows("SELECT key FROM outcome") == []


def test_pushed_rows_become_features_and_an_older_one_never_overwrites(server: Server) -> None:
    def push(at: str, temp: float) -> int:
        rows = [{"origin": "JFK", "observed_at": at, "temp": temp, "wind": 4}]
        return server.client.post(f"/v1/{USE_CASE}/push/weather", json={"rows": rows}).json()["written"]

    assert push("2013-04-01T11:00:00Z", 51.0) == 1
    assert push("2013-04-01T09:00:00Z", 40.0) == 0
    result = server.score(**row()).json()["results"][0]
    assert result["flags"] == []


def test_a_push_refuses_what_it_cannot_take(server: Server) -> None:
    url = f"/v1/{USE_CASE}/push/"
    assert server.client.post(url + "delays", json={"rows": [{}]}).status_code == 404
    answer = server.client.post(url + "weather", json={"rows": [{"origin": 3, "rain": 1}]})
    assert {e["field"] for e in answer.json()["errors"]} == {"rows[0].origin", "rows[0].rain"}


def test_check_scores_by_a_release_that_does_not_serve(world: World, server: Server) -> None:
    other = world.publish(seed=2)
    body = {"release": other, "rows": [{k: v for k, v in row(carrier=c).items() if k != "key"} for c in ("AA", "UA")]}
    answer = server.client.post(f"/v1/{USE_CASE}/check", json=body).json()
    assert len(answer["scores"]) == 2
    assert answer["latency_ms"] > 0
    assert server.client.get(f"/v1/{USE_CASE}").json()["state"]["champion"] != other


def test_check_tells_why_a_release_does_not_load_or_score(world: World, server: Server) -> None:
    def said(release: str) -> str:
        answer = server.client.post(f"/v1/{USE_CASE}/check", json={"release": release, "rows": [row()]})
        assert answer.status_code == 422
        return answer.json()["errors"][0]["rule"]

    assert "does not load" in said("0" * 16)
    assert "columns" in said(world.publish(seed=3, columns=4))
    assert "ZeroDivisionError" in said(world.publish(seed=3, functions="def clock(columns):\n    return 1 / 0\n"))
    assert "has no function clock" in said(world.publish(seed=3, functions=""))
    suite = {"name": "x", "expectations": [{"type": "expect_column_values_to_be_json_parseable", "kwargs": {"column": "origin"}}]}
    assert "expect_column_values_to_be_json_parseable" in said(world.publish(seed=3, suite=suite))


def test_probes_metrics_documentation_and_data_docs_are_served(world: World, server: Server) -> None:
    (world.folder / "data_docs").mkdir()
    (world.folder / "data_docs" / "index.html").write_text("docs")
    server.score(**row())
    assert server.client.get("/healthz").json() == {"status": "ok"}
    assert server.client.get("/data-docs/").text == "docs"
    assert "/v1/{use_case}/score" in server.client.get("/openapi.json").json()["paths"]
    assert 'everloop_rows_total{arm="champion"' in server.client.get("/metrics").text
    state = server.client.get(f"/v1/{USE_CASE}").json()
    assert state["request"]["carrier"] == "string"
    assert state["releases"][0]["release"] == bundle().id


def test_with_the_feature_store_down_rows_are_answered_and_flagged(world: World, server: Server) -> None:
    with psycopg.connect(world.database) as connection:
        connection.execute("ALTER TABLE online.trips_delays RENAME TO gone")
    assert server.score(**row()).json()["results"][0]["flags"] == ["features_unavailable"]
    with psycopg.connect(world.database) as connection:
        connection.execute("ALTER TABLE online.gone RENAME TO trips_delays")
    wait_until(lambda: server.score(**row()).json()["results"][0]["flags"] == ["missing:weather"])


def test_rows_default_to_now(server: Server) -> None:
    given = {name: value for name, value in row().items() if name != "event_timestamp"}
    assert server.score(**given).json()["results"][0]["flags"] == ["stale:delays", "missing:weather"]


def test_writes_while_the_database_is_away_are_refused_with_503(world: World, server: Server) -> None:
    with psycopg.connect(world.database) as connection:
        connection.execute("ALTER TABLE online.trips_weather RENAME TO gone")
        connection.execute("ALTER TABLE outcome RENAME TO gone_too")
    observed = {"origin": "JFK", "observed_at": "2013-04-01T11:00:00Z", "temp": 1, "wind": 1}
    outcome = {"key": "t1", "label": True, "known_at": "2013-04-02T00:00:00Z"}
    assert server.client.post(f"/v1/{USE_CASE}/push/weather", json={"rows": [observed]}).status_code == 503
    assert server.client.post(f"/v1/{USE_CASE}/outcomes", json={"outcomes": [outcome]}).status_code == 503
