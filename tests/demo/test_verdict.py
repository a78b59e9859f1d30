from __future__ import annotations

from typing import Any

import pytest

from everloop.demo.verdict import shortfalls


def report(**changes: Any) -> dict[str, Any]:
    """A story that ended well, with changes."""
    decisions = [
        ("promoted", "a"),
        ("gate_passed", "b"),
        ("promoted", "b"),
        ("gate_failed", "d"),
        ("forced", "d"),
        ("rolled_back", "d"),
    ]
    told = {
        "releases": [{"release": name, "drill": name == "d"} for name in "abcd"],
        "decisions": [{"action": action, "subject": subject} for action, subject in decisions],
        "comparisons": [{"labelled_rows": 6_177}],
        "under_way": None,
        "refused_requests": [],
        "interrupted_requests": 12,
        "changed_by_backfilling_march_again": [],
        "failed_tasks": [],
    }
    return told | changes


def without(*rows: tuple[str, str]) -> list[dict[str, str]]:
    return [decision for decision in report()["decisions"] if (decision["action"], decision["subject"]) not in rows]


def test_a_story_that_shows_everything_ends_well_though_the_service_was_away_for_a_while() -> None:
    assert shortfalls(report()) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"decisions": without(("promoted", "b"))}, "1 of 2 releases were promoted"),
        (
            {"decisions": without(("promoted", "b")), "under_way": "b is in canary: 60 requests wanted"},
            "1 of 2 releases were promoted; b is in canary: 60 requests wanted",
        ),
        ({"decisions": without(("gate_failed", "d"))}, "the gate refused no release that had learnt from shuffled labels"),
        ({"decisions": without(("rolled_back", "d"))}, "no release that had learnt from shuffled labels was rolled back"),
        (
            {"decisions": [*without(), {"action": "promoted", "subject": "d"}]},
            "a release that had learnt from shuffled labels was promoted",
        ),
        (
            {"comparisons": [{"labelled_rows": 0}]},
            "no new champion could be compared with the one before it on the same labelled flights",
        ),
        (
            {"refused_requests": ["score 422: no such airport", "score 422: no"]},
            "the scoring service refused 2 requests, the first: score 422: no such airport",
        ),
        ({"changed_by_backfilling_march_again": ["lake: flights"]}, "backfilling March again changed lake: flights"),
        (
            {"failed_tasks": [{"dag": "flights_score", "run": "r1", "task": "plan"}]},
            "task plan of run r1 of flights_score failed: see its log in Airflow's UI",
        ),
    ],
)
def test_each_shortfall_is_told(changes: dict[str, Any], told: str) -> None:
    assert shortfalls(report(**changes)) == [told]


def test_another_release_s_refusal_and_roll_back_are_not_the_drill_s() -> None:
    others = [{"action": "gate_failed", "subject": "c"}, {"action": "rolled_back", "subject": "c"}]
    found = shortfalls(report(decisions=[*without(("gate_failed", "d"), ("rolled_back", "d")), *others]))
    assert len(found) == 2


def test_all_shortfalls_are_told_together() -> None:
    nothing = report(releases=[], decisions=[], comparisons=[], changed_by_backfilling_march_again=["champion"])
    assert len(shortfalls(nothing)) == 5
