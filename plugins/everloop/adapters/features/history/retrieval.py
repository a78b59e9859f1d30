"""What a retrieval gives: rows made when they are asked for, request-time features added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata

from everloop.adapters.features.history.saved import SavedDatasetDelta, save
from everloop.adapters.features.plans import kinds
from everloop.errors import ConfigurationError
from everloop.kinds import ARROW_TYPES
from everloop.ports import Lake


class DeltaRetrievalJob(RetrievalJob):  # type: ignore[misc]  # Feast has no types
    """A retrieval that runs when its rows are asked for, request-time functions included."""

    def __init__(
        self,
        lake: Lake,
        evaluate: Callable[[], pa.Table],
        full_feature_names: bool = False,
        functions: Sequence[Any] = (),
        metadata: RetrievalMetadata | None = None,
    ) -> None:
        self._lake = lake
        self._evaluate = evaluate
        self._full_feature_names = full_feature_names
        self._functions = functions
        self._metadata = metadata

    @property
    def full_feature_names(self) -> bool:
        """Whether columns are named `<view>__<feature>`."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[Any]:
        """None: the rows already hold what request-time functions give."""
        return []

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """Which features for which keys."""
        return self._metadata

    def persist(self, storage: Any, allow_overwrite: bool = False, timeout: int | None = None) -> None:
        """Keep the rows in the lake table that `storage` names."""
        if not isinstance(storage, SavedDatasetDelta):
            raise ConfigurationError(
                f"A saved dataset on the lake needs SavedDatasetDelta(table=...) as its storage, not {type(storage).__name__}"
            )
        save(self._lake, storage, self._to_arrow_internal(timeout), allow_overwrite=allow_overwrite)

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        rows: pd.DataFrame = self._to_arrow_internal(timeout).to_pandas()
        return rows

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002, Feast's signature
        rows = self._evaluate()
        for function in self._functions:
            rows = with_request_view(rows, function, full_feature_names=self._full_feature_names)
        return rows


def with_request_view(rows: pa.Table, view: Any, *, full_feature_names: bool) -> pa.Table:
    """`rows` with a request-time view's features. Its inputs alone become Python objects."""
    inputs = rows.select([name for name in rows.column_names if name in _inputs(view)])
    if view.mode == "python" and not view.source_feature_view_projections and not view.singleton:
        # What Feast does too, but Polars makes Python objects of a column six times faster than Arrow.
        outputs = pa.table(view.feature_transformation.udf(_lists(inputs)))
        outputs = outputs.rename_columns([_named(view, name, full=full_feature_names) for name in outputs.column_names])
    else:
        outputs = view.transform_arrow(inputs, full_feature_names)
    for name, kind in kinds(view.name, view.projection.features).items():
        column = _named(view, name, full=full_feature_names)
        rows = rows.append_column(column, outputs[column].cast(ARROW_TYPES[kind]))
    return rows


def _lists(rows: pa.Table) -> dict[str, list[Any]]:
    return pl.DataFrame(pl.from_arrow(rows)).to_dict(as_series=False)


def _named(view: Any, feature: str, *, full: bool) -> str:
    return f"{view.projection.name_to_use()}__{feature}" if full else feature


def _inputs(view: Any) -> set[str]:
    """The columns that a request-time view may read: request fields, and features under both of their names."""
    fields = set(view.get_request_data_schema())
    for projection in view.source_feature_view_projections.values():
        fields |= {name for f in projection.features for name in (f.name, f"{projection.name_to_use()}__{f.name}")}
    return fields
