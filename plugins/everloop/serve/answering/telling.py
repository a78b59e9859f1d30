"""The answers to a batch and its records for the log, row by row. Many rows are told by column: `columns.telling`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from everloop.serve.answering.arms import CHALLENGER, CHAMPION, Assignment
from everloop.serve.answering.batch import FELL_BACK, Batch, Spoken, Trial
from everloop.serve.block import rows_of
from everloop.serve.log.record import SHADOW_FAILED, Record
from everloop.serve.request import Answer, Request


def told_by_row(batch: Batch, spoken: Spoken) -> tuple[list[Answer], list[Record]]:
    """What each client gets, and what the log keeps of each row."""
    alone = spoken.other is None and spoken.first.scored is not None and batch.unscored is None
    return _told_of_one(batch, spoken.first) if alone else _Telling(batch, spoken).told()


def _told_of_one(batch: Batch, first: Trial) -> tuple[list[Answer], list[Record]]:
    """What `_Telling` says where the champion alone answered and there is nothing to say of another: nearly always."""
    scored, block, rollout = first.scored, batch.block, batch.serving.state.rollout
    assert scored is not None  # noqa: S101 - see `told_by_row`
    fields, vectors = rows_of(block.request, len(block)), rows_of(scored.vector, len(block))
    flags = [warned + earned for warned, earned in zip(block.flags, scored.flags, strict=True)]
    answers, records, row = [], [], 0
    for request in batch.requests:
        rows = slice(row, row + len(request.block))
        use_case, latency = request.use_case, (batch.began - request.began + first.seconds) * 1000
        records += [
            Record(
                use_case=use_case,
                request_id=request.id,
                row_number=one - row,
                key=block.keys[one],
                entity=batch.entities[one],
                at=request.at,
                as_of=block.as_of[one],
                arm=CHAMPION,
                rollout=rollout,
                release=first.release,
                score=scored.scores[one],
                decision=scored.decisions[one],
                shadow_release=None,
                shadow_score=None,
                features={"request": fields[one], "vector": vectors[one]},
                flags=list(flags[one]),
                error=None,
                latency_ms=latency,
            )
            for one in range(rows.start, rows.stop)
        ]
        count, shares = len(request.block), scored.contributions[rows] if scored.contributions is not None else None
        scores: list[float | None] = [*scored.scores[rows]]
        decisions: list[bool | None] = [*scored.decisions[rows]]
        who = [CHAMPION] * count, [first.release] * count
        answers.append(Answer(request.id, request.block.keys, scores, decisions, *who, flags[rows], shares))
        row = rows.stop
    return answers, records


class _Telling:
    """Puts together, row by row, what both releases said."""

    def __init__(self, batch: Batch, spoken: Spoken) -> None:
        self._batch, self._first, self._other, self._fallen = batch, spoken.first, spoken.other, spoken.fallen
        self._serving = batch.serving
        self._vectors = {
            id(trial): rows_of(trial.scored.vector, len(trial.place))
            for trial in (spoken.first, spoken.other)
            if trial and trial.scored
        }
        self._fields = rows_of(batch.block.request, len(batch.block))

    def told(self) -> tuple[list[Answer], list[Record]]:
        answers, records, row = [], [], 0
        for request in self._batch.requests:
            told = Answer(request.id, request.block.keys, [], [], [], [], [], [] if request.explain else None)
            for number in range(len(request.block)):
                records.append(self._row(row, request, number, told))
                row += 1
            answers.append(told)
        return answers, records

    def _row(self, row: int, request: Request, number: int, told: Answer) -> Record:
        arm, block = self._batch.arms[row], self._batch.block
        challenged = arm.arm == CHALLENGER and self._other is not None
        assigned = self._other if challenged and self._other else self._first
        answering = self._first if row in self._fallen else assigned
        flags = self._flags(row, arm, answering)
        score, decision = _said(answering, row, told, flags, CHAMPION if answering is self._first else CHALLENGER)
        fell, unscored = row in self._fallen, self._batch.unscored if _beside(arm, answering) else None
        return Record(
            use_case=request.use_case,
            request_id=request.id,
            row_number=number,
            key=block.keys[row],
            entity=self._batch.entities[row],
            at=request.at,
            as_of=block.as_of[row],
            arm=arm.arm,
            rollout=self._serving.state.rollout,
            release=assigned.release,
            score=None if fell else score,
            decision=None if fell else decision,
            shadow_release=self._first.release if fell else unscored,
            shadow_score=score if fell else None,
            features={"request": self._fields[row], "vector": self._vector(answering, row)},
            flags=list(flags),
            error=assigned.error,
            latency_ms=(self._batch.began - request.began + answering.seconds) * 1000,
        )

    def _flags(self, row: int, arm: Assignment, answering: Trial) -> tuple[str, ...]:
        flags = self._batch.block.flags[row]
        if answering.scored is not None:
            flags += answering.scored.flags[answering.place[row]]
        if row in self._fallen:
            flags += (FELL_BACK,)
        elif self._batch.unscored is not None and _beside(arm, answering):
            flags += (SHADOW_FAILED,)
        return flags

    def _vector(self, answering: Trial, row: int) -> Mapping[str, Any]:
        return self._vectors[id(answering)][answering.place[row]] if answering.scored else {}


def _beside(arm: Assignment, answering: Trial) -> bool:
    """Whether a row needs a score in shadow: one in the sample that was answered. That a release which is not loaded could not
    answer either says nothing of the row.
    """
    return arm.shadow and answering.error is None


def _said(answering: Trial, row: int, told: Answer, flags: tuple[str, ...], arm: str) -> tuple[float | None, bool | None]:
    """Add what a release said of a row to an answer."""
    told.arms.append(arm)
    told.releases.append(answering.release)
    told.flags.append(flags)
    scored = answering.scored
    if scored is None:
        told.scores.append(None)
        told.decisions.append(None)
        if told.contributions is not None:
            told.contributions.append({})
        return None, None
    place = answering.place[row]
    score, decision = scored.scores[place], scored.decisions[place]
    told.scores.append(score)
    told.decisions.append(decision)
    if told.contributions is not None and scored.contributions is not None:
        told.contributions.append(scored.contributions[place])
    return score, decision
