"""The statements of the online store, as text: one read of all views for many requests, the guarded upsert, the tables.

Imports no driver: any runs them. `paramstyle` is `"numeric"` (`$1`: asyncpg,
PostgreSQL itself) or `"format"` (`%s`: psycopg).

    read = online_read(plan, "numeric")                     # once per release; read.sql is constant text: prepare it
    records = await connection.fetch(read.sql, *read.parameters(rows))          # one record per row, in the order of rows
    stored = read.split(records[0])                         # for each view its row, see `judged.Stored`, or None

    # Connections that read: SESSION as their settings. Seven times faster for one request, since the plan is made once.

    write = online_upsert(view, "numeric")                  # for a push
    n = await connection.fetchval(write.sql, *write.parameters(rows))           # the number of rows of the table that changed
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from typing import Any, Literal

from everloop.adapters.features.stores.judged import Stored
from everloop.release import FeaturePlan, ViewPlan

Paramstyle = Literal["numeric", "format"]

SESSION = {"plan_cache_mode": "force_generic_plan"}
"""Session settings for reading: planning seven lookups takes 0.6 ms, running them 0.1; PostgreSQL plans again after ANALYZE."""

POSTGRES_TYPES = {
    "string": "text",
    "int": "bigint",
    "float": "double precision",
    "bool": "boolean",
    "timestamp": "timestamptz",
}

TIMES = {"event_timestamp": "timestamp", "created": "timestamp"}
"""The two columns that every online table has beside join keys and features."""

NEWEST = "online.newest"
"""The latest event time of each view's table, kept by its writers: to look it up costs the same whatever the table's length."""

NEWEST_READ = f"SELECT view, event_timestamp FROM {NEWEST} WHERE view = ANY({{}})"

MATERIALIZING = "online.materializing"
"""How far a materialization has come, by its rows' origin; gone when it is through."""


@dataclass(frozen=True)
class OnlineRead:
    """A read of all views. A record holds of each view the two times, then its features; `ends`: where each view's part ends."""

    sql: str
    keys: tuple[str, ...]
    ends: tuple[int, ...]

    def parameters(self, rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        """One array per join key; a key that a row lacks is null, and its views are absent."""
        return [[row.get(key) for row in rows] for key in self.keys]

    def split(self, record: Sequence[Any]) -> list[Stored | None]:
        """The row of each view; `None` where the store has none."""
        values, begin = tuple(record), 0
        found: list[Stored | None] = []
        for end in self.ends:
            event = values[begin]
            found.append(None if event is None else (event, values[begin + 1], values[begin + 2 : end]))
            begin = end
        return found


@dataclass(frozen=True)
class OnlineUpsert:
    """A guarded upsert of rows that hold all of `columns`; it returns the number of rows of the table that changed."""

    sql: str
    columns: tuple[str, ...]

    def parameters(self, rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        """One array per column; a value that a row lacks is null."""
        return [[row.get(column) for row in rows] for column in self.columns]


def online_read(plan: FeaturePlan, paramstyle: Paramstyle = "numeric") -> OnlineRead:
    """The statement that reads every view of `plan` for any number of requests."""
    keys = {key: kind for view in plan.views for key, kind in view.join_keys.items()}
    names = ", ".join(_quoted([*keys, "n"]))
    columns = [(*TIMES, *view.features) for view in plan.views]
    selected = ", ".join(f"v{i}.{column}" for i, of in enumerate(columns) for column in _quoted(of))
    joins = "\n".join(_lookup(view, f"v{i}") for i, view in enumerate(plan.views))
    rows = f"unnest({_arrays(keys.values(), paramstyle)}) WITH ORDINALITY AS r ({names})"
    sql = f"SELECT {selected}\nFROM {rows}\n{joins}\nORDER BY r.n"
    return OnlineRead(sql, tuple(keys), tuple(accumulate(map(len, columns))))


def online_upsert(view: ViewPlan, paramstyle: Paramstyle = "numeric") -> OnlineUpsert:
    """The upsert of rows given as one array per column. An older `(event_timestamp, created)` never overwrites a newer one."""
    columns = online_columns(view)
    source = f"unnest({_arrays(columns.values(), paramstyle)}) AS r ({', '.join(_quoted(columns))})"
    return OnlineUpsert(upsert_from(view, source), tuple(columns))


def upsert_from(view: ViewPlan, source: str) -> str:
    """The guarded upsert from a FROM item `source` that has the view's columns.

    Of several rows of one key the latest counts. A correction with the same event time lands; equal rows are left untouched.
    Rows without a join key or a time are no feature rows. The one record that it returns is the number of rows that changed.
    """
    rest = _quoted([*view.features, *TIMES])
    return f"""WITH changed AS (
INSERT INTO {view.table} AS t ({", ".join(_quoted(online_columns(view)))})
{_latest_of(view, source)}
ON CONFLICT ({_keys(view)}) DO UPDATE SET ({", ".join(rest)}) = ROW({_of("excluded", rest)})
WHERE {_guard("excluded", rest)}
RETURNING t.event_timestamp
), noted AS (
{_note(view, "changed")}
)
SELECT count(*) FROM changed"""


def merge_from(view: ViewPlan, source: str) -> str:
    """The effect of `upsert_from` on the view's table, in half the time where keys are new. Its row count: how many changed.

    It finds the stored rows by one join, and inserts without ON CONFLICT's search and token for each row. So a key that another
    transaction brings meanwhile is a unique violation. PostgreSQL 15 or newer.
    """
    columns, rest = _quoted(online_columns(view)), _quoted([*view.features, *TIMES])
    on = " AND ".join(f"o.{key} = t.{key}" for key in _quoted(view.join_keys))
    return f"""MERGE INTO {view.table} AS t
USING ({_latest_of(view, source)}) AS o ON {on}
WHEN MATCHED AND {_guard("o", rest)} THEN UPDATE SET ({", ".join(rest)}) = ROW({_of("o", rest)})
WHEN NOT MATCHED THEN INSERT ({", ".join(columns)}) VALUES ({_of("o", columns)})"""


def note_newest(view: ViewPlan, source: str) -> str:
    """Note the latest event of the rows in `source`, which were offered: one that did not land met a newer one, noted before."""
    return _note(view, f"{source} WHERE {_present(view)}")


def online_columns(view: ViewPlan) -> dict[str, str]:
    """The columns of the view's online table, name to type: join keys, features, the two times."""
    return {**view.join_keys, **view.features, **TIMES}


def create_table(view: ViewPlan) -> list[str]:
    """The statements that make the view's table, or add the columns that it lacks; none ever drops what a release may read."""
    schema = view.table.split(".", 1)[0]
    keys = [f"{_quote(name)} {POSTGRES_TYPES[kind]} NOT NULL" for name, kind in view.join_keys.items()]
    times = [f"{name} timestamptz NOT NULL" for name in TIMES]
    primary = f"PRIMARY KEY ({', '.join(_quoted(view.join_keys))})"
    return [
        f"CREATE SCHEMA IF NOT EXISTS {schema}",
        f"CREATE TABLE IF NOT EXISTS {NEWEST} (view text PRIMARY KEY, event_timestamp timestamptz NOT NULL)",
        f"CREATE TABLE IF NOT EXISTS {MATERIALIZING} (origin text PRIMARY KEY, version bigint NOT NULL, done bigint NOT NULL)",
        f"CREATE TABLE IF NOT EXISTS {view.table} ({', '.join([*keys, *times, primary])})",
        *(
            f"ALTER TABLE {view.table} ADD COLUMN IF NOT EXISTS {_quote(name)} {POSTGRES_TYPES[kind]}"
            for name, kind in view.features.items()
        ),
    ]


def _latest_of(view: ViewPlan, source: str) -> str:
    """Of the feature rows in `source` the latest of each key, sorted by key, so that two writers lock in the same order."""
    return f"""SELECT DISTINCT ON ({_keys(view)}) {", ".join(_quoted(online_columns(view)))} FROM {source}
WHERE {_present(view)}
ORDER BY {_keys(view)}, event_timestamp DESC, created DESC"""


def _present(view: ViewPlan) -> str:
    """Whether a row of the view has all that makes it a feature row."""
    return " AND ".join(f"{column} IS NOT NULL" for column in _quoted([*view.join_keys, *TIMES]))


def _guard(offered: str, columns: Iterable[str]) -> str:
    """Whether an offered row takes the place of the stored one, `t`: not older, and not the same."""
    return (
        f"({offered}.event_timestamp, {offered}.created) >= (t.event_timestamp, t.created)"
        f" AND ({_of(offered, columns)}) IS DISTINCT FROM ({_of('t', columns)})"
    )


def _note(view: ViewPlan, events: str) -> str:
    """Keep `NEWEST` in step with the event times in `events`: what follows FROM."""
    return f"""INSERT INTO {NEWEST} AS n (view, event_timestamp)
SELECT '{view.table}', max(event_timestamp) FROM {events} HAVING count(*) > 0
ON CONFLICT (view) DO UPDATE SET event_timestamp = excluded.event_timestamp WHERE excluded.event_timestamp > n.event_timestamp"""


def _of(side: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{side}.{column}" for column in columns)


def _keys(view: ViewPlan) -> str:
    return ", ".join(_quoted(view.join_keys))


def _lookup(view: ViewPlan, alias: str) -> str:
    """The join that finds one view's row."""
    on = " AND ".join(f"{alias}.{key} = r.{key}" for key in _quoted(view.join_keys))
    return f"LEFT JOIN {view.table} AS {alias} ON {on}"


def _arrays(kinds: Iterable[str], paramstyle: Paramstyle) -> str:
    """The placeholders of one array per type, cast, as arguments of unnest."""
    marks = (f"${n}" if paramstyle == "numeric" else "%s" for n in count(1))
    return ", ".join(f"{mark}::{POSTGRES_TYPES[kind]}[]" for kind, mark in zip(kinds, marks, strict=False))


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(names: Iterable[str]) -> list[str]:
    return [_quote(name) for name in names]
