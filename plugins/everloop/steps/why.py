"""Why a release serves, or does not: its rows of the ledger in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from everloop.decide.release.evidence import trial
from everloop.decide.release.state import ReleaseState
from everloop.ports import Entry, Ledger


def why(ledger: Ledger, use_case: str, subject: str | None = None) -> list[str]:
    """Every decision about `subject`, oldest first, each with the checks it rests on, as lines of text.

    `subject`: a release or a rollout; by default the release on trial, or else the champion.
    """
    entries = ledger.entries(use_case)
    if not entries:
        return [f"The ledger of {use_case} is empty: nothing was ever decided"]
    about = subject or trial(entries[-1].after)[0] or entries[-1].after.champion or entries[-1].subject
    lines = [line for entry in entries if concerns(entry, about) for line in _told(entry)]
    if not lines:
        known = list(dict.fromkeys(entry.subject for entry in entries))
        return [f"No row of the ledger of {use_case} speaks of {about}; it speaks of {', '.join(known)}"]
    return [f"{about} of {use_case}", *lines]


def concerns(entry: Entry, subject: str) -> bool:
    """Whether a row is about a release or rollout, puts it on trial, or makes or unmakes it champion."""
    before, after = entry.before, entry.after
    named = {entry.subject, before.rollout, after.rollout, before.challenger, after.challenger}
    return subject in (named if before.champion == after.champion else named | {before.champion, after.champion})


def _told(entry: Entry) -> Iterator[str]:
    action = entry.action.replace("_", " ")
    yield f"{entry.at:%Y-%m-%d %H:%M:%SZ}  row {entry.seq}  {action} {entry.subject} by {entry.actor}: {entry.reason}"
    if (changed := _place(entry.after)) != _place(entry.before):
        yield f"    then: {changed}"
    yield from (f"    {line}" for line in _checks(entry.evidence))


def _place(state: ReleaseState) -> str:
    trial = f", {state.challenger} on trial at {state.weight:.0%} of the traffic" if state.challenger else ""
    return f"{state.champion or 'nothing'} serves{trial} ({state.stage.value})"


def _checks(evidence: Mapping[str, Any]) -> Iterator[str]:
    """The reasons of a verdict; other evidence as `name: value`."""
    for reason in evidence.get("reasons", ()):
        yield f"{reason['outcome']:<12} {reason['check']}: {reason['text']}"
    for name, value in evidence.items():
        if name not in ("reasons", "outcome"):
            yield f"{name}: {value}"
