"""Which rows of the ledger tell the story of a release or a rollout, and whether the chain that they stand in is whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from everloop.decide.chain import GENESIS, plain
from everloop.decide.release.evidence import trial
from everloop.errors import ReleaseError
from everloop.ports import Entry, Ledger
from everloop.steps.provenance import ASKED, REGISTERED


@dataclass(frozen=True, kw_only=True)
class Story:
    """Every decision about `subject`, oldest first.

    `release`: whom it is about; `None` for what is neither a release, a rollout nor a run. `asked_in`: the rows among `entries`
    that asked for its training, which speak of the champion of then or of a run. `serving`: the champion now. `rows`, `head`: the
    length of the use case's whole chain and the hash of its last row. `broken`: what is wrong with the chain, if anything.
    """

    use_case: str
    subject: str
    release: str | None
    entries: tuple[Entry, ...]
    asked_in: frozenset[int]
    serving: str | None
    rows: int
    head: str
    broken: str | None


def story(ledger: Ledger, use_case: str, subject: str | None = None) -> Story:
    """The story of `subject`: a release, a rollout or a training run; by default the release on trial, or else the champion.

    A row belongs to it that names it, puts it on trial or ends that, makes or unmakes it champion, or asked for the training that
    made it, which the row `registered` says. A rollout's story is its own rows, and how its release came to it. `ReleaseError`
    when the ledger speaks of no such thing.
    """
    entries = ledger.entries(use_case)
    about = subject or _current(entries)
    release = _release_of(entries, about)
    chosen = [entry for entry in entries if concerns(entry, about)]
    if release and release != about:
        before = min((entry.seq for entry in chosen if entry.action not in (ASKED, REGISTERED)), default=0)
        chosen += [entry for entry in entries if entry.subject == release and entry.seq < before]
    asked_in = {seq for entry in chosen if entry.action == REGISTERED for seq in entry.evidence.get("asked_in", ())}
    told = {entry.seq for entry in chosen} | asked_in
    if about is not None and not told:
        known = ", ".join(dict.fromkeys(entry.subject for entry in entries)) or "nothing: it is empty"
        raise ReleaseError(f"No row of the ledger of {use_case} speaks of {about}; it speaks of {known}")
    return Story(
        use_case=use_case,
        subject=about or use_case,
        release=release,
        entries=tuple(entry for entry in entries if entry.seq in told),
        asked_in=frozenset(asked_in),
        serving=entries[-1].after.champion if entries else None,
        rows=len(entries),
        head=entries[-1].hash if entries else GENESIS,
        broken=ledger.verify(use_case),
    )


def concerns(entry: Entry, subject: str | None) -> bool:
    """Whether a row is about a release, rollout or run, puts it on trial or ends that, or makes or unmakes it champion."""
    if subject in (entry.subject, entry.evidence.get("run")):
        return True
    before, after = entry.before, entry.after
    if before == after:
        return False
    named = {before.rollout, after.rollout, before.challenger, after.challenger}
    return subject in (named if before.champion == after.champion else named | {before.champion, after.champion})


def to_json(told: Story) -> dict[str, Any]:
    """The story as data: every row whole, with its hashes, and how the chain stands."""
    chain = {"rows": told.rows, "head": told.head, "intact": told.broken is None, "broken": told.broken}
    rows: list[Mapping[str, Any]] = [plain(entry) for entry in told.entries]
    return {
        "use_case": told.use_case,
        "subject": told.subject,
        "release": told.release,
        "serving": told.serving,
        "asked_in": sorted(told.asked_in),
        "entries": rows,
        "chain": chain,
    }


def _current(entries: Sequence[Entry]) -> str | None:
    if not entries:
        return None
    state = entries[-1].after
    return trial(state)[0] or state.champion or entries[-1].subject


def _release_of(entries: Sequence[Entry], subject: str | None) -> str | None:
    """The release that `subject` is, that the rollout `subject` tried, or that the run `subject` made."""
    for entry in entries:
        after = entry.after
        if subject in (after.champion, after.challenger):
            return subject
        if subject is not None and subject == after.rollout:
            return trial(after)[0]
        if entry.action == REGISTERED and subject in (entry.subject, entry.evidence.get("run")):
            return entry.subject
        if entry.action in ("gate_passed", "gate_failed") and subject == entry.subject:
            return subject
    return None
