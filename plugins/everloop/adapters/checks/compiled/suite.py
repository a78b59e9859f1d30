"""A suite at work: batches in, one select each, the verdicts of all its expectations out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from everloop.adapters.checks.compiled.byrow import BY_ROW
from everloop.adapters.checks.compiled.distinct import DISTINCT
from everloop.adapters.checks.compiled.numbers import NUMBERS
from everloop.adapters.checks.compiled.rule import Compiler, Judged, Rule
from everloop.adapters.checks.compiled.several import SEVERAL
from everloop.adapters.checks.compiled.shape import SHAPE
from everloop.adapters.checks.compiled.unique import UNIQUE
from everloop.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from everloop.adapters.checks.definition import Suite

COMPILERS: Mapping[str, Compiler] = {**BY_ROW, **SEVERAL, **UNIQUE, **NUMBERS, **DISTINCT, **SHAPE}
"""Every expectation that has a compiled form."""

_CONDITIONS = ("row_condition", "condition_parser")


def unsupported(suite: Suite) -> list[str]:
    """What of `suite` has no compiled form, in words."""
    found = [
        f"{each.rule} has no compiled form: use one of {sorted(COMPILERS)}"
        for each in suite.expectations
        if each.type not in COMPILERS
    ]
    return found + [
        f"{each.rule}: a row_condition has no compiled form: put the condition into a column of its own"
        for each in suite.expectations
        if any(each.kwargs.get(name) for name in _CONDITIONS)
    ]


class CompiledSuite:
    """Judges the concatenation of the batches that `add` is given.

    Memory: one batch, and what its rules remember (`Unique` 16 bytes a row, `Quantiles` 8, `Distinct` every value once).
    Rows that break a rule are named for expectations of severity `quarantine` alone. `ConfigurationError` at once for what
    has no compiled form, and at the first batch for what the columns' types do not allow: all such findings together.
    """

    def __init__(self, suite: Suite) -> None:
        if problems := unsupported(suite):
            raise ConfigurationError(_listed(suite, problems))
        self._suite = suite
        self._rules: list[Rule] = []
        self._rows = 0

    def add(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Take the next rows; the columns are the same every time."""
        batch = pl.DataFrame(pl.from_arrow(rows))
        if not self._rules:
            self._rules = self._bind(batch.schema)
        asked = [(n, expression) for n, rule in enumerate(self._rules) for expression in rule.expressions()]
        told = batch.lazy().select(expression.alias(str(place)) for place, (_, expression) in enumerate(asked)).collect()
        values: list[list[object]] = [[] for _ in self._rules]
        for place, (n, _) in enumerate(asked):
            values[n].append(told.item(0, place))
        for rule, found in zip(self._rules, values, strict=True):
            rule.add(found, batch, self._rows)
        self._rows += batch.height

    def judged(self) -> Sequence[Judged]:
        """The verdict on each expectation, in the suite's order; `DataError` when no batch, be it empty, was added."""
        if not self._rules:
            raise DataError(f'Suite "{self._suite.name}" was given no batch, not even an empty one: its columns are unknown')
        return [rule.judged() for rule in self._rules]

    def _bind(self, schema: Mapping[str, pl.DataType]) -> list[Rule]:
        rules, problems = [], []
        for each in self._suite.expectations:
            try:
                rules.append(COMPILERS[each.type](each.kwargs, schema, each.severity == "quarantine"))
            except ConfigurationError as error:
                problems.append(f"{each.rule}: {error}")
            except (KeyError, TypeError, ValueError) as error:
                problems.append(f"{each.rule} lacks or misspells an argument: {type(error).__name__} {error}")
        if problems:
            raise ConfigurationError(_listed(self._suite, problems))
        return rules


def _listed(suite: Suite, problems: Sequence[str]) -> str:
    return f'Suite "{suite.name}" could not be evaluated:\n' + "\n".join(f"  - {problem}" for problem in problems)
