"""What /metrics says of requests that really came, and of the parts around them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from everloop.decide.policy import ServicePolicy
from everloop.decide.release.state import Stage
from everloop.serve.problems import Refused
from everloop.serve.shapes.shape import Reply, told
from serve.conftest import Process, Server
from serve.world import AT, USE_CASE, World, row, wait_until, without


def samples(server: Server, name: str) -> dict[tuple[str, ...], float]:
    """By the values of its labels, those sorted by name, `use_case` left out."""
    text = server.client.get("/metrics").text
    return {
        tuple(value for label, value in sorted(one.labels.items()) if label != "use_case"): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if one.name == name
    }


def test_requests_rows_reads_and_flags_are_counted_exactly(server: Server) -> None:
    for number in range(5):
        server.score(rows=[row(f"a{number}"), row(f"b{number}", carrier="ZZ")])
    server.score(**row(distance=-1))
    assert samples(server, "everloop_requests_total") == {("score", "200"): 5, ("score", "422"): 1}
    assert samples(server, "everloop_rows_total") == {("champion", server.world.publish()): 10}
    assert samples(server, "everloop_row_flags_total")[("unknown_category:carrier",)] == 5
    reads = samples(server, "everloop_feature_reads_total")
    assert (reads[("fresh", "delays")], reads[("absent", "delays")], reads[("absent", "weather")]) == (5, 5, 10)


def test_every_request_is_timed_by_route_by_arm_and_by_stage(server: Server) -> None:
    for number in range(5):
        assert server.score(**row(f"a{number}")).status_code == 200
    assert samples(server, "everloop_request_seconds_count") == {("score",): 5}
    assert samples(server, "everloop_arm_seconds_count") == {("champion",): 5}
    counts, sums = samples(server, "everloop_stage_seconds_count"), samples(server, "everloop_stage_seconds_sum")
    assert counts == {(stage,): 5 for stage in ("read", "features", "score", "log", "write")}
    assert all(seconds > 0 for seconds in sums.values())
    assert sum(sums.values()) < samples(server, "everloop_request_seconds_sum")[("score",)]


def test_what_is_refused_for_overload_and_what_is_in_flight_is_told(world: World, server: Server) -> None:
    server.follow(world.decide(champion=world.publish(service=ServicePolicy(maximum_in_flight=0))))
    assert server.score(**row()).status_code == 429
    assert samples(server, "everloop_overload_refusals_total") == samples(server, "everloop_failed_requests_total") == {(): 1}
    server.app.gate.shed(USE_CASE)
    server.app.gate.shed("nobody's")
    assert samples(server, "everloop_requests_total") == {("score", "429"): 1, ("turned_away", "429"): 1}
    assert samples(server, "everloop_overload_refusals_total") == samples(server, "everloop_failed_requests_total") == {(): 2}
    server.parts.service.in_flight[USE_CASE] = 7
    assert samples(server, "everloop_in_flight") == {(): 7}


def test_requests_are_held_against_what_the_use_case_promises(world: World, server: Server) -> None:
    server.follow(world.decide(champion=world.publish(service=ServicePolicy(latency_ms=1e-6, error_rate=0.01))))
    assert samples(server, "everloop_failed_requests_total") == samples(server, "everloop_slow_requests_total") == {(): 0}
    server.score(**row())
    server.score(**row(distance=-1))
    assert samples(server, "everloop_slow_requests_total") == {(): 2}
    assert samples(server, "everloop_failed_requests_total") == {(): 0}, "a refusal for what the client sent is no failure"
    with without(world.settings().home / "prediction_log"):
        server.parts.journal.log.close()
        assert server.score(**row()).status_code == 503
    assert samples(server, "everloop_failed_requests_total") == {(): 1}
    assert samples(server, "everloop_objective_error_ratio") == {(): 0.01}
    assert samples(server, "everloop_objective_latency_seconds")[()] == pytest.approx(1e-9)


def test_the_releases_in_service_are_told_by_role_and_those_that_were_are_zero(world: World, server: Server) -> None:
    first, second = world.publish(1), world.publish(2)
    state = {"challenger": second, "rollout": "r", "stage": Stage.CANARY, "weight": 0.5, "since": AT}
    server.follow(world.decide(champion=first, **state))
    told = samples(server, "everloop_release_workers")
    assert told == {("xgboost", first, "champion"): 1, ("xgboost", second, "trial"): 1}
    server.follow(world.decide(champion=second, previous=first))
    told = samples(server, "everloop_release_workers")
    assert told[("xgboost", second, "champion")] == 1
    assert told[("xgboost", first, "champion")] == told[("xgboost", second, "trial")] == 0
    trained = datetime(2013, 3, 1, tzinfo=UTC).timestamp()
    assert samples(server, "everloop_champion_trained_through_timestamp_seconds") == {(): trained}
    assert samples(server, "everloop_swaps_total") == {(): 2}
    assert 0 < samples(server, "everloop_swap_seconds")[()] < 60


def test_what_is_away_is_told_and_told_again_when_it_is_back(world: World, server: Server) -> None:
    with psycopg.connect(world.database) as connection:
        connection.execute("ALTER TABLE online.trips_delays RENAME TO gone")
    server.score(**row())
    assert samples(server, "everloop_problem") == {("ledger",): 0, ("log_disk",): 0, ("online_store",): 1}
    with psycopg.connect(world.database) as connection:
        connection.execute("ALTER TABLE online.gone RENAME TO trips_delays")
    wait_until(lambda: server.score(**row()).json()["results"][0]["flags"] == ["missing:weather"])
    assert samples(server, "everloop_problem")[("online_store",)] == 0


def test_a_release_that_does_not_load_and_one_that_is_lacking_are_told_apart(world: World, server: Server) -> None:
    assert samples(server, "everloop_release_problem") == {(): 0}
    world.decide(champion="0" * 16)
    wait_until(lambda: samples(server, "everloop_release_problem") == {(): 1})
    assert samples(server, "everloop_unserved") == {(): 0}
    wait_until(lambda: world.ledger.head(USE_CASE)[0] == 3)  # the scorer has told the ledger
    world.decide()
    wait_until(lambda: samples(server, "everloop_unserved") == {(): 1})


def test_staleness_and_the_log_are_told(server: Server) -> None:
    server.score(**row())
    observed = {"origin": "JFK", "observed_at": "2013-04-01T11:00:00Z", "temp": 1, "wind": 1}
    assert server.client.post(f"/v1/{USE_CASE}/push/weather", json={"rows": [observed]}).status_code == 200
    known = datetime(2013, 4, 1, 11, 15, tzinfo=UTC).timestamp()
    assert samples(server, "everloop_feature_newest_event_timestamp_seconds") == {("weather",): known}
    wait_until(lambda: server.world.rows("SELECT count(*) FROM prediction") == [(1,)])
    wait_until(lambda: samples(server, "everloop_log_unshipped_bytes") == {(): 0})
    assert samples(server, "everloop_log_oldest_unshipped_age_seconds") == {(): 0}
    assert samples(server, "everloop_log_set_aside_bytes") == {(): 0}
    assert samples(server, "everloop_log_shipper_problem") == {(): 0}
    assert abs(samples(server, "everloop_log_shipper_heartbeat_timestamp_seconds")[()] - time.time()) < 30


def test_rows_that_wait_for_postgresql_age(world: World, server: Server) -> None:
    with psycopg.connect(world.database) as connection:
        connection.execute("ALTER TABLE prediction RENAME TO gone")
    server.score(**row())
    wait_until(lambda: samples(server, "everloop_log_oldest_unshipped_age_seconds").get((), 0) > 0.5)
    assert samples(server, "everloop_log_unshipped_bytes")[()] > 0
    assert samples(server, "everloop_log_shipper_problem") == {(): 1}
    with psycopg.connect(world.database) as connection:
        connection.execute("ALTER TABLE gone RENAME TO prediction")


def test_an_answer_and_a_refusal_name_their_request_in_a_header(server: Server) -> None:
    answer = server.score(**row())
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    refusal = server.score(**row(distance=-1))
    assert refusal.status_code == 422
    assert len(refusal.headers["x-request-id"]) == 32
    assert refusal.headers["x-request-id"] != answer.headers["x-request-id"]


def test_a_failure_is_logged_with_the_request_that_the_client_was_told(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    from everloop.serve.observe.logs import RequestNames

    caplog.handler.addFilter(RequestNames())
    shape = server.app._routes.pop(f"/v1/{USE_CASE}/score", None)
    assert shape is None
    server.score(**row())
    known = server.app._routes[f"/v1/{USE_CASE}/score"]
    assert known is not None
    server.app._routes[f"/v1/{USE_CASE}/score"] = known._replace(shape=Broken())
    with caplog.at_level(logging.ERROR):
        answer = server.client.post(f"/v1/{USE_CASE}/score", json=row(), headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    assert answer.status_code == 500
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert vars(record)["request_id"] == answer.headers["x-request-id"]
    assert vars(record)["trace_id"] == "a" * 32


class Broken:
    """A form of request with a defect."""

    def read(self, *_: object) -> None:
        raise RuntimeError("a defect")

    def refused(self, refused: Refused) -> Reply:
        return told(refused)


def test_metrics_of_any_worker_tell_of_all_of_them_also_after_a_kill(world: World, process: Callable[..., Process]) -> None:
    import httpx

    world.decide(champion=world.publish())
    service = process(EVERLOOP_SERVE_WORKERS="2")
    wait_until(lambda: len(service.workers()) == 2, 30)

    def ask(times: int) -> None:
        for number in range(times):
            assert httpx.post(f"{service.url}/v1/{USE_CASE}/score", json=row(f"k{number}")).status_code == 200

    def counted() -> set[float | None]:
        """What whoever answers tells, asked often enough to reach both."""
        texts = [httpx.get(f"{service.url}/metrics").text for _ in range(12)]
        return {total(text, "everloop_requests_total") for text in texts}

    ask(40)
    wait_until(lambda: counted() == {40.0}, 30)
    victim = service.workers()[0]
    victim.kill()
    wait_until(lambda: len(service.workers()) == 2 and victim not in service.workers(), 60)
    wait_until(lambda: counted() == {40.0}, 60)
    ask(10)
    wait_until(lambda: counted() == {50.0}, 30)
    service.stop()


def total(text: str, name: str) -> float:
    families = text_string_to_metric_families(text)
    return sum(one.value for family in families for one in family.samples if one.name == name and one.labels["route"] == "score")
