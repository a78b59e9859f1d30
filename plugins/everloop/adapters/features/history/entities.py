"""The entity rows of a retrieval: a frame, SQL over the lake, or all that became known in a time range."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df

from everloop.adapters.features.history.asof import AsofView
from everloop.errors import ConfigurationError, DataError
from everloop.kinds import TIMESTAMP
from everloop.ports import Lake

RANGE_MOMENT = "event_timestamp"
"""What the moment is called where no entity rows name it."""
RANGE_WITHOUT_TTL = timedelta(days=30)
"""How far before its end a range without start begins when no view has a TTL: Feast's own default."""


def entity_rows(lake: Lake, entity_df: pd.DataFrame | pa.Table | str) -> pa.Table:
    """What Feast's `entity_df` holds. SQL is DuckDB's, over the lake's tables by their names."""
    if isinstance(entity_df, pa.Table):
        return entity_df
    if isinstance(entity_df, pd.DataFrame):
        return pa.Table.from_pandas(entity_df, preserve_index=False).replace_schema_metadata(None)
    named = set(re.findall(r"\w+", entity_df))
    return lake.query(entity_df, {table: None for table in lake.tables() if table in named})


def moment_column(entities: pa.Table) -> str:
    """The column of entity times: `event_timestamp`, or the only column of times."""
    return str(infer_event_timestamp_from_entity_df(entities.schema.empty_table().to_pandas().dtypes.to_dict()))


def typed(entities: pa.Table, moment: str, views: Sequence[AsofView]) -> pa.Table:
    """`entities` with join keys in their declared types and the moment in UTC; naive times count as UTC.

    Raises `ConfigurationError` for a join key that is not there or a feature that would stand twice, `DataError` for
    values that do not fit.
    """
    wanted = {key: view.types[key] for view in views for key in view.join_keys}
    if missing := sorted(set(wanted) - set(entities.column_names)):
        raise ConfigurationError(
            f"The entity rows have columns {entities.column_names} and lack the join keys {missing}: add them"
        )
    if twice := sorted({name for view in views for name in view.features.values()} & set(entities.column_names)):
        raise ConfigurationError(
            f"The entity rows already have columns {twice}, which are asked for as features: drop them, or ask with "
            "full_feature_names=True"
        )
    for name, kind in {**wanted, moment: TIMESTAMP}.items():
        if entities[name].type != kind:
            entities = entities.set_column(entities.column_names.index(name), name, _cast(entities, name, kind, moment))
    return entities


def _cast(entities: pa.Table, name: str, kind: pa.DataType, moment: str) -> pa.ChunkedArray:
    column = entities[name]
    try:
        # Not safe=True for the moment: Arrow then refuses nanoseconds that microseconds cannot hold.
        return column.cast(kind, safe=name != moment)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f'Column "{name}" of the entity rows is {column.type} and should be {kind}, and the values do not fit: {error}. '
            "Cast it beforehand"
        ) from error


def rows_between(
    lake: Lake, views: Sequence[AsofView], versions: Sequence[int | None], start: datetime | None, end: datetime | None
) -> pa.Table:
    """Entity rows for all that the views got to know in `[start, end]`: the distinct join keys and moments, by moment.

    A moment is the one from which a row counts: its event time, or its created time where that is later. Keys that a row's
    view does not have are null. `start` is, as in Feast, by default the longest TTL before `end`; `end` is now.
    """
    until = _utc(end) or datetime.now(UTC)
    since = _utc(start) or until - max((view.ttl or RANGE_WITHOUT_TTL for view in views), default=RANGE_WITHOUT_TTL)
    known = [
        _known(lake, view, version, since, until) for view, version in zip(views, versions, strict=True) if version is not None
    ]
    keys = {key: view.types[key] for view in views for key in view.join_keys}
    schema = pa.schema([*keys.items(), (RANGE_MOMENT, TIMESTAMP)])
    if not known:
        return schema.empty_table()
    found = pl.concat(known, how="diagonal").unique().sort(RANGE_MOMENT, *keys).collect(engine="streaming")
    return found.select(schema.names).to_arrow().cast(schema)


def _known(lake: Lake, view: AsofView, version: int, since: datetime, until: datetime) -> pl.LazyFrame:
    event = pl.col(view.event_time)
    known_from = pl.max_horizontal(event, view.created) if view.created else event
    keys: list[Any] = [pl.col(column).alias(key) for key, column in view.join_keys.items()]
    rows = lake.scan(view.table, version).filter(event <= until).select(*keys, known_from.alias(RANGE_MOMENT))
    return rows.filter(pl.col(RANGE_MOMENT).is_between(since, until)).drop_nulls(list(view.join_keys))


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
