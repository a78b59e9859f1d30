"""A story as lines of text: each row with who, why, what followed, the checks and numbers it rests on, and its hash."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from everloop.decide.release.evidence import trial
from everloop.decide.release.state import ReleaseState
from everloop.ports import Entry
from everloop.steps.provenance import RECALIBRATION_WANTED
from everloop.steps.release import superseded
from everloop.steps.why.story import Story

WIDTH = 120
"""Longer evidence is cut in the text; the data (`--json`) hold it whole."""

ITEMS = 16
"""Of a mapping no more entries than this are listed."""


def lines(told: Story) -> Iterator[str]:
    """The story, oldest row first, between a line that says how the release stands and one that says how the chain does."""
    if told.rows == 0:
        yield f"The ledger of {told.use_case} is empty: nothing was ever decided"
        return
    yield f"{told.subject} of {told.use_case}: {_standing(told)}"
    if told.release and not any(entry.action == "registered" for entry in told.entries):
        yield f"No row says how {told.release} was trained: it was registered before the ledger kept that, or elsewhere"
    for entry in told.entries:
        yield from _row(entry, told)
    if told.broken:
        yield f"The chain of {told.use_case} is BROKEN: {told.broken}"
    else:
        yield f"The chain of {told.use_case} verifies: {told.rows} rows, the last one has hash {told.head}"


def when(moment: datetime) -> str:
    """A moment as the loop shows it."""
    return f"{moment:%Y-%m-%d %H:%M:%SZ}"


def _standing(told: Story) -> str:
    """Whether the release serves, and which row last said so or otherwise."""
    if told.release is None:
        return f"{len(told.entries)} rows"
    after = told.entries[-1].after
    if told.serving == told.release:
        began = [e for e in told.entries if e.before.champion != told.release and e.after.champion == told.release]
        since = f" since {when(began[-1].at)} (row {began[-1].seq})" if began else ""
        return f"it serves{since}" + (", watched" if trial(after)[0] == told.release else "")
    if told.release == after.challenger:
        return f"it is on trial ({after.stage.value}), {told.serving or 'nothing'} serves"
    about = [e for e in told.entries if e.seq not in told.asked_in]
    last = about[-1] if about else told.entries[-1]
    what = f"superseded by {last.subject}" if superseded(last) == told.release else last.action.replace("_", " ")
    return f"it does not serve, {told.serving or 'nothing'} does; last: {what} (row {last.seq})"


def _row(entry: Entry, told: Story) -> Iterator[str]:
    action = entry.action.replace("_", " ")
    yield f"{when(entry.at)}  row {entry.seq}  {action} {entry.subject} by {entry.actor}: {entry.reason}"
    if entry.seq in told.asked_in:
        made = "recalibration" if entry.action == RECALIBRATION_WANTED else "training"
        yield f"    asked for the {made} that made {told.release}"
    if (changed := _place(entry.after)) != _place(entry.before):
        yield f"    then: {changed}"
    yield from (f"    {line}" for line in _evidence(entry.evidence))
    yield f"    hash {entry.hash}"


def _place(state: ReleaseState) -> str:
    challenger = f", {state.challenger} on trial at {state.weight:.0%} of the traffic" if state.challenger else ""
    return f"{state.champion or 'nothing'} serves{challenger} ({state.stage.value})"


def _evidence(evidence: Mapping[str, Any]) -> Iterator[str]:
    """The reasons of a verdict with their numbers; other evidence as `name: value`, mappings entry by entry."""
    for reason in evidence.get("reasons", ()):
        yield f"{reason['outcome']:<12} {reason['check']}: {reason['text']}"
        if numbers := reason.get("numbers"):
            yield _folded(" " * 13 + ", ".join(f"{name} {_short(value)}" for name, value in sorted(numbers.items())))
    for name, value in sorted(evidence.items()):
        if name in ("reasons", "outcome") or value in (None, [], {}):
            continue
        if isinstance(value, Mapping) and not any(isinstance(item, Mapping | list) for item in value.values()):
            yield f"{name}:"
            yield from (f"  {key}: {_folded(_short(item))}" for key, item in sorted(value.items())[:ITEMS])
            yield from [f"  … {len(value) - ITEMS} more in --json"] if len(value) > ITEMS else []
        else:
            yield _folded(f"{name}: {_short(value)}")


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _folded(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[:WIDTH]}… ({len(line) - WIDTH} more characters in --json)"
