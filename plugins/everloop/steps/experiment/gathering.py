"""From the prediction log to what an experiment has shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everloop.decide.experiment.measures import COLUMNS
from everloop.decide.experiment.observed import Observed, observe
from everloop.decide.policy import Covariate, ExperimentPlan
from everloop.decide.release.evidence import OwnViews, Rows
from everloop.errors import ConfigurationError
from everloop.interval import Interval
from everloop.kinds import ARROW_TYPES
from everloop.ports import Lake, Registry, TrafficLog
from everloop.use_case import UseCase

if TYPE_CHECKING:
    import numpy.typing as npt

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def gather(
    traffic: TrafficLog, registry: Registry, lake: Lake, use_case: UseCase, plan: ExperimentPlan, experiment: str
) -> Observed:
    """All rows of `experiment` with the outcomes that are known by now; each look reads them all, since labels ripen late."""
    control, treatment = (registry.get(release).manifest for release in (plan.control, plan.treatment))
    views = {plan.control: control.plan.reads, plan.treatment: treatment.plan.reads}
    fields = control.plan.request if plan.segments else {}
    rows = traffic.since(use_case.name, experiment, _BEGINNING, (*COLUMNS, "as_of"), tuple(fields))
    now, before = _with_past(traffic, use_case, plan, rows)
    return observe(
        now,
        plan.metric,
        cost=use_case.cost,
        threshold=control.threshold,
        covariate=plan.covariate,
        before=before,
        segments=_segments(lake, use_case, plan.segments, rows, fields),
        own_views=OwnViews.of(views, plan.treatment, plan.control),
    )


def arrays(rows: pa.Table) -> Rows:
    """Columns as numpy arrays: names as numbers, which sort fast; absent numbers as NaN, absent text and labels as None."""
    coded = {name: rows[name].combine_chunks().dictionary_encode().indices.to_numpy() for name in ("entity", "request_id")}
    return {name: coded[name] if name in coded else rows[name].to_numpy() for name in rows.column_names}


def _with_past(traffic: TrafficLog, use_case: UseCase, plan: ExperimentPlan, rows: pa.Table) -> tuple[Rows, Rows | None]:
    """The rows of the experiment, and those before its first one in data time where the plan wants them; names coded alike."""
    current = rows.select(list(COLUMNS))
    if plan.covariate is not Covariate.BEFORE or not rows.num_rows:
        return arrays(current), None
    first = pc.min(rows["as_of"]).as_py()
    past = traffic.served(use_case.name, Interval(first - plan.before, first), COLUMNS)
    both, count = arrays(pa.concat_tables([current, past])), rows.num_rows
    return {name: values[:count] for name, values in both.items()}, {name: values[count:] for name, values in both.items()}


def check_segments(use_case: UseCase, names: Sequence[str]) -> None:
    """Raise `ConfigurationError` unless all are slices of the use case."""
    if unknown := sorted(set(names) - use_case.slices.keys()):
        raise ConfigurationError(f"{use_case.name} has no slices {unknown}: it has {sorted(use_case.slices)}")


def _segments(
    lake: Lake, use_case: UseCase, names: Sequence[str], rows: pa.Table, fields: Mapping[str, str]
) -> Mapping[str, npt.NDArray[Any]]:
    """The value of each row in each of the use case's slices, as its SQL gives it over the fields of the request."""
    if not names:
        return {}
    check_segments(use_case, names)
    requests = pa.table({name: rows[f"request.{name}"].cast(ARROW_TYPES[kind]) for name, kind in fields.items()})
    numbered = requests.append_column("_row", pa.array(np.arange(rows.num_rows)))
    chosen = ", ".join(f"coalesce(CAST({use_case.slices[name]} AS VARCHAR), '(missing)') AS \"{name}\"" for name in names)
    found = lake.query_rows(f"SELECT {chosen} FROM requests ORDER BY _row", {"requests": numbered})
    return {name: found[name].to_numpy().astype(str) for name in names}
