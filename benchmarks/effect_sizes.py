"""Drift as it was judged before releases kept what ordinary windows show: by effect sizes alone, with inputs left aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from everloop.decide.policy import DriftPolicy
from everloop.decide.verdict import Verdict
from everloop.decide.watch import drift
from everloop.decide.watch.shift import Shift

IGNORED = (
    "weather_hourly__temp",
    "weather_hourly__dewp",
    "origin_delay__rate_7d",
    "origin_delay__rate_28d",
    "carrier_delay__rate_7d",
    "carrier_delay__rate_28d",
    "carrier_delay__flights_28d",
)
"""What the shipped use case had to leave aside: what follows the season, and what has one value a week for each of a few."""


def before(*, listed: bool) -> DriftPolicy:
    """The shipped use case's policy as it was, with its list or without."""
    return DriftPolicy(share=0.4, outside_rate=None, ignore=IGNORED if listed else ())


def as_it_was(shifts: Mapping[str, Shift], score: Shift, *, listed: bool) -> Verdict:
    """The verdict on a window by that policy."""
    columns = {name: replace(shift, ordinary=None) for name, shift in shifts.items()}
    return drift.judge(columns, replace(score, ordinary=None), before(listed=listed))


def held_out(reference: Mapping[str, Any]) -> dict[str, Any]:
    """The score of a reference as it was: the counts are those of the held-out rows alone."""
    score = reference["score"]
    return {"edges": score["edges"], "counts": score["residuals"]["rows"]}
