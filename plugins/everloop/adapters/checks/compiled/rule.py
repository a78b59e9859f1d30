"""What a compiled expectation is to the suite: expressions for each batch, and a verdict at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from everloop.errors import ConfigurationError

if TYPE_CHECKING:
    import polars as pl

    Schema = Mapping[str, pl.DataType]

Kwargs = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A verdict. By rows: of `elements` rows `broken` break the rule, at positions `rows`. Of the whole: `observed`."""

    success: bool
    elements: int | None = None
    broken: int = 0
    rows: tuple[int, ...] = ()
    observed: Any = None


class Rule(Protocol):
    """An expectation at work on the batches of one table."""

    def expressions(self) -> Sequence[pl.Expr]:
        """What it needs of every batch, one value each; all rules of a suite are evaluated in one select."""

    def add(self, values: Sequence[Any], batch: pl.DataFrame, offset: int) -> None:
        """Take one batch's `values`; its first row is row `offset` of the table."""

    def judged(self) -> Judged:
        """The verdict on all batches so far."""


Compiler = Callable[[Kwargs, "Schema", bool], Rule]
"""`(kwargs, schema, positions)`: `positions` when the rows that break the rule must be named."""


def column(kwargs: Kwargs, schema: Schema, name: str = "column") -> str:
    """The column that `kwargs` names; `ConfigurationError` when the rows do not have it."""
    wanted = str(kwargs[name])
    if wanted not in schema:
        raise ConfigurationError(f'there is no column "{wanted}": the rows have {sorted(schema)}')
    return wanted
