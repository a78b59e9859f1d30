"""Who answers each row of a batch, by which release, and what is left to score in shadow. Pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from everloop.serve.answering.arms import CHALLENGER, CHAMPION, paired
from everloop.serve.answering.batch import Answered, Batch, Shadowed, Spoken, Trial
from everloop.serve.answering.telling import told_by_row
from everloop.serve.block import FEW
from everloop.serve.features.vectors import Vectors
from everloop.serve.release import LoadedRelease
from everloop.serve.request import Answer

if TYPE_CHECKING:
    import pyarrow as pa


def answer(batch: Batch, champions: Vectors, trials: Vectors | None) -> Answered:
    """Score a batch. `champions`: stored features of all rows by the champion's plan; `trials`: of the challenged ones by the
    challenger's, `None` when it is not loaded or has none to answer.

    A challenger that fails costs nobody an answer: its rows get the champion's, and its failure is logged.
    """
    batch.began, challenged = time.perf_counter(), batch.challenged
    other = _challenger(batch, challenged, trials) if challenged else None
    fallen = set(challenged) if other and other.error else set()
    own = [row for row, arm in enumerate(batch.arms) if arm.arm == CHAMPION or row in fallen] if challenged else None
    first = _attempt(batch.serving.champion, batch, own, champions)
    spoken = Spoken(first, other, fallen)
    shadowed = _shadowed(batch, spoken, champions)
    if len(batch.requests) == 1 and len(batch.block) > FEW and (told := _by_column(batch, spoken)):
        return Answered([told[0]], (), shadowed, bool(first.error or fallen), told[1])
    answers, records = told_by_row(batch, spoken)
    return Answered(answers, records, shadowed, bool(first.error or fallen))


def _challenger(batch: Batch, rows: list[int], vectors: Vectors | None) -> Trial:
    serving = batch.serving
    if serving.trial is None or vectors is None:
        name = serving.state.shadow or ""
        return Trial(name, {}, error=serving.problem or f"release {name} is not loaded")
    return _attempt(serving.trial, batch, rows, vectors)


def _attempt(release: LoadedRelease, batch: Batch, rows: list[int] | None, vectors: Vectors) -> Trial:
    """Score `rows` (all for `None`), whose features are in `vectors`, or in their places of those of all rows.

    Whatever the release raises becomes the trial's error, since its code came with the release.
    """
    block = batch.block
    place: Mapping[int, int] | range = range(len(block))
    if rows is not None:
        place = {row: i for i, row in enumerate(rows)}
        if not rows:
            return Trial(release.id, place)
        block = block.take(rows)
        vectors = vectors.take(rows) if len(vectors.flags) == len(batch.block) else vectors
    started = time.perf_counter()
    explain = batch.requests[0].explain
    try:
        scored = release.score(block, vectors, explain)
    except Exception as error:
        return Trial(release.id, place, error=f"{type(error).__name__}: {error}")
    return Trial(release.id, place, scored, seconds=time.perf_counter() - started)


def _by_column(batch: Batch, spoken: Spoken) -> tuple[Answer, list[pa.RecordBatch]] | None:
    """The same by column; `None` where a release's own code made values that no column holds."""
    from everloop.serve.columns.telling import told

    try:
        return told(batch, spoken)
    except (ValueError, TypeError, OverflowError):
        return None


def _shadowed(batch: Batch, spoken: Spoken, champions: Vectors) -> list[Shadowed]:
    """The rows that the other release is still to score: after its answer, no row waits for it.

    Those of the sample; and all that the champion failed on, or nobody could tell its own errors from those that no release can
    help. Where the challenger has failed on the same request, nothing is left to ask.
    """
    if (trial := batch.serving.trial) is None or not paired(batch.serving.state):
        return []
    failed = spoken.first.error is not None
    if failed and spoken.fallen:
        return []
    wanted = [
        row for row, arm in enumerate(batch.arms) if row not in spoken.fallen and (arm.shadow or (failed and arm.arm == CHAMPION))
    ]
    names = [(request.id, number, request.at) for request in batch.requests for number in range(len(request.block))]
    found = []
    for arm, release in ((CHAMPION, trial), (CHALLENGER, batch.serving.champion)):
        if rows := [row for row in wanted if batch.arms[row].arm == arm]:
            same = release.features.views == batch.serving.champion.features.views
            vectors = champions.take(rows) if same else None
            block = batch.block.take(rows)
            found.append(Shadowed(release, batch.requests[0].use_case, [names[row] for row in rows], block, vectors))
    return found
