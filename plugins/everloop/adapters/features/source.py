"""`DeltaSource`: a Feast data source that is a lake table, with the one SQL that makes its rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import polars as pl
from feast import ValueType
from feast.data_source import DataSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.repo_config import RepoConfig

from everloop.errors import ConfigurationError

_ARROW_TYPES = {
    "string": ValueType.STRING,
    "large_string": ValueType.STRING,
    "int64": ValueType.INT64,
    "double": ValueType.DOUBLE,
    "bool": ValueType.BOOL,
    "timestamp[us, tz=UTC]": ValueType.UNIX_TIMESTAMP,
}


class DeltaSource(DataSource):  # type: ignore[misc]  # Feast has no types
    """A lake table of feature rows: join keys, features, `event_timestamp`, `created`.

    `sql`: DuckDB SQL over `tables` that gives the rows of one data interval, bounded by `$start` and `$end`. It is the only
    definition of the features: history, the online store and pushes all run it. `event_timestamp` is the moment from which a
    value holds, `created` the one from which it was known. `lookback`: how far before `$end` the SQL reads; zero when it
    reads `[$start, $end)` alone. `pushed_from`: the one of `tables` whose raw rows may be pushed.
    """

    def __init__(
        self,
        *,
        table: str,
        sql: str,
        tables: Iterable[str],
        lookback: timedelta = timedelta(0),
        pushed_from: str | None = None,
        name: str | None = None,
        timestamp_field: str = "event_timestamp",
        created_timestamp_column: str = "created",
        **described: Any,
    ) -> None:
        super().__init__(
            name=name or table,
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            **described,
        )
        self.table, self.sql, self.tables = table, sql, tuple(tables)
        self.lookback, self.pushed_from = lookback, pushed_from
        if pushed_from is not None and self.tables != (pushed_from,):
            raise ConfigurationError(
                f'DeltaSource "{self.name}" is pushed from "{pushed_from}" but reads {list(self.tables)}: a push has the rows of '
                "one table only; read that table alone, or set pushed_from=None"
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeltaSource) and super().__eq__(other) and self._options() == other._options()

    def __hash__(self) -> int:
        return int(super().__hash__())

    def _options(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "sql": self.sql,
            "tables": list(self.tables),
            "lookback_seconds": self.lookback.total_seconds(),
            "pushed_from": self.pushed_from,
        }

    def _to_proto_impl(self) -> DataSourceProto:
        configuration = json.dumps(self._options(), sort_keys=True).encode()
        return DataSourceProto(
            name=self.name,
            type=DataSourceProto.CUSTOM_SOURCE,
            data_source_class_type=f"{__name__}.{type(self).__name__}",
            custom_options=DataSourceProto.CustomSourceOptions(configuration=configuration),
            timestamp_field=self.timestamp_field,
            created_timestamp_column=self.created_timestamp_column,
            field_mapping=self.field_mapping,
            description=self.description,
            tags=self.tags,
            owner=self.owner,
        )

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> DeltaSource:
        """The inverse of `to_proto`."""
        options = json.loads(data_source.custom_options.configuration)
        return DeltaSource(
            table=options["table"],
            sql=options["sql"],
            tables=options["tables"],
            lookback=timedelta(seconds=options["lookback_seconds"]),
            pushed_from=options["pushed_from"],
            name=data_source.name,
            timestamp_field=data_source.timestamp_field,
            created_timestamp_column=data_source.created_timestamp_column,
            field_mapping=dict(data_source.field_mapping),
            description=data_source.description,
            tags=dict(data_source.tags),
            owner=data_source.owner,
        )

    def validate(self, config: RepoConfig) -> None:
        """Refuse SQL that does not speak of every table that it says it reads."""
        if missing := [table for table in self.tables if table not in self.sql]:
            raise ConfigurationError(f'DeltaSource "{self.name}" in project {config.project}: its SQL does not read {missing}')

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        """Feast's type of an Arrow type by name."""
        return lambda name: _ARROW_TYPES.get(name, ValueType.UNKNOWN)

    def get_table_column_names_and_types(self, config: RepoConfig) -> Iterable[tuple[str, str]]:
        """The table's columns and Arrow types, none while it is absent."""
        from everloop.adapters.features.offline import lake_of

        lake = lake_of(config)
        if lake.version(self.table) is None:
            return []
        schema = lake.scan(self.table).head(0).collect().to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        return [(field.name, str(field.type)) for field in schema if not field.name.startswith("_")]

    def get_table_query_string(self) -> str:
        """The table's name, quoted."""
        return f'"{self.table}"'
