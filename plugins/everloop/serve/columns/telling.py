"""Many rows of one request, told by column: the answer, and what the log keeps of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from everloop.kinds import ARROW_TYPES
from everloop.serve.answering.arms import CHALLENGER, CHAMPION
from everloop.serve.answering.batch import FELL_BACK, Batch, Spoken, Trial
from everloop.serve.block import take
from everloop.serve.columns.featured import REQUEST, VECTOR
from everloop.serve.columns.flags import listed
from everloop.serve.columns.moments import Moments
from everloop.serve.log.record import SHADOW_FAILED
from everloop.serve.request import Answer


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows (`None`: all) that have all but their values in common. `said`: who answered; `asked`: who was to."""

    rows: Sequence[int] | None
    said: Trial
    asked: Trial
    arm: str
    flags: list[tuple[str, ...]]

    @property
    def fell(self) -> bool:
        return self.said is not self.asked


def told(batch: Batch, spoken: Spoken) -> tuple[Answer, list[pa.RecordBatch]]:
    """What the client of a batch's only request gets, and a record batch of the log for each release that was to answer.

    Those have the columns of `log.record.Record`; in place of `features` a column `request.<field>` for each field and
    `vector.<view>__<feature>` for each feature, in their own types. Raises `ValueError`, `TypeError` or `OverflowError` for
    values of which Arrow makes no column.
    """
    parts = _parts(batch, spoken)
    return _answer(batch, parts), [_logged(batch, part) for part in parts]


def _parts(batch: Batch, spoken: Spoken) -> list[_Part]:
    first, other = spoken.first, spoken.other
    if other is None:
        return [_part(batch, None, first, first, CHAMPION)]
    challenged = batch.challenged
    own = [row for row, arm in enumerate(batch.arms) if arm.arm == CHAMPION]
    found = [(own, first, first, CHAMPION), (challenged, first if spoken.fallen else other, other, CHALLENGER)]
    return [_part(batch, *one) for one in found if one[0]]


def _part(batch: Batch, rows: Sequence[int] | None, said: Trial, asked: Trial, arm: str) -> _Part:
    flags = batch.block.flags if rows is None else take(batch.block.flags, rows)
    if said.scored is not None:
        earned = _of(said, rows, said.scored.flags)
        # Rows without any flag, which most are, share one empty tuple.
        flags = earned if not any(flags) else [one + two for one, two in zip(flags, earned, strict=True)]
    if said is not asked:
        flags = [(*one, FELL_BACK) for one in flags]
    elif batch.unscored is not None and said.error is None:
        arms = batch.arms if rows is None else take(batch.arms, rows)
        flags = [(*one, SHADOW_FAILED) if arm.shadow else one for one, arm in zip(flags, arms, strict=True)]
    return _Part(rows, said, asked, arm, flags)


def _of(trial: Trial, rows: Sequence[int] | None, column: Any) -> Any:
    """The values that a release gave for rows of the batch."""
    if rows is None or (isinstance(trial.place, Mapping) and len(rows) == len(trial.place)):
        return column
    return take(column, [trial.place[row] for row in rows])


def _answer(batch: Batch, parts: Sequence[_Part]) -> Answer:
    request = batch.requests[0]
    answers = [_said(request.id, batch, part, request.explain) for part in parts]
    if len(parts) == 1:
        return answers[0]
    order = np.argsort(np.concatenate([np.asarray(part.rows) for part in parts])).tolist()

    def whole(name: str) -> list[Any]:
        found: list[Any] = take([value for answer in answers for value in getattr(answer, name)], order)
        return found

    contributions = whole("contributions") if all(answer.contributions is not None for answer in answers) else None
    return Answer(
        request.id,
        request.block.keys,
        scores=whole("scores"),
        decisions=whole("decisions"),
        arms=whole("arms"),
        releases=whole("releases"),
        flags=whole("flags"),
        contributions=contributions,
    )


def _said(request: str, batch: Batch, part: _Part, explain: bool) -> Answer:
    keys = batch.block.keys if part.rows is None else take(batch.block.keys, part.rows)
    scores, decisions = _scores(part, len(keys))
    arms = [CHAMPION if part.fell else part.arm] * len(keys)
    shares = part.said.scored.contributions if part.said.scored else [{}] * len(part.said.place)
    contributions = _of(part.said, part.rows, shares) if explain and shares is not None else None
    return Answer(request, keys, scores, decisions, arms, [part.said.release] * len(keys), part.flags, contributions)


def _scores(part: _Part, rows: int) -> tuple[list[Any], list[Any]]:
    if part.said.scored is None:
        return [None] * rows, [None] * rows
    return _of(part.said, part.rows, part.said.scored.scores), _of(part.said, part.rows, part.said.scored.decisions)


def _logged(batch: Batch, part: _Part) -> pa.RecordBatch:
    block = batch.block if part.rows is None else batch.block.take(part.rows)
    request, rows, serving = batch.requests[0], len(block), batch.serving
    scores, decisions = _scores(part, rows)
    nothing: list[None] = [None] * rows
    columns = {
        "use_case": _constant(request.use_case, rows),
        "request_id": _constant(request.id, rows),
        "row_number": pa.array(np.arange(rows) if part.rows is None else part.rows, pa.int64()),
        "key": pa.array(block.keys, pa.string()),
        "entity": pa.array(batch.entities if part.rows is None else take(batch.entities, part.rows), pa.string()),
        "at": Moments.all_at(request.at, rows).arrow(),
        "as_of": Moments.of(block.as_of).arrow(),
        "arm": _constant(part.arm, rows),
        "rollout": _constant(serving.state.rollout, rows),
        "release": _constant(part.asked.release, rows),
        "score": pa.array(nothing if part.fell else scores, pa.float64()),
        "decision": pa.array(nothing if part.fell else decisions, pa.bool_()),
        "shadow_release": _shadows(batch, part, rows),
        "shadow_score": pa.array(scores if part.fell else nothing, pa.float64()),
        "flags": listed(part.flags),
        "error": _constant(part.asked.error, rows),
        "latency_ms": pa.array(np.full(rows, (batch.began - request.began + part.said.seconds) * 1000)),
        **_features(batch, part, block.request),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _shadows(batch: Batch, part: _Part, rows: int) -> pa.Array:
    """Which release stands for the score in shadow; one that is to score later says so itself.

    That a release which is not loaded could not answer either, says nothing of rows without an answer.
    """
    unscored = batch.unscored
    if part.fell or unscored is None or part.said.error is not None:
        return _constant(part.said.release if part.fell else None, rows)
    arms = batch.arms if part.rows is None else take(batch.arms, part.rows)
    return pa.array([unscored if arm.shadow else None for arm in arms], pa.string())


def _features(batch: Batch, part: _Part, fields: Mapping[str, Any]) -> dict[str, pa.Array]:
    kinds = batch.serving.champion.manifest.plan.request
    found = {
        f"{REQUEST}{name}": pa.array(column, ARROW_TYPES[kinds[name]]) if type(column) is list else column
        for name, column in fields.items()
    }
    for name, column in (part.said.scored.vector if part.said.scored else {}).items():
        values = _of(part.said, part.rows, column)
        found[f"{VECTOR}{name}"] = pa.array(values) if type(values) is list else values
    return found


def _constant(value: str | None, rows: int) -> pa.Array:
    if value is None:
        return pa.nulls(rows, pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int8)), pa.array([value]), safe=False)
