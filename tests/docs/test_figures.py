"""The figures that a page tells are those of the benchmarks' results: a run that changes them makes the page fail."""

from __future__ import annotations

import json
import re
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
        f"in {len(facts['weeks in which it fails'])} of {facts['weeks']} weeks",
        f"said not to be believed in {facts['failing weeks that it said not to believe']} of these",
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
