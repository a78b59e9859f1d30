"""The figures that a page tells are those of the benchmarks' results: a run that changes them makes the page fail."""

from __future__ import annotations

import json
import re
import statistics
from typing import Any

import pytest

from benchmarks.record import RESULTS
from everloop.settings import PROJECT

MONTHS = ("April", "May", "June", "July", "August", "September", "October", "November", "December")


def result(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


def page(name: str) -> str:
    """Its text, each paragraph on one line."""
    return re.sub(r"\s+", " ", (PROJECT / "docs" / name).read_text())


def by_month() -> list[str]:
    """The rows of the table of the nine months."""
    cbpe, drift = result("cbpe"), result("drift")
    expected, true = (cbpe["samples"][f"{side} by month"] for side in ("expected", "true"))
    failed = {kind: drift["facts"][f"months that fail by {kind}"] for kind in ("drift", "label", "concept", "performance")}
    doubts = cbpe["facts"]["months that it said not to believe"]
    rows = []
    for i, month in enumerate(MONTHS):
        start = f"{i + 4:02}-01"
        numbers = [f"{side[name][i]:.3f}" for name in ("auc", "cost") for side in (expected, true)]
        kinds = ", ".join(kind for kind, starts in failed.items() if start in starts)
        cells = (month, *numbers, f"{drift['samples']['by month']['label_rate'][i]:.0%}", kinds, doubts.get(f"2013-{start}", ""))
        rows.append(re.sub(r"\s+", " ", "| " + " | ".join(cells) + " |"))
    return rows


@pytest.mark.parametrize("row", by_month())
def test_the_months_of_the_monitoring_page_are_those_of_the_results(row: str) -> None:
    assert row in page("monitoring.md")


def sentences() -> list[str]:
    cbpe, drift = result("cbpe"), result("drift")
    facts, ratios = cbpe["facts"], drift["ratios"]
    told = {
        kind: (
            round(8 * ratios[f"share of the losses that {kind} told a week or more before"]["value"]),
            drift["facts"][f"share of the losses that as many weeks drawn by lot tell before, {kind}"],
        )
        for kind in ("drift", "concept")
    }
    drawn = {name: count for name, count in drift["facts"].items() if name.startswith("windows of a ")}
    week, day = drawn.values()
    held = {name: facts[f"true {name} within its interval, by week"] for name in ("auc", "cost")}
    return [
        f"not to be believed in {facts['failing months that it said not to believe']} of these months, "
        f"and its interval held the truth in {facts['failing months of which its interval held the truth']}",
        f"in {len(facts['weeks in which it fails'])} of {facts['weeks']} weeks",
        f"said not to be believed in {facts['failing weeks that it said not to believe']} of these, "
        f"its interval held the truth in {facts['failing weeks of which its interval held the truth']}, "
        f"and {len(facts['weeks in which it fails and neither said so nor held the truth'])} went by",
        f"doubted {facts['weeks that it doubted although it was right']} weeks in which it was right",
        f"held the AUC in {held['auc']}, the cost in {held['cost']}",
        f"Drift told {told['drift'][0]} of the {len(drift['facts']['losses of performance'])} losses a week or more before",
        f"drawn by lot would have told {told['drift'][1]:.0%}",
        f"concept told {told['concept'][0]}, where chance tells {told['concept'][1]:.0%}",
        f"{week} windows of a week's size and {day} of a day's",
        f"on all {drift['facts']['of 19 days after the storm fail by drift']} days after",
        f"on {drift['facts']['of 19 days after the storm fail by label']} of them the label",
    ]


@pytest.mark.parametrize("sentence", sentences())
def test_the_figures_of_the_monitoring_page_are_those_of_the_results(sentence: str) -> None:
    assert sentence in page("monitoring.md")


def coverage() -> list[str]:
    """The rows of the table of the gate's intervals, and what the margin made of them."""
    facts = result("gate_coverage")["facts"]
    columns = (
        "days by lot, by days",
        "days by lot, by rows",
        *(f"weeks in a row, by {side}" for side in ("days", "rows", "weeks")),
    )
    rows = [
        f"| {name} | " + " | ".join(facts[f"{name}: held in"][column] for column in columns) + " |"
        for name in ("cost difference", "AUC difference", "AUC", "calibration error")
    ]
    wrong, right = (
        [facts[f"passes although {what} by more than the margin, {column}"] for column in columns[:4]]
        for what in ("costlier", "not costlier")
    )
    return [
        *rows,
        f"let on {wrong[0]} of those seen on days by lot ({wrong[1]} by rows) and {wrong[2]} of those seen on weeks in a row "
        f"({wrong[3]} by rows); of all others {right[0]} and {right[2]} ({right[1]} and {right[3]} by rows)",
    ]


@pytest.mark.parametrize("sentence", coverage())
def test_the_coverage_of_the_gates_intervals_is_that_of_the_results(sentence: str) -> None:
    assert sentence in page("decisions.md")


PEERS = ("everloop", "FastAPI", "KServe", "Ray Serve", "LitServe", "MLflow, tensor", "BentoML", "MLflow")
COLUMNS = (
    ("requests_per_second_1", ",.0f"),
    ("requests_per_second_16", ",.0f"),
    ("p50_ms_16", ".1f"),
    ("p99_ms_16", ".1f"),
    ("cpu_us_per_request", ",.0f"),
    ("memory_mb", ",.0f"),
    ("cold_start_seconds", ".1f"),
)


def median(measured: Any, side: str, what: str) -> float:
    return statistics.median(measured["samples"][side][what])


def services() -> list[str]:
    """The rows of the table of scoring services."""
    measured = result("serve")
    return [
        f"| {name} | " + " | ".join(format(median(measured, name, what), form) for what, form in COLUMNS) + " |" for name in PEERS
    ]


@pytest.mark.parametrize("row", services())
def test_the_services_of_the_scoring_page_are_those_of_the_results(row: str) -> None:
    assert row in page("scoring-inside.md")


def of(measured: Any, ratio: str) -> float:
    found: float = measured["ratios"][ratio]["value"]
    return found


def of_the_path() -> list[str]:
    path = result("serve_path")
    durable, shadow = (f"CPU of features from PostgreSQL, durable log{more} / no-op" for more in ("", ", shadow"))
    given = path["facts"]["CPU of everything in the request, fastest / no-op, 16 connections"]
    handler, disk = median(path, "no-op", "us_16"), path["facts"]["us in log, to the disk"]
    return [
        f"takes {given:.1f} times the CPU",
        f"{of(path, f'{durable}, 16 connections'):.1f} times with 16 clients",
        f"{of(path, f'{durable}, 1 connections'):.1f} with one",
        f"{of(path, f'{durable}, at 1000 a second'):.1f} at an even 1,000 requests a second",
        f"with a second release in shadow {of(path, f'{shadow}, 16 connections'):.1f}",
        f"the handler takes {handler:.0f} us, the fdatasync alone {disk:.0f}",
    ]


def of_tables() -> list[str]:
    tables = result("serve_arrow")
    whole, stored = (
        {engine: of(tables, f"rows a CPU second, {engine}, {rows} / {engine} engine alone") for engine in ("fastest", "xgboost")}
        for rows in ("everything in the table", "features from PostgreSQL")
    )
    return [
        f"{whole['fastest']:.0%} of pylignum's own rows a CPU second, {whole['xgboost']:.0%} of XGBoost's",
        f"{stored['fastest']:.0%} and {stored['xgboost']:.0%} with stored features",
    ]


def of_bad_hours() -> list[str]:
    reverts, soak, overload = map(result, ("serve_revert", "serve_soak", "serve_overload"))
    facts = soak["facts"]
    return [
        f"at most {of(reverts, 'seconds from the command to the last answer by the reverted release, longest'):.2f} s",
        f"{facts['workers killed']} workers were killed, PostgreSQL {facts['PostgreSQL killed and restarted']} times",
        f"{facts['answered']:,} of {facts['requests sent']:,} requests",
        f"{of(overload, 'p99 of accepted requests, 5 times capacity / 80 %'):.1f} times that at 80 %",
    ]


@pytest.mark.parametrize("sentence", [*of_the_path(), *of_tables(), *of_bad_hours()])
def test_the_speeds_of_the_scoring_page_are_those_of_the_results(sentence: str) -> None:
    assert sentence in page("scoring-inside.md")


KINDS = ("better by more than the margin", "within the margin", "worse by more than the margin")
SIDES = ("by expected loss", "default")


def of_few_labels() -> list[str]:
    found = result("small_data")
    facts = found["facts"]

    def shares(what: str) -> list[float]:
        return [found["samples"][f"{side}: {what}"]["share"][0] for side in SIDES]

    def row(name: str, *cells: str) -> str:
        return f"| {name} | {' | '.join(cells)} |"

    counts = [facts[f"use cases, {kind}"] for kind in KINDS]
    undecided = [
        sum(count * share for count, share in zip(counts, per_kind, strict=True)) / sum(counts)
        for per_kind in zip(*(shares(f"inconclusive, {kind}") for kind in KINDS), strict=True)
    ]
    told = [row(f"{kind}: let on", *(f"{share:.0%}" for share in shares(f"pass, {kind}"))) for kind in KINDS]
    told.append(row("inconclusive", *(f"{share:.0%}" for share in undecided)))
    for way in ("one look", "a look every week"):
        wrong, of = (
            shares(f"promotions worse by more than the margin, {way}"),
            [facts[f"{side}: promotions, {way}"] for side in SIDES],
        )
        lost = [facts[f"{side}: mean loss of a promotion, share of the cost, {way}"] for side in SIDES]
        cells = [f"{share:.0%} of {n}, {loss:.2%}" for share, n, loss in zip(wrong, of, lost, strict=True)]
        told.append(row(f"{way}: of those let on, worse by more than the margin, and mean loss", *cells))
    weeks = [facts[f"{side}: weeks until half are let on, {KINDS[0]}"] for side in SIDES]
    return [*told, f"half are let on within {weeks[0]:.0f} weeks of 750 labels, instead of {weeks[1]:.0f}"]


@pytest.mark.parametrize("sentence", of_few_labels())
def test_the_figures_of_few_labels_are_those_of_the_results(sentence: str) -> None:
    assert sentence in page("decisions.md")


def test_the_figures_of_the_demos_story_are_those_of_the_results() -> None:
    facts = result("demo_story")["facts"]
    written = [value for name, value in facts.items() if name.endswith("no more")]
    assert f"{sum(written)} of {3 * facts['salts']} ended with two promotions" in page("decisions.md")


WAYS = {
    "the first model for ever": "first model for ever",
    "a new model every week, always promoted": "every week, always promoted",
    "a new model every month, always promoted": "every month, always promoted",
    "everloop: its trigger, gate and rollout": "everloop",
    "the same, with recalibration": "everloop with recalibration",
    "**the same, with a new model by schedule too**": "everloop with recalibration and a schedule",
    "an oracle that knows each week beforehand which of all models will be best": "oracle",
    "the oracle's models, recalibrated every day on labels known by then": "recalibrated every day, oracle",
}
"""The ways of keeping a model good in the README's table, and what the benchmark calls each."""


def of_the_year() -> list[str]:
    facts = result("year")["facts"]
    rows = []
    for told, way in WAYS.items():
        cells = []
        for seed in ("", ", seed 11"):
            trainings = facts[f"trainings, {way.removeprefix('recalibrated every day, ')}{seed}"]
            above = "" if way == "oracle" else facts[f"cost above the oracle, {way}{seed}"].replace("%", " %")
            cells += [str(trainings), f"{facts[f'cost a flight, {way}{seed}']:.3f}", above]
        rows.append(f"| {told} | {' | '.join(cells)} |".replace("|  |", "| |"))
    return rows


@pytest.mark.parametrize("row", of_the_year())
def test_the_years_table_of_the_readme_is_that_of_the_results(row: str) -> None:
    assert row in re.sub(r"\s+", " ", (PROJECT / "README.md").read_text())


def of_the_ways() -> list[str]:
    """What the page on decisions says of the year: of models that never change, that change each week, and of the three loops."""
    found = result("year")
    facts, samples = found["facts"], found["samples"]
    first, weekly, monthly = (WAYS[name] for name in list(WAYS)[:3])
    plain, recalibrating, scheduled = (WAYS[name] for name in list(WAYS)[3:6])

    def mean(way: str, what: str) -> float:
        return statistics.mean(samples[way][what])

    def cost(way: str, how: str = "cost a flight") -> str:
        return f"{facts[f'{how}, {way}']:.3f}"

    best, daily = "cost a flight with each week's best threshold", "cost a flight, recalibrated every day"
    counts = [facts[f"recalibrations, {recalibrating}"].get(what, 0) for what in ("promoted", "rolled_back")]
    return [
        f"AUC {mean(weekly, 'auc'):.3f} on average against {mean(first, 'auc'):.3f} of the first model",
        f"calibration error {mean(weekly, 'ece'):.2f} against {mean(first, 'ece'):.2f}",
        f"the weekly models would cost {cost(weekly, best)}, the first one {cost(first, best)}, "
        f"the oracle's {cost('oracle', best)}",
        f"the weekly models would cost {cost(weekly, daily)}, the monthly ones {cost(monthly, daily)}, "
        f"the first one {cost(first, daily)}, the oracle's {cost('oracle', daily)}",
        f"{cost(plain)} as flights is set, {cost(recalibrating)} with recalibration, "
        f"{cost(scheduled)} with a new model by schedule too",
        f"these would cost {cost(recalibrating, daily)} and {cost(scheduled, daily)}",
        f"{counts[0]} recalibrations were promoted and {counts[1]} rolled back",
    ]


@pytest.mark.parametrize("sentence", of_the_ways())
def test_the_figures_of_the_year_are_those_of_the_results(sentence: str) -> None:
    assert sentence in page("decisions.md")
