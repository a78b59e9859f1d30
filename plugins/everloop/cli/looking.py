"""Commands that look and tell: does it fit, why, does it add up, is it the same."""

from __future__ import annotations

from typing import Annotated

import typer

from everloop.cli.arguments import UseCaseName, loop_of

commands = typer.Typer()


@commands.command()
def check(use_case: UseCaseName) -> None:
    """Look whether a use case's DAG file, features and suites fit together; needs no stack.

    Where the lake or the sources can be reached, it warns of what the policies ask and so few labels cannot show.
    """
    import logging

    from everloop.check import check as look
    from everloop.check import warnings

    logging.disable(logging.WARNING)  # what Feast and Great Expectations tell of themselves would bury the findings
    problems = look(use_case)
    for problem in problems:
        typer.echo(f"- {problem}")
    for warning in [] if problems else warnings(use_case):
        typer.echo(f"- warning: {warning}")
    typer.echo(f"{use_case}: {len(problems)} problems" if problems else f"{use_case}: DAG file, features and suites fit together")
    raise typer.Exit(1 if problems else 0)


@commands.command()
def why(
    use_case: UseCaseName,
    subject: Annotated[
        str | None, typer.Argument(help="A release, rollout or training run; by default the release on trial, else the champion.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as data, every number whole.")] = False,
) -> None:
    """Tell the whole chain of evidence behind a release, from the ledger alone; the exit code is 1 when its chain is broken."""
    import json

    from everloop.adapters.ledger import PostgresLedger
    from everloop.settings import read_settings
    from everloop.steps import why as steps

    told = steps.story(PostgresLedger(read_settings().database), use_case, subject)
    for line in [json.dumps(steps.to_json(told), indent=2, ensure_ascii=False)] if as_json else steps.lines(told):
        typer.echo(line)
    raise typer.Exit(1 if told.broken else 0)


@commands.command()
def accounts(use_case: UseCaseName) -> None:
    """Show what came in and where it went, and hold it against the lake; the exit code is 0 when all adds up."""
    from everloop.steps.accounting import reconcile

    loop = loop_of(use_case)
    statements = reconcile(loop.lake, loop.accounts, loop.use_case)
    for statement in statements:
        for line in statement.lines():
            typer.echo(line)
    for interval, why in loop.accounts.opened(use_case).items():
        typer.echo(f"open  {interval.label}  {why}: the next run of {use_case}_ingest works it")
    problems = sum(len(statement.problems) for statement in statements)
    typer.echo(f"{use_case}: {problems} differences" if problems else f"{use_case}: all accounts add up")
    raise typer.Exit(1 if problems else 0)


@commands.command()
def parity(use_case: UseCaseName) -> None:
    """Show whether the features that were served last are those of history; the exit code is 1 when they are not."""
    from everloop.steps import parity as steps

    loop = loop_of(use_case)
    _, state = loop.ledger.head(use_case)
    served = [release for release in (state.champion, state.shadow) if release]
    found = [steps.latest(loop.measurements, loop.ledger, loop.use_case, release) for release in served]
    if not served:
        typer.echo(f"{use_case}: nothing serves yet")
    for release, measured in zip(served, found, strict=True):
        for line in steps.lines(measured) if measured else [f"{release}: nothing that it served was replayed yet"]:
            typer.echo(line)
    raise typer.Exit(any(measured and measured.verdict == "fail" for measured in found))
