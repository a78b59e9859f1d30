"""Whether the story ended as it should, by the ledger and by what was counted on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PROMOTIONS = 2
"""The first release, and one that replaces it."""


def shortfalls(report: Mapping[str, Any]) -> list[str]:
    """Everything that the story must have shown and did not, in words; empty when it ended well.

    Two releases were promoted, none of them a drill's; the gate refused the drill's, and the canary rolled it back. How much
    better a new champion is, the account tells: what it is by chance decides nothing here.
    """
    return [*_decisions(report), *_counted(report)]


def _decisions(report: Mapping[str, Any]) -> Iterator[str]:
    drills = {release["release"] for release in report["releases"] if release["drill"]}
    done = [(decision["action"], decision["subject"] in drills) for decision in report["decisions"]]
    promoted = done.count(("promoted", False))
    if promoted < PROMOTIONS:
        waiting = report["under_way"]
        yield f"{promoted} of {PROMOTIONS} releases were promoted" + (f"; {waiting}" if waiting else "")
    if ("gate_failed", True) not in done:
        yield "the gate refused no release that had learnt from shuffled labels"
    if ("rolled_back", True) not in done:
        yield "no release that had learnt from shuffled labels was rolled back"
    if ("promoted", True) in done:
        yield "a release that had learnt from shuffled labels was promoted"
    if not any(comparison["labelled_rows"] for comparison in report["comparisons"]):
        yield "no new champion could be compared with the one before it on the same labelled flights"


def _counted(report: Mapping[str, Any]) -> Iterator[str]:
    if refused := report["refused_requests"]:
        yield f"the scoring service refused {len(refused)} requests, the first: {refused[0][:300]}"
    if changed := report["changed_by_backfilling_march_again"]:
        yield f"backfilling March again changed {', '.join(changed)}"
    for task in report["failed_tasks"]:
        yield f"task {task['task']} of run {task['run']} of {task['dag']} failed: see its log in Airflow's UI"
