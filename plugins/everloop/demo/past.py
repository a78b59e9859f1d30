"""What must not change when an interval of the past is worked again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from psycopg import sql

from everloop.adapters.database import connect
from everloop.steps.prediction_log import TABLE as LOG
from everloop.steps.score.planning import TABLE as SCORES

if TYPE_CHECKING:
    from everloop.wiring import Loop

_DIGEST = "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t"


def fingerprints(loop: Loop) -> dict[str, str]:
    """The version of every lake table that ingestion writes, every online table's content as MD5, and who serves: name to value.

    Batch scores and the daily upkeep write their own tables whenever they run, at midnight for instance.
    """
    tables = {f"lake: {name}": str(loop.lake.version(name)) for name in loop.lake.tables() if name not in (SCORES, LOG)}
    return tables | _online(loop) | {"champion": str(loop.ledger.head(loop.use_case.name)[1].champion)}


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The names whose value is not the same."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _online(loop: Loop) -> dict[str, str]:
    found = {}
    with connect(loop.settings.database) as connection:
        for view in loop.features.plan().views:
            schema, _, table = view.table.partition(".")
            row = connection.execute(sql.SQL(_DIGEST).format(sql.Identifier(schema, table))).fetchone()
            found[f"online: {view.name}"] = str(row[0]) if row else ""
    return found
