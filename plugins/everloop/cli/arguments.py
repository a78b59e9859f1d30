"""What many commands take, and the loop that their first argument names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from everloop.wiring import Loop

UseCaseName = Annotated[str, typer.Argument(help="A use case, for instance flights.")]
Why = Annotated[str, typer.Option("--reason", help="Why; goes to the ledger.")]


def loop_of(name: str) -> Loop:
    """The use case called `name` with its outside systems."""
    from everloop.catalog import use_case
    from everloop.wiring import connect

    return connect(use_case(name))
