from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from everloop.adapters.ledger import PostgresLedger
from everloop.adapters.measurements import PostgresMeasurements
from everloop.console.app import PREFIX, create_app
from everloop.decide.release.state import ReleaseState, Stage
from everloop.interval import Interval
from everloop.ports import Decision, Measurement
from everloop.settings import Settings, read_settings

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NUMBERS = {"value": 0.7213, "low": 0.71, "high": 0.73}
GATE = {"reasons": [{"check": "gate.auc_floor", "outcome": "pass", "text": "AUC above the floor", "numbers": NUMBERS}]}
SERVING = ReleaseState(champion="aaaa", since=NOW)
CANARY = ReleaseState(champion="aaaa", challenger="bbbb", rollout="r1", stage=Stage.CANARY, weight=0.25, since=NOW)

Client = Callable[[str], TestClient]


@pytest.fixture
def settings(everloop_database: str, tmp_path: Path) -> Settings:
    environment = {
        "EVERLOOP_DATABASE": everloop_database,
        "EVERLOOP_MLFLOW": "http://127.0.0.1:9",
        "EVERLOOP_HOME": str(tmp_path),
    }
    return read_settings(environment)


@pytest.fixture
def ledger(settings: Settings) -> PostgresLedger:
    return PostgresLedger(settings.database)


@pytest.fixture
def client(settings: Settings) -> Client:
    """A browser in which a user of a role of Airflow's own (VIEWER, USER, OP, ADMIN) is signed in."""
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user

    create_auth_manager()

    def signed_in(role: str) -> TestClient:
        page, airflow = create_app(lambda: settings), FastAPI()
        if role:
            page.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="ann", role=role)
        airflow.mount(PREFIX, page)
        return TestClient(airflow)

    return signed_in


def write(ledger: PostgresLedger, *decisions: Decision) -> None:
    for decision in decisions:
        seq, _ = ledger.head("flights")
        ledger.append("flights", decision, expected=seq, at=NOW + timedelta(minutes=seq))


def decision(action: str, subject: str, after: ReleaseState, reason: str = "because", **evidence: object) -> Decision:
    return Decision(actor="everloop", action=action, subject=subject, after=after, reason=reason, evidence=evidence)


@pytest.fixture
def on_trial(ledger: PostgresLedger) -> PostgresLedger:
    write(
        ledger,
        decision("gate_passed", "aaaa", ReleaseState(), **GATE),
        decision("promoted", "aaaa", SERVING),
        decision("gate_failed", "bbbb", SERVING, "AUC 0.55 below the floor", **GATE),
        decision("forced", "bbbb", CANARY, "a drill"),
    )
    return ledger


def test_the_page_shows_who_serves_what_is_on_trial_and_why(client: Client, on_trial: PostgresLedger) -> None:
    page = client("VIEWER").get("/everloop/flights").text
    assert re.search(r"Serving</th><td><code>aaaa</code>", page)
    assert re.search(r"On trial</th><td><code>bbbb</code>, 25% of the traffic", page)
    assert '<li class="now ">canary 25%' in page
    assert "AUC 0.55 below the floor" in page
    assert "0.7213" in page
    assert "http://127.0.0.1:9/#/models/flights" in page


def test_a_paused_rollout_is_shown_where_the_pause_found_it(client: Client, on_trial: PostgresLedger) -> None:
    paused = replace(CANARY, stage=Stage.PAUSED, resume=Stage.CANARY, weight=0.0)
    write(on_trial, decision("paused", "bbbb", paused))
    assert '<li class="now held">canary 0%, paused' in client("VIEWER").get("/everloop/flights").text


def test_an_experiment_is_no_stage_of_a_rollout_and_can_be_ended_here(client: Client, on_trial: PostgresLedger) -> None:
    experiment = replace(CANARY, stage=Stage.EXPERIMENT, weight=0.5, rollout="flights/20260501T120000-ab")
    write(on_trial, decision("experiment_started", "flights/20260501T120000-ab", experiment))
    page = client("OP").get("/everloop/flights").text
    assert "50% of the traffic, in the experiment <code>flights/20260501T120000-ab</code>" in page
    assert 'class="now' not in page
    assert "<button>abort</button>" in page


def test_before_the_first_decision_the_page_says_what_to_do(client: Client) -> None:
    assert "trigger <code>flights_retrain</code>" in client("VIEWER").get("/everloop/flights").text
    assert "trigger its <code>_retrain</code>" in client("VIEWER").get("/everloop/").text


def test_the_list_names_every_use_case_that_decided(client: Client, on_trial: PostgresLedger) -> None:
    assert '<a href="/everloop/flights">flights</a>' in client("VIEWER").get("/everloop/").text


def test_everything_that_comes_from_outside_is_escaped(client: Client, ledger: PostgresLedger, settings: Settings) -> None:
    evil = '"><script>alert(1)</script>'
    write(ledger, Decision(actor=evil, action=evil, subject=evil, after=ReleaseState(champion=evil), reason=evil))
    write(ledger, decision("gate_passed", evil, ReleaseState(champion=evil), **GATE))
    week = Interval(NOW, NOW + timedelta(days=7))
    point = Measurement(interval=week, release=evil, kind=evil, subject=evil, value=1.0, verdict=evil)
    PostgresMeasurements(settings.database).write("flights", [point])
    page = client("ADMIN").get("/everloop/flights").text
    assert "<script>alert" not in page
    assert '"><' not in page.replace("&#34;&gt;", "").replace('"><title>', "")[: page.index("alert")]
    assert "&lt;script&gt;alert(1)" in page


def test_a_release_leads_to_its_whole_story(client: Client, on_trial: PostgresLedger) -> None:
    assert '<a href="/everloop/flights/why/bbbb"><code>bbbb</code></a>' in client("VIEWER").get("/everloop/flights").text
    page = client("VIEWER").get("/everloop/flights/why/bbbb").text
    assert "row 4  forced bbbb by everloop: a drill" in page
    assert "row 1  gate passed" not in page
    assert f"The chain of flights verifies: 4 rows, the last one has hash {on_trial.entries('flights')[-1].hash}" in page
    assert client("VIEWER").get("/everloop/flights/why/zzzz").status_code == 404
    assert client("").get("/everloop/flights/why/bbbb").status_code == 401


def test_a_story_escapes_what_comes_from_outside(client: Client, ledger: PostgresLedger) -> None:
    evil = '"><script>alert(1)</script>'
    write(ledger, Decision(actor=evil, action=evil, subject=evil, after=ReleaseState(champion=evil), reason=evil))
    found = client("VIEWER").get(f"/everloop/flights/why/{quote(evil)}")
    assert (found.status_code, "<script>alert" in found.text) == (200, False)
    assert "&lt;script&gt;alert(1)" in found.text


def test_measurements_become_charts_failing_subjects_first(client: Client, settings: Settings) -> None:
    weeks = [Interval(NOW + timedelta(days=7 * n), NOW + timedelta(days=7 * n + 7)) for n in range(3)]
    values = {"a_calm": ("pass", 0.1), "z_moved": ("fail", 0.4)}
    points = [
        Measurement(interval=week, release="aaaa", kind="drift", subject=subject, value=value, verdict=verdict)
        for week in weeks
        for subject, (verdict, value) in values.items()
    ]
    PostgresMeasurements(settings.database).write("flights", points)
    page = client("VIEWER").get("/everloop/flights").text
    assert page.count("<circle") == 6
    assert page.index("z_moved") < page.index("a_calm")
    assert '<b class="fail">0.4</b>' in page


def served(release: str, verdict: str, **changes: object) -> Measurement:
    """What the monitor writes of the features that a release was served."""
    sound = {"rows": 500, "equal": 500, "low": 0.992, "high": 1.0, "unavailable": 0, "differing": {}, "features": {}}
    week = Interval(NOW, NOW + timedelta(days=7))
    detail = sound | {"not_replayed": [], "worst": [], "because": "", "reasons": []} | changes
    return Measurement(interval=week, release=release, kind="parity", subject="window", value=1.0, verdict=verdict, detail=detail)


def test_parity_shows_which_features_differ_and_the_rows_to_look_at(
    client: Client, on_trial: PostgresLedger, settings: Settings
) -> None:
    one = {"feature": "schedule__weekday", "served": 3, "replayed": 4, "status": "computed"}
    row = {"request_id": "q-17", "key": "UA-1", "as_of": "2013-04-01T12:00:00+00:00", "differences": [one]}
    failing = {
        "equal": 490,
        "differing": {"schedule__weekday": 10},
        "features": {"schedule__weekday": {"rows": 500, "equal": 490}},
        "worst": [row],
        "unavailable": 4,
    }
    found = [served("aaaa", "pass"), served("bbbb", "fail", **failing), served("long gone", "fail")]
    PostgresMeasurements(settings.database).write("flights", found)
    page = client("VIEWER").get("/everloop/flights").text
    parity = page[page.index("<h2>Parity") : page.index("<h2>Ledger")]
    assert "<code>aaaa</code> in" in parity
    assert '<b class="fail">fail</b>,\n490 of 500 sampled rows equal' in parity
    assert "4 more served while the online store was away" in parity
    assert "<td><code>schedule__weekday</code></td><td>10</td><td>98.00%</td>" in parity
    assert "<td><code>q-17</code></td><td>UA-1</td><td>2013-04-01T12:00:00+00:00</td>" in parity
    assert "<td>3</td><td>4</td><td>computed</td>" in parity
    assert "long gone" not in parity


def test_without_a_measured_parity_the_page_shows_no_empty_table(client: Client, on_trial: PostgresLedger) -> None:
    assert "<h2>Parity" not in client("VIEWER").get("/everloop/flights").text


def test_without_a_log_in_nothing_is_shown(client: Client, on_trial: PostgresLedger) -> None:
    assert client("").get("/everloop/flights").status_code == 401
    assert client("").get("/everloop/").status_code == 401
    assert client("").post("/everloop/flights", data={"action": "pause", "reason": "x"}).status_code == 401


def test_who_may_only_look_sees_no_buttons_and_cannot_press_them(client: Client, on_trial: PostgresLedger) -> None:
    viewer = client("VIEWER")
    assert "<button>" not in viewer.get("/everloop/flights").text
    assert viewer.post("/everloop/flights", data={"action": "abort", "reason": "x"}).status_code == 403
    assert on_trial.head("flights")[0] == 4


def test_a_form_of_another_site_is_refused(client: Client, on_trial: PostgresLedger) -> None:
    form, foreign = {"action": "abort", "reason": "x"}, {"sec-fetch-site": "cross-site"}
    assert client("ADMIN").post("/everloop/flights", data=form, headers=foreign).status_code == 403
    assert on_trial.head("flights")[0] == 4


def test_only_buttons_that_can_work_are_offered(client: Client, on_trial: PostgresLedger) -> None:
    assert re.findall(r"<button>(\w+)</button>", client("OP").get("/everloop/flights").text) == ["pause", "skip", "abort"]


def test_a_button_writes_the_decision_in_the_name_of_who_pressed_it(client: Client, on_trial: PostgresLedger) -> None:
    page = client("OP").post("/everloop/flights", data={"action": "pause", "reason": "the phone rang"}).text
    assert "pause:" in page
    last = on_trial.entries("flights")[-1]
    assert (last.actor, last.action, last.after.stage) == ("ann", "paused", Stage.PAUSED)
    assert "the phone rang" in last.reason


def test_pause_resume_and_abort_lead_back_to_the_champion(client: Client, on_trial: PostgresLedger) -> None:
    for action in ("pause", "resume", "abort"):
        client("OP").post("/everloop/flights", data={"action": action, "reason": "by hand"})
    assert [entry.action for entry in on_trial.entries("flights", after=4)] == ["paused", "resumed", "rolled_back"]
    assert on_trial.head("flights")[1].champion == "aaaa"
    assert on_trial.head("flights")[1].stage is Stage.IDLE


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"action": "abort", "reason": "  "}, "needs a reason"),
        ({"action": "explode", "reason": "x"}, "must be one of"),
        ({"action": "revert", "reason": "x", "to": "never"}, "never was champion"),
    ],
)
def test_what_cannot_be_done_is_said_and_writes_nothing(client: Client, on_trial: PostgresLedger, form: dict, said: str) -> None:
    assert said in client("OP").post("/everloop/flights", data=form).text
    assert on_trial.head("flights")[0] == 4


def test_pages_allow_the_browser_only_themselves(client: Client, on_trial: PostgresLedger) -> None:
    policy = client("VIEWER").get("/everloop/flights").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
