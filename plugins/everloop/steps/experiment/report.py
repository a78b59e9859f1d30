"""A readout for people: lines for the terminal, JSON for programs, a page that needs nothing but itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from everloop.decide.chain import plain
from everloop.decide.experiment.readout import Comparison, Readout
from everloop.steps.deciding import finite
from everloop.steps.experiment.watching import Standing

WIDTH = 320
"""Of the drawn intervals, in pixels."""


def document(use_case: str, standing: Standing, readout: Readout, now: datetime) -> dict[str, Any]:
    """All of it as JSON."""
    began, ended = standing.began, standing.ended
    end = {"at": ended.at, "action": ended.action, "reason": ended.reason, "actor": ended.actor} if ended else None
    told: dict[str, Any] = plain(
        {
            "use_case": use_case,
            "experiment": standing.experiment,
            "plan": standing.plan,
            "began": {"at": began.at, "reason": began.reason, "actor": began.actor},
            "ended": end,
            "read_at": now,
            "readout": finite(readout.to_json()),
        }
    )
    return told


def as_json(use_case: str, standing: Standing, readout: Readout, now: datetime) -> str:
    """`document` as text."""
    return json.dumps(document(use_case, standing, readout, now), indent=2) + "\n"


def lines(standing: Standing, readout: Readout) -> Iterator[str]:
    """The experiment, its conclusion, what it rests on, and each segment."""
    plan, ended = standing.plan, standing.ended
    yield f"{standing.experiment}: treatment {plan.treatment} at {plan.weight:.0%} against control {plan.control}"
    yield f"began {standing.began.at:%Y-%m-%d %H:%M}Z, {standing.began.reason}"
    if ended:
        yield f"ended {ended.at:%Y-%m-%d %H:%M}Z, {ended.action}: {ended.reason}"
    yield f"conclusion: {readout.conclusion}"
    yield from (f"  {reason.outcome:<12} {reason.text}" for reason in readout.verdict.reasons)
    yield from (f"  {one.name} {one.value}: {one.text(plan, share=plan.segment_limit)}" for one in readout.segments)


def page(use_case: str, standing: Standing, readout: Readout, now: datetime) -> str:
    """HTML without a script, a font or a picture from elsewhere."""
    pages = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    shown = [readout.overall, *readout.segments]
    return pages.get_template("report.html").render(
        told=document(use_case, standing, readout, now),
        rows=list(zip(shown, intervals(shown), strict=True)),
        width=WIDTH,
    )


def intervals(shown: Sequence[Comparison]) -> list[Mapping[str, float] | None]:
    """Where each interval is drawn, in pixels from the left, all on one scale; `None` where there is no effect to tell of."""
    told = [one for one in shown if one.difference is not None]
    reach = max((abs(edge) for one in told for edge in (one.low, one.high, one.margin) if edge is not None), default=1.0) or 1.0

    def place(value: float | None) -> float:
        return round(WIDTH / 2 * (1 + (value or 0.0) / reach), 1)

    return [
        None
        if one.difference is None or one.margin is None
        else {
            "low": place(one.low),
            "high": place(one.high),
            "at": place(one.difference),
            "from": place(-one.margin),
            "to": place(one.margin),
        }
        for one in shown
    ]
