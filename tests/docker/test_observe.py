"""The dashboard and the alerts ask for metrics that the scorers export, and the alerts' numbers are those of the objectives."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from everloop.decide.policy import ServicePolicy
from everloop.serve.log.record import Record
from everloop.serve.log.status import Status, write_status
from everloop.serve.metrics import Metrics
from everloop.serve.observe.passage import Marks, Passage
from everloop.settings import PROJECT

DASHBOARD = PROJECT / "docker/grafana/everloop-scoring.json"
ALERTS = PROJECT / "docker/prometheus/alerts.yaml"
PAGE = PROJECT / "docs/observing.md"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool, of Debian's package prometheus, is not installed")

METRIC = re.compile(r"\b((?:everloop|process)_\w+)(?:\{([^}]*)\})?")
SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds to all that it scrapes."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Each series that a scorer exports once everything has happened to it, with the names of its labels."""
    folder, now = tmp_path_factory.mktemp("log"), datetime.now(UTC)
    told = Status(at=now, problem=None, unshipped_bytes=0, oldest_unshipped_at=None, shipped_rows=0, set_aside=0)
    write_status(folder, told)
    metrics = Metrics(folder)
    happen(metrics, now)
    metrics.flush()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def happen(metrics: Metrics, now: datetime) -> None:
    record = Record(
        use_case="trips",
        request_id="r",
        row_number=0,
        key="k",
        entity="e",
        at=now,
        as_of=now,
        arm="champion",
        rollout=None,
        release="r",
        score=0.5,
        decision=True,
        shadow_release=None,
        shadow_score=None,
        features={},
        flags=["stale:delays"],
        error="failed",
        latency_ms=1.0,
    )
    metrics.know("trips")
    metrics.answered("trips", "score", 200, 0.001)
    metrics.scored(Passage("r", time.perf_counter(), use_case="trips", told=1.0), 500, time.perf_counter())
    metrics.batch(Marks("trips", 0.0))
    metrics.answered_row(record)
    metrics.swapped("trips", 1.0)
    metrics.found("trips", "delays", "stale", 1)
    metrics.newest.note("trips", "delays", now)
    metrics.releases.labels("trips", "champion", "r", "xgboost").set(1)
    metrics.problem.labels("ledger").set(0)
    for gauge in (metrics.in_flight, metrics.trained_through, metrics.unserved, metrics.release_problem):
        gauge.labels("trips").set(1)
    for gauge in (metrics.promised_errors, metrics.promised_seconds):
        gauge.labels("trips").set(1)


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def shown() -> dict[str, str]:
    """The dashboard's expressions, by panel and letter."""
    found = {
        f"{panel['title']} {one['refId']}": one["expr"] for panel in dashboard()["panels"] for one in panel.get("targets", ())
    }
    return found | {f"annotation {one['name']}": one["expr"] for one in dashboard()["annotations"]["list"]}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def asked(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each series that an expression names, with the labels by which it picks."""
    for name, picked in METRIC.findall(expression):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', '""', picked)))


def grouped(expression: str) -> set[str]:
    return {label.strip() for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression) for label in labels.split(",")}


EXPRESSIONS = {**shown(), **{f"rule {rule.get('record') or rule['alert']} {n}": rule["expr"] for n, rule in enumerate(rules())}}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_asks_for_what_is_exported(name: str, exported: dict[str, set[str]]) -> None:
    expression = EXPRESSIONS[name].replace("$use_case", "trips")
    series = dict(asked(expression))
    assert set(series) <= set(exported)
    for metric, labels in series.items():
        assert labels <= exported[metric] | SCRAPED, metric
    known = set().union(SCRAPED, *(exported[metric] for metric in series)) | {"use_case"}
    assert grouped(expression) <= known
    assert series or "everloop:" in expression or "up{" in expression


def test_the_check_would_notice_a_metric_or_label_that_is_not_there(exported: dict[str, set[str]]) -> None:
    assert dict(asked('rate(everloop_rows_totals{arm="a=b", army=~"x"}[5m])')) == {"everloop_rows_totals": {"arm", "army"}}
    assert "everloop_rows_totals" not in exported
    assert "army" not in exported["everloop_rows_total"]


def test_every_metric_of_ours_is_on_the_dashboard_or_in_an_alert(exported: dict[str, set[str]]) -> None:
    used = {name for expression in EXPRESSIONS.values() for name, _ in asked(expression)}
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in used}
    ours = {re.sub("_(bucket|sum|count)$", "", name) for name in exported if name.startswith("everloop_")}
    assert {name for name in ours - families if not name.endswith("_created")} == set()


def test_names_have_prometheus_units_and_counters_end_in_total(exported: dict[str, set[str]]) -> None:
    assert [name for name in exported if re.search("_(ms|minutes|hours|kb|percent)(_|$)", name)] == []


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    panels = dashboard()["panels"]
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in panels}) == len(panels)


HOURS = {"5m": 1 / 12, "30m": 0.5, "1h": 1.0, "6h": 6.0, "3d": 72.0}
MONTH = 30 * 24
SPENT = {"1h": 0.02, "6h": 0.05, "3d": 0.10}
"""SRE Workbook, chapter 5: the share of a month's budget that is gone when an alert of this window fires."""


def burns(alert: str) -> list[tuple[float, str, str, dict[str, Any]]]:
    """Burn rate, long and short window of each rule of an alert."""
    found = []
    for rule in (rule for rule in alerts() if rule["alert"] == alert):
        windows = re.findall(r"ratio_rate(\w+)", rule["expr"])
        (rate,) = {float(rate) for rate in re.findall(r"> (?:on \(use_case\) )?([\d.]+) \*", rule["expr"])}
        found.append((rate, *windows, rule))
    return found


@pytest.mark.parametrize("alert", ["EverloopErrorBudgetBurns", "EverloopLatencyBudgetBurns"])
def test_burn_rates_spend_the_workbooks_share_of_a_months_budget(alert: str) -> None:
    assert {long for _, long, _, _ in burns(alert)} == set(SPENT)
    for rate, long, short, rule in burns(alert):
        assert rate * HOURS[long] / MONTH == pytest.approx(SPENT[long])
        assert HOURS[long] == pytest.approx(12 * HOURS[short])
        assert rule["labels"] == {"severity": "ticket" if rate < 6 else "page", "window": long}
        assert f"{SPENT[long]:.0%} of" in rule["annotations"]["summary"]


def test_a_ratio_is_taken_over_the_window_in_its_name() -> None:
    for rule in rules():
        if window := re.search(r"ratio_rate(\w+)$", rule.get("record", "")):
            assert set(re.findall(r"\[(\w+)\]", rule["expr"])) == {window[1]}


def test_a_total_outage_pages_within_minutes_whatever_the_objective() -> None:
    """All requests fail: the hour's window passes 14.4 times the budget after 14.4 times the objective of an hour."""
    seconds = 14.4 * ServicePolicy().error_rate * 3600
    assert seconds < 60


def test_every_alert_has_its_words_and_a_place_in_the_documentation() -> None:
    page = PAGE.read_text()
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        assert f"`{rule['alert']}`" in page, f"docs/observing.md does not say what to do at {rule['alert']}"


def test_the_documentation_names_no_metric_that_is_not_exported(exported: dict[str, set[str]]) -> None:
    named = set(re.findall(r"`(everloop_\w+)(?:\{[^}]*\})?`", PAGE.read_text()))
    assert named
    assert named <= set(exported) | {re.sub("_(bucket|sum|count)$", "", name) for name in exported}


@needs_promtool
def test_promtool_finds_the_rules_right_and_they_fire_when_they_should() -> None:
    for command in (["check", "rules", str(ALERTS)], ["test", "rules", str(Path(__file__).with_name("alerts.test.yaml"))]):
        done = subprocess.run([str(PROMTOOL), *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_reads_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    plain = {"$__rate_interval": "5m", "$use_case": "trips"}
    written = []
    for number, expression in enumerate(shown().values()):
        for variable, value in plain.items():
            expression = expression.replace(variable, value)
        written.append({"record": f"panel:{number}", "expr": expression})
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": written}]}))
    command = [str(PROMTOOL), "check", "rules", str(tmp_path / "rules.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
