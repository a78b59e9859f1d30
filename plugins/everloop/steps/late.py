"""Which intervals must be worked again: rows arrived late or were corrected, a run stopped half-way, a person repaired rows."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from everloop.interval import Interval
from everloop.ports import Account, Accounts, Lake, Measurements, Source
from everloop.steps import ingest
from everloop.use_case import SourceTable, UseCase

CURSOR = "changes:{table}"
"""The cursor of a table: until when (by the wall clock) its changes were looked for."""

IN_FLIGHT = timedelta(minutes=1)
"""How long before a reading a row may have been stamped that was not to be seen then, since its transaction still ran.

Most systems stamp a row when its transaction begins, and end it within milliseconds. One whose transactions last longer needs
`SourceTable.reread` too.
"""


def pending(
    source: Source, lake: Lake, measurements: Measurements, accounts: Accounts, use_case: UseCase, *, now: datetime
) -> list[Interval]:
    """The intervals that the lake lacks, and those that must be worked again; oldest first."""
    missing = ingest.pending(source, lake, use_case, now=now)
    return sorted({*missing, *again(source, lake, measurements, accounts, use_case, now=now)})


def again(
    source: Source, lake: Lake, measurements: Measurements, accounts: Accounts, use_case: UseCase, *, now: datetime
) -> list[Interval]:
    """The intervals that must be worked again, oldest first: open ones, changed ones, those that are read again every time.

    Published intervals of which a source has changed rows since they were read are noted as open before the tables' cursors
    move: whatever happens to the run, they are offered again until they were worked up to the online store.
    """
    published = set.intersection(*(lake.intervals(table.name) for table in use_case.sources))
    for table in use_case.sources:
        changed = _changed(source, measurements, accounts, use_case, table, published, now)
        if changed:
            accounts.open(use_case.name, changed, now, f"{table.name}: rows arrived late or were corrected")
        measurements.advance(use_case.name, CURSOR.format(table=table.name), now)
    reread = max(table.reread for table in use_case.sources)
    newest = sorted(published)[-reread:] if reread else []
    return sorted({*accounts.opened(use_case.name), *(Interval(start, start + use_case.interval) for start in newest)})


def seen(source: Source, use_case: UseCase, table: SourceTable, now: datetime) -> dict[datetime, datetime]:
    """What the source tells of changes just before `now`: these are not late for a reading that follows. By interval start."""
    return source.changes(table, now - IN_FLIGHT, now, use_case.start, use_case.interval)


def data_time(source: Source, use_case: UseCase, now: datetime) -> datetime:
    """Now in data time: the wall clock, but where a past world is played (`use_case.end`) how far all sources have come."""
    if use_case.end is None:
        return now
    marks = [mark for table in use_case.sources if (mark := source.watermark(table)) is not None]
    return min([now, use_case.end, *marks])


def _changed(
    source: Source,
    measurements: Measurements,
    accounts: Accounts,
    use_case: UseCase,
    table: SourceTable,
    published: Collection[datetime],
    now: datetime,
) -> list[Interval]:
    """The published intervals of which the source has changed rows after they were read.

    One that was published before accounts were kept counts as read when changes were first looked for.
    """
    cursor = measurements.cursor(use_case.name, CURSOR.format(table=table.name))
    since = None if cursor is None else cursor - IN_FLIGHT
    told = source.changes(table, since, now, use_case.start, use_case.interval)
    changes = {Interval(start, start + use_case.interval): at for start, at in told.items() if start in published}
    if not changes:
        return []
    read = {
        account.interval: account for account in accounts.read(use_case.name, intervals=changes) if account.table == table.name
    }
    return [interval for interval, at in changes.items() if _after(at, read.get(interval), cursor or now)]


def _after(changed: datetime, reading: Account | None, first_look: datetime) -> bool:
    """Whether a change came after the reading, or ran while it was made and was not seen."""
    if reading is None:
        return changed >= first_look
    return changed >= reading.at or (changed >= reading.at - IN_FLIGHT and changed != reading.seen)
