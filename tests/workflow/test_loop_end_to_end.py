"""Every graph of the shipped use case, on three weeks of real flights, with all real systems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from everloop.stack.postgres import PostgresServer, create_databases
from everloop.use_case import UseCase
from everloop.wiring import Loop, connect
from workflow.world import WEEKS, Airflow, environment, scorer, write_quick_dags

DONE = {"success"}
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def loop(postgres_server: PostgresServer, flights: UseCase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """The loop in a folder and in databases of its own; two weeks have arrived."""
    from everloop.adapters.database import migrate
    from everloop.demo import airline

    create_databases(postgres_server.uri(), ["loop_everloop", "loop_airline"])
    source = postgres_server.uri("loop_airline")
    with environment(tmp_path_factory.mktemp("loop"), postgres_server.uri("loop_everloop"), source) as settings:
        migrate(settings["EVERLOOP_DATABASE"])
        made = connect(flights)
        airline.create(source)
        for week in WEEKS[:2]:
            airline.arrive(source, made.settings.landing, week)
        yield made


@pytest.fixture(scope="module")
def airflow(loop: Loop) -> Airflow:
    write_quick_dags()
    return Airflow()


@pytest.fixture(scope="module")
def backfilled(airflow: Airflow) -> dict[str, dict[str, str]]:
    """Two weeks by Airflow's own backfill, through its REST API, the later one first."""
    body = {"dag_id": "flights_ingest", "from_date": WEEKS[0].start.isoformat(), "to_date": WEEKS[1].start.isoformat()}
    airflow.send("POST", "/backfills", body | {"run_backwards": True, "max_active_runs": 2})
    return airflow.finish("flights_ingest")


@pytest.fixture(scope="module")
def trained(airflow: Airflow, backfilled: Any, loop: Loop) -> dict[str, str]:
    """The first model, approved by a person."""
    return airflow.trigger("flights_retrain", reason="the first model")


@pytest.fixture(scope="module")
def rolled_out(airflow: Airflow, trained: Any, loop: Loop) -> dict[str, dict[str, str]]:
    """Its rollout, on the release's event, in the real scoring service."""
    with scorer(loop.settings.home / "scorer.log"):
        return airflow.ring("flights_rollout")


def test_a_backfill_ingests_each_interval_of_its_own(backfilled: dict[str, dict[str, str]], loop: Loop) -> None:
    assert len(backfilled) == 2
    assert all(set(states.values()) == DONE for states in backfilled.values())
    assert loop.lake.intervals("flights") == {week.start for week in WEEKS[:2]}
    assert loop.lake.read("carrier_delay").num_rows > 0


def test_what_a_backfill_publishes_is_marked_and_leads_to_no_decision(backfilled: Any, airflow: Airflow) -> None:
    events = airflow.send("GET", "/assets/events?source_dag_id=flights_ingest")["asset_events"]
    # Other tests of the session may have ingested through the same Airflow, as scheduled runs.
    told = [(event["source_run_id"].startswith("backfill__"), event["extra"]["backfill"]) for event in events]
    assert [marked for of_backfill, marked in told if of_backfill] == [True, True]
    assert not any(marked for of_backfill, marked in told if not of_backfill)
    [(run_id, states)] = airflow.ring("flights_monitor").items()
    assert set(states.values()) == DONE
    assert airflow.result("flights_monitor", run_id, "decide")["retrain"] is False
    assert airflow.ring("flights_retrain") == {}


def test_a_batch_before_any_champion_scores_nothing_and_ends_green(backfilled: Any, airflow: Airflow, loop: Loop) -> None:
    states = airflow.trigger("flights_score", **WEEKS[0].to_json())
    assert states.pop("score") == "skipped"
    assert set(states.values()) == DONE
    assert "predictions" not in loop.lake.tables()


def test_a_model_is_trained_judged_approved_by_a_named_person_and_released(trained: dict[str, str], loop: Loop) -> None:
    assert set(trained.values()) == DONE, [(entry.action, entry.reason) for entry in loop.ledger.entries("flights")]
    entries = loop.ledger.entries("flights")
    asked, registered, _, approved, released = entries[:5]
    assert [entry.action for entry in entries[:5]] == ["retrain_asked", "registered", "gate_passed", "approved", "released"]
    assert (asked.actor, asked.reason, approved.actor) == ("ann", "the first model", "ann")
    assert (registered.subject, registered.evidence["asked_in"]) == (released.subject, [asked.seq])


def test_the_release_event_leads_through_the_real_scorer_to_a_champion(rolled_out: Any, loop: Loop) -> None:
    [states] = rolled_out.values()
    assert set(states.values()) == DONE
    _, state = loop.ledger.head("flights")
    assert state.champion == loop.ledger.entries("flights", action="released")[0].subject
    assert state.stage == "idle"


def test_an_arrival_is_ingested_without_anybody_naming_it(rolled_out: Any, airflow: Airflow, loop: Loop) -> None:
    from everloop.demo import airline

    airline.arrive(loop.settings.connection("airline"), loop.settings.landing, WEEKS[2])
    states = airflow.trigger("flights_ingest")
    assert set(states.values()) == DONE
    assert loop.lake.intervals("flights") == {week.start for week in WEEKS}
    again = airflow.trigger("flights_ingest")
    assert again.pop("plan") == "success"
    assert set(again.values()) == {"skipped"}


def test_a_live_interval_is_monitored(rolled_out: Any, airflow: Airflow, loop: Loop) -> None:
    [states] = airflow.ring("flights_monitor").values()
    assert set(states.values()) == DONE
    assert loop.measurements.cursor("flights", "monitor") == WEEKS[2].end


def test_a_batch_is_scored_by_the_champion_and_written_back(rolled_out: Any, airflow: Airflow, loop: Loop) -> None:
    import pyarrow.parquet as pq
    from psycopg import connect as database

    states = airflow.trigger("flights_score", **WEEKS[2].to_json())
    assert states == dict.fromkeys(("plan", "score", "publish", "write_back", "write_files"), "success")
    predictions = loop.lake.read("predictions").sort_by("key")
    assert predictions.num_rows == loop.lake.read("flights", interval=WEEKS[2]).num_rows > 2 * 2_000
    assert set(predictions["release"].to_pylist()) == {loop.ledger.head("flights")[1].champion}
    file = f"{loop.settings.outbox}/flights/interval=2013-01-15T0000/predictions.parquet"
    assert pq.read_table(file, partitioning=None).equals(predictions)
    with database(loop.settings.connection("airline")) as airline:
        written = airline.execute('SELECT key, score FROM delay_predictions ORDER BY key COLLATE "C"').fetchall()
    assert written == list(zip(predictions["key"].to_pylist(), predictions["score"].to_pylist(), strict=True))


def test_a_refused_candidate_ends_green_with_nothing_after_the_gate(rolled_out: Any, airflow: Airflow, loop: Loop) -> None:
    before = loop.ledger.head("flights")[1]
    states = airflow.trigger("flights_retrain", drill=True, reason="will the gate refuse it?")
    assert (states["gate"], states["approve"], states["release"]) == ("success", "skipped", "skipped")
    assert loop.ledger.entries("flights")[-1].action == "gate_failed"
    assert loop.ledger.head("flights")[1] == before


def test_a_rollback_without_an_earlier_release_fails_and_says_so(rolled_out: Any, airflow: Airflow, loop: Loop) -> None:
    states = airflow.trigger("flights_rollback", reason="by hand")
    assert states["rollback"] == "failed"


def test_the_daily_upkeep_works_for_every_use_case(rolled_out: Any, airflow: Airflow) -> None:
    assert set(airflow.trigger("everloop_upkeep").values()) == DONE


def test_the_loops_page_is_served_inside_airflow(rolled_out: Any, airflow: Airflow) -> None:
    page = airflow.api.get("/everloop/flights")
    assert page.status_code == 200
    assert "the first model" in page.text
    assert airflow.api.get("/everloop/flights", headers={"Authorization": "Bearer nonsense"}).status_code in (401, 403)
    views = [view for plugin in airflow.send("GET", "/plugins")["plugins"] for view in plugin["external_views"]]
    assert [view["href"] for view in views if view["name"] == "everloop"] == ["/everloop/"]


def test_the_source_is_watched_for_arrivals(airflow: Airflow) -> None:
    [(classpath, arguments)] = airflow.watchers()
    assert classpath == "everloop.workflow.triggers.ArrivalTrigger"
    assert arguments["connection"] == "airline"
