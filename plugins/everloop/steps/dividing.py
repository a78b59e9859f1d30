"""The good and the bad rows of one table and interval, batch by batch: by its contract, its keys and its suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everloop.errors import DataError
from everloop.ports import Batches, Checks, Validation
from everloop.steps.repeated import RepeatedKeys

if TYPE_CHECKING:
    import numpy.typing as npt

    from everloop.interval import Interval
    from everloop.use_case import SourceTable

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

EXPECTATIONS = "_expectations"
PROBLEM = "_problem"
CONTRACT = "contract"
FRAME_ROWS = 300_000
"""Up to how many rows Great Expectations itself judges, on a pandas frame: beyond, the same suite compiled, in one pass.

In benchmarks/results/validation.json a million rows and 60 expectations take it 55 s and 1.4 GB, the compiled form 0.5 s.
"""


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What is wrong with which rows, ascending, beside what each row shows by itself.

    `repeated`: numbers of the rows whose key an earlier one has. `broken`: rules of the suite and the rows that break them,
    numbered among those that the suite was given: rows that keep the contract and repeat no key. `counts`: rows by rule.
    `bad`: bad rows in all.
    """

    repeated: Ints
    broken: Sequence[tuple[str, Ints]]
    counts: dict[str, int]
    bad: int
    warnings: tuple[str, ...]


def judged(checks: Checks, table: SourceTable, interval: Interval, raw: Batches, run: str, frame_rows: int) -> Verdicts:
    """Every row held to the contract, its key and the suite; `DataError` when nothing of the interval may be published."""
    where = f'Table "{table.name}", interval {interval}'
    if not raw.num_rows and not table.may_be_empty:
        raise DataError(
            f"{where}: the source gave no row. Wait for it, or set may_be_empty=True on "
            f"SourceTable(name={table.name!r}) if that is right"
        )
    repeated, counts, sound = _by_contract(raw, table, interval)
    validation = Validation(suite=table.suite, evaluated=0)
    if sound:
        validation = _by_suite(checks, table, interval, raw, repeated, sound, run, frame_rows)
        _refuse_blocked(validation, where)
    broken = [
        (f"{failure.expectation}({failure.column})", np.unique(np.array(failure.rows, np.int64)))
        for failure in validation.failures
        if failure.severity == "quarantine"
    ]
    for rule, rows in broken:
        counts[rule] += len(rows)
    bad = raw.num_rows - sound + len(np.unique(np.concatenate([_NONE, *(rows for _, rows in broken)])))
    _refuse_too_many(bad, raw.num_rows, counts, table, where)
    warnings = tuple(failure.text for failure in validation.failures if failure.severity == "warn")
    return Verdicts(repeated=repeated, broken=broken, counts=dict(counts), bad=bad, warnings=warnings)


def divided(raw: Batches, table: SourceTable, interval: Interval, verdicts: Verdicts) -> Iterator[tuple[pa.RecordBatch, ...]]:
    """Good rows, and bad rows with the rules that each broke (`_expectations`), of one batch after the other."""
    given = 0
    for first, batch, fit in _numbered(raw, table, interval, verdicts.repeated):
        reasons: dict[int, list[str]] = {int(row): [] for row in np.flatnonzero(~fit)}
        for row, why in reasons.items():
            why += _told(batch, row, table, interval)
        for row in _between(verdicts.repeated, first, first + batch.num_rows):
            reasons[int(row - first)].append(_unique(table))
        suite_rows = np.flatnonzero(fit)
        for rule, rows in verdicts.broken:
            for row in suite_rows[_between(rows, given, given + len(suite_rows)) - given]:
                reasons.setdefault(int(row), []).append(rule)
        given += len(suite_rows)
        yield _apart(batch.drop_columns([PROBLEM]), reasons)


_NONE = np.array([], np.int64)


def _apart(batch: pa.RecordBatch, reasons: dict[int, list[str]]) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    places = sorted(reasons)
    good = np.ones(batch.num_rows, bool)
    good[places] = False
    told = pa.array([reasons[row] for row in places], pa.list_(pa.string()))
    return batch.filter(pa.array(good)), batch.take(pa.array(places, pa.int64())).append_column(EXPECTATIONS, told)


def _by_contract(raw: Batches, table: SourceTable, interval: Interval) -> tuple[Ints, Counter[str], int]:
    """Rows that repeat a key, how many rows break each rule of the contract, and how many none."""
    counts: Counter[str] = Counter()
    with RepeatedKeys(raw.num_rows) as keys:
        for first, batch, kept in _numbered(raw, table, interval, _NONE):
            counts[CONTRACT] += batch.num_rows - batch[PROBLEM].null_count
            counts[_within(table)] += int(np.count_nonzero(~_inside(batch, table, interval)))
            keys.add(batch.select(list(table.key)).filter(pa.array(kept)), np.flatnonzero(kept) + first)
            counts[""] += int(np.count_nonzero(kept))
        repeated = keys.found()
    sound = counts.pop("", 0) - len(repeated)
    counts[_unique(table)] += len(repeated)
    return repeated, +counts, sound


def _by_suite(
    checks: Checks, table: SourceTable, interval: Interval, raw: Batches, repeated: Ints, sound: int, run: str, frame_rows: int
) -> Validation:
    fit = (
        batch.drop_columns([PROBLEM]).filter(pa.array(fit)).replace_schema_metadata(None)
        for _, batch, fit in _numbered(raw, table, interval, repeated)
    )
    name = f"{run}/{interval.label}"
    if sound > frame_rows:
        return checks.validate_batches(fit, table.suite, name)
    return checks.validate(pa.Table.from_batches(list(fit)), table.suite, name)


def _numbered(
    raw: Batches, table: SourceTable, interval: Interval, repeated: Ints
) -> Iterator[tuple[int, pa.RecordBatch, Bools]]:
    """Each batch with the number of its first row, and which of its rows keep the contract and are not among `repeated`."""
    first = 0
    for batch in raw:
        kept = _inside(batch, table, interval) & pc.is_null(batch[PROBLEM]).to_numpy(zero_copy_only=False)
        kept[_between(repeated, first, first + batch.num_rows) - first] = False
        yield first, batch, kept
        first += batch.num_rows


def _between(rows: Ints, low: int, high: int) -> Ints:
    return rows[slice(*np.searchsorted(rows, (low, high)))]


def _inside(batch: pa.RecordBatch, table: SourceTable, interval: Interval) -> Bools:
    times = batch[table.event_time]
    inside = pc.and_(pc.greater_equal(times, interval.start), pc.less(times, interval.end))
    found: Bools = pc.fill_null(inside, False).to_numpy(zero_copy_only=False)
    return found


def _told(batch: pa.RecordBatch, row: int, table: SourceTable, interval: Interval) -> Iterator[str]:
    """What is wrong with one row by the contract."""
    if problem := batch[PROBLEM][row].as_py():
        yield f"{CONTRACT}({problem})"
    moment = batch[table.event_time][row].as_py()
    if moment is None or not interval.holds(moment):
        yield _within(table)


def _within(table: SourceTable) -> str:
    return f"within_interval({table.event_time})"


def _unique(table: SourceTable) -> str:
    return f"unique_key({','.join(table.key)})"


def _refuse_blocked(validation: Validation, where: str) -> None:
    if validation.blocking:
        found = "; ".join(failure.text for failure in validation.blocking)
        raise DataError(
            f'{where}: suite "{validation.suite}" blocks: {found}. Nothing was published. Mend the source and clear the run from '
            f'"extract" on, or change the expectation if the world has changed'
        )


def _refuse_too_many(bad: int, rows: int, counts: Counter[str], table: SourceTable, where: str) -> None:
    if rows and bad / rows > table.quarantine_limit:
        raise DataError(
            f"{where}: {bad} of {rows} rows would be quarantined, more than the limit of {table.quarantine_limit:.0%}: "
            f"{dict(counts)}. Nothing was published. Mend the source and clear the run, or raise "
            f"SourceTable(name={table.name!r}).quarantine_limit"
        )
