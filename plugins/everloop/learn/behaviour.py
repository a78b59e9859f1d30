"""How a model behaves on held-out rows when its inputs are changed on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from everloop.decide.policy import BehaviourPolicy, CostMatrix, Direction, Invariance
from everloop.decide.policy.behaviour import ONLINE, Test
from everloop.decide.release.gate import Behaviour, Boundaries, Disturbance, Scored, Tally
from everloop.decide.statistics.clusters import Clusters, Codes
from everloop.decide.statistics.compare import mean_difference
from everloop.errors import ConfigurationError
from everloop.learn.perturb import Extent, boundary_rows, noisy, raised, unlike, without
from everloop.learn.scoring import Model

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Labels = npt.NDArray[np.bool_]
    Matrix = npt.NDArray[np.float32]
    Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A model on held-out rows: `rows` (n) with every model input, their true `labels` (n,), and what its decisions cost.

    `blocks` (n,): the block of time that each row lies in. `of`: the extent of what it learnt from. `confidence`: of the
    intervals. `seed`: of shuffles and noise.
    """

    model: Model
    rows: pa.Table
    labels: Labels
    blocks: Codes
    threshold: float
    cost: CostMatrix
    of: Mapping[str, Extent]
    confidence: float
    seed: int

    @cached_property
    def matrix(self) -> Matrix:
        """The rows as the model takes them."""
        return self.model.encoder.table(self.rows)

    @cached_property
    def scores(self) -> Scores:
        """The undisturbed scores."""
        return self.model.score(self.matrix)

    def tested(self, test: Test) -> Tally:
        """How many rows break the rule of `test`, and by how much the worst."""
        encoder = self.model.encoder
        if isinstance(test, Direction):
            sign = -1 if test.rises else 1
            moved = [sign * (self.model.score(raised(test, self.matrix, encoder)) - self.scores)]
        else:
            moved = [np.abs(self.model.score(m) - self.scores) for m in unlike(test, self.matrix, encoder, self.seed)]
        counts = self._counts(test)
        against = np.max(moved, axis=0)[counts]
        broken = Clusters.counted(self.blocks[counts], against > test.tolerance)
        return Tally(broken=broken, worst=float(against.max(initial=0.0)))

    def disturbed(self, matrix: Matrix) -> Disturbance:
        """What the rows' decisions become, and cost, when they look like `matrix`."""
        before, after = Scored(self.scores, self.threshold), Scored(self.model.score(matrix), self.threshold)
        was, is_now = before.costs(self.labels, self.cost), after.costs(self.labels, self.cost)
        return Disturbance(
            changed=Clusters.counted(self.blocks, before.decisions != after.decisions),
            cost=mean_difference(is_now, was, self.confidence, self.blocks),
            undisturbed=float(was.mean()) if was.size else None,
        )

    def boundaries(self) -> Boundaries:
        """Which rows at the edge of what may come have no finite probability."""
        if not self.rows.num_rows:
            return Boundaries(rows=0)
        names, rows = boundary_rows(self.rows.slice(self.rows.num_rows // 2, 1), self.model.encoder, self.of)
        scores = self.model.score(rows)
        return Boundaries(rows=len(names), broken=tuple(np.array(names)[~((scores >= 0) & (scores <= 1))].tolist()))

    def _counts(self, test: Test) -> Labels:
        """The rows that a test says something of: those with a value, where a value is moved."""
        column = self.matrix[:, self.model.encoder.columns.index(test.column)]
        return np.ones(len(column), dtype=bool) if isinstance(test, Invariance) and test.step is None else ~np.isnan(column)


def spread(rows: int, most: int) -> Codes:
    """The places of at most `most` of so many rows, evenly spread."""
    return np.linspace(0, rows - 1, min(most, rows)).astype(np.intp)


def behave(trial: Trial, policy: BehaviourPolicy, views: Sequence[str]) -> Behaviour:
    """All that the policy asks for; `views` are those of the online store.

    `ConfigurationError` names columns that are no model inputs, and views that feed none.
    """
    check_names(policy, trial.model.encoder.columns, views)
    encoder = trial.model.encoder
    away = {view: [view] for view in views} | ({ONLINE: list(views)} if views else {})
    return Behaviour(
        tests={test.name: trial.tested(test) for test in policy.tests},
        boundaries=trial.boundaries(),
        noise=trial.disturbed(noisy(trial.matrix, encoder, trial.of, policy.noise, trial.seed)),
        absent={name: trial.disturbed(without(trial.matrix, encoder, gone)) for name, gone in away.items()},
    )


def check_names(policy: BehaviourPolicy, columns: Sequence[str], views: Sequence[str]) -> None:
    """`ConfigurationError` when the policy names a column that is no model input, or a view that feeds none."""
    unknown = {
        "tests names": ([test.column for test in policy.tests if test.column not in columns], "inputs", columns),
        "absent_cost names": ([view for view in policy.absent_cost if view not in (*views, ONLINE)], "views", (*views, ONLINE)),
    }
    if found := [
        f"BehaviourPolicy.{where} {', '.join(lost)}, which the model does not take: its {what} are {', '.join(there)}"
        for where, (lost, what, there) in unknown.items()
        if lost
    ]:
        raise ConfigurationError("; ".join(found))
