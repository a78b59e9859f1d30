"""Late and corrected rows of real flights, through the graphs and all real systems, and the commands that look after them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from everloop.adapters.database import connect as database
from everloop.cli import app
from everloop.interval import Interval
from everloop.stack.postgres import PostgresServer, create_databases
from everloop.steps import parity
from everloop.use_case import UseCase
from everloop.wiring import Loop, connect
from workflow.world import WEEKS, Airflow, environment, write_quick_dags

pytestmark = pytest.mark.timeout(600)
SOON = timedelta(minutes=10)
"""After the end of a week, and before the first observation of the weather in the next one counts."""
ASKED, LATER = WEEKS[1].end + SOON, WEEKS[2].end + SOON
REQUEST = {"carrier": "AA", "origin": "JFK", "dest": "LAX", "tailnum": None, "flight": 1}


@pytest.fixture(scope="module")
def loop(postgres_server: PostgresServer, flights: UseCase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """Two weeks have arrived."""
    from everloop.adapters.database import migrate
    from everloop.demo import airline

    create_databases(postgres_server.uri(), ["late_everloop", "late_airline"])
    source = postgres_server.uri("late_airline")
    with environment(tmp_path_factory.mktemp("late"), postgres_server.uri("late_everloop"), source) as settings:
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
def served(airflow: Airflow, loop: Loop) -> dict[str, Any]:
    """The two weeks are ingested, and a request is answered: its vector goes to the prediction log."""
    assert set(airflow.trigger("flights_ingest").values()) == {"success"}
    vector = online(loop, ASKED)
    log(loop, "before", ASKED, vector)
    return vector


@pytest.fixture(scope="module")
def corrected(airflow: Airflow, loop: Loop, served: dict[str, Any]) -> str:
    """Week 3 arrives, and with it a late and a corrected flight of week 1; the next run works both. Its id."""
    from everloop.demo import airline

    change(loop)
    airline.arrive(loop.settings.connection("airline"), loop.settings.landing, WEEKS[2])
    run = airflow.send("POST", "/dags/flights_ingest/dagRuns", {"logical_date": None, "conf": {}})
    assert set(airflow.finish("flights_ingest")[run["dag_run_id"]].values()) == {"success"}
    return str(run["dag_run_id"])


def change(loop: Loop) -> None:
    """A flight of the first week turns out to have been late, and one was not reported until now."""
    with psycopg.connect(loop.settings.connection("airline")) as connection:
        first = "carrier = 'AA' AND origin = 'JFK' AND dest = 'LAX' AND closed_at < '2013-01-02'"
        done = connection.execute(f"UPDATE flights SET arrival_delay = 999, updated_at = now() WHERE {first}")
        assert done.rowcount > 0
        connection.execute(
            "INSERT INTO flights SELECT carrier, 9999, tailnum, origin, dest, scheduled_departure, scheduled_arrival, distance, "
            f"departure_delay, arrival_delay, closed_at, now() FROM flights WHERE {first} LIMIT 1"
        )


def entity(loop: Loop, moment: datetime) -> pa.Table:
    fields = loop.features.plan().request
    kinds = {"string": pa.string(), "int": pa.int64(), "float": pa.float64(), "timestamp": pa.timestamp("us", "UTC")}
    columns = {name: pa.array([REQUEST.get(name)], kinds[kind]) for name, kind in fields.items()}
    return pa.table({**columns, "event_timestamp": pa.array([moment], pa.timestamp("us", "UTC"))})


def online(loop: Loop, moment: datetime) -> dict[str, Any]:
    asked = entity(loop, moment)
    return loop.features.online(asked).drop_columns(asked.column_names).to_pylist()[0]


def log(loop: Loop, key: str, moment: datetime, vector: dict[str, Any]) -> None:
    features = json.dumps({"request": REQUEST, "vector": vector})
    with database(loop.settings.database) as connection:
        connection.execute(
            "INSERT INTO prediction (use_case, request_id, row_number, key, entity, at, as_of, arm, release, score, features, "
            "flags, latency_ms) VALUES ('flights', %s, 0, %s, 'AA', now(), %s, 'champion', 'r1', 0.5, %s, '{}', 1)",
            (key, key, moment, features),
        )


def share(loop: Loop, week: Interval) -> float | None:
    parity.measure(loop.traffic, loop.features, loop.measurements, loop.use_case, [week])
    return loop.measurements.read("flights", kind="parity")[-1].value


def test_a_run_works_the_late_interval_with_the_one_that_came(corrected: str, airflow: Airflow, loop: Loop) -> None:
    worked = airflow.result("flights_ingest", corrected, "plan")
    assert worked == [WEEKS[0].to_json(), WEEKS[2].to_json()]
    assert 9999 in loop.lake.read("flights", interval=WEEKS[0])["flight"].to_pylist()
    assert loop.accounts.opened("flights") == {}


def test_nothing_is_left_to_do_after_it(corrected: str, airflow: Airflow) -> None:
    states = airflow.trigger("flights_ingest")
    assert (states.pop("plan"), set(states.values())) == ("success", {"skipped"})


def test_what_was_served_stays_as_it_was_and_what_is_served_now_is_corrected(
    corrected: str, loop: Loop, served: dict[str, Any]
) -> None:
    logged = [json.loads(text)["vector"] for text in loop.traffic.served("flights", WEEKS[2])["features"].to_pylist()]
    assert logged == [served]
    assert share(loop, WEEKS[2]) == 1.0
    asked = entity(loop, LATER)
    history = loop.features.history(asked).drop_columns(asked.column_names).to_pylist()[0]
    now = online(loop, LATER)
    assert now == history
    assert now["route_delay__rate_28d"] != served["route_delay__rate_28d"]
    log(loop, "after", LATER, now)
    assert share(loop, Interval(LATER - SOON, LATER + SOON)) == 1.0


def test_the_history_of_the_weeks_before_does_not_see_the_correction(corrected: str, loop: Loop, served: dict[str, Any]) -> None:
    asked = entity(loop, ASKED)
    assert loop.features.history(asked).drop_columns(asked.column_names).to_pylist() == [served]


def run(*words: str) -> tuple[int, str]:
    answer = CliRunner().invoke(app, list(words), catch_exceptions=False)
    return answer.exit_code, answer.output


def test_the_accounts_add_up_and_the_command_tells_when_they_do_not(corrected: str, loop: Loop) -> None:
    code, told = run("accounts", "flights")
    assert (code, "flights: all accounts add up" in told) == (0, True)
    assert "flights  2013-01-01T0000 to 2013-01-15T0000  3 intervals" in told
    rows = loop.lake.read("planes", interval=WEEKS[0])
    loop.lake.replace("planes", rows.slice(1), WEEKS[0])
    code, told = run("accounts", "flights")
    assert code == 1
    assert f"planes 2013-01-01T0000: the account says {rows.num_rows} rows published, the lake holds {rows.num_rows - 1}" in told
    loop.lake.replace("planes", rows, WEEKS[0])


def test_a_row_that_was_put_aside_is_repaired_by_its_file_and_reaches_the_features(
    corrected: str, airflow: Airflow, loop: Loop, tmp_path: Path
) -> None:
    with psycopg.connect(loop.settings.connection("airline")) as connection:
        connection.execute(
            "UPDATE flights SET distance = -5, updated_at = now() WHERE flight = 9999 AND carrier = 'AA'",
        )
    assert set(airflow.trigger("flights_ingest").values()) == {"success"}
    _, told = run("quarantine", "list", "flights")
    assert "flights  2013-01-01T0000  1 rows" in told
    file = tmp_path / "rows.csv"
    assert run("quarantine", "show", "flights", "flights", "--interval", "2013-01-01", "--csv", str(file))[0] == 0
    file.write_text(file.read_text().replace("-5.0", "2475.0"))
    code, told = run("quarantine", "repair", "flights", "flights", str(file), "--reason", "the distance of JFK to LAX")
    assert (code, told.splitlines()[0]) == (0, "1 rows published, 0 stay in quarantine, 0 as they were")
    assert "open  2013-01-01T0000  1 rows of flights were repaired" in run("accounts", "flights")[1]
    assert set(airflow.trigger("flights_ingest").values()) == {"success"}
    assert 9999 in loop.lake.read("flights", interval=WEEKS[0])["flight"].to_pylist()
    assert loop.accounts.opened("flights") == {}
    assert run("accounts", "flights")[0] == 0
    assert loop.ledger.entries("flights", action="repaired")[0].reason == "the distance of JFK to LAX"
