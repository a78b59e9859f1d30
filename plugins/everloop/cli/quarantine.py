"""The commands `everloop quarantine`: rows that were put aside."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from everloop.cli.arguments import UseCaseName, Why, loop_of

commands = typer.Typer(help="Rows that were put aside: list, show and repair them.", no_args_is_help=True)
TableName = Annotated[str, typer.Argument(help="A source table, for instance flights.")]


@commands.command("list")
def list_quarantine(use_case: UseCaseName) -> None:
    """List the tables and intervals that have rows in quarantine, and the rules these broke."""
    from everloop.steps.quarantine import listed

    loop = loop_of(use_case)
    shelves = listed(loop.lake, loop.use_case)
    for shelf in shelves:
        rules = ", ".join(f"{rule} {count}" for rule, count in shelf.rules.items())
        typer.echo(f"{shelf.table}  {shelf.interval.label}  {shelf.rows} rows  {rules}")
    typer.echo(f"{sum(shelf.rows for shelf in shelves)} rows in quarantine")


@commands.command("show")
def show_quarantine(
    use_case: UseCaseName,
    table: TableName,
    interval: Annotated[datetime | None, typer.Option(help="The start of an interval, UTC; all by default.")] = None,
    rule: Annotated[str | None, typer.Option(help="A rule as `list` names it; any by default.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write them to this file instead, to be edited.")] = None,
) -> None:
    """Show rows in quarantine, with the reasons."""
    from everloop.adapters import repair_file
    from everloop.steps.quarantine import shown

    loop = loop_of(use_case)
    start = interval.replace(tzinfo=UTC) if interval else None
    rows = shown(loop.lake, loop.use_case, table, interval=start, rule=rule)
    if csv:
        repair_file.write(rows, loop.use_case.source(table), csv)
        typer.echo(f"{rows.num_rows} rows written to {csv}")
        return
    for row in rows.to_pylist() if rows.num_rows else []:
        values = ", ".join(f"{name}={row[name]}" for name in loop.use_case.source(table).columns)
        typer.echo(f"{row['_row']}  {row['_interval']:%Y-%m-%dT%H%M}  {'; '.join(row['_expectations'])}  {values}")
    typer.echo(f"{rows.num_rows} rows")


@commands.command("repair")
def repair_quarantine(
    use_case: UseCaseName,
    table: TableName,
    file: Annotated[Path, typer.Argument(help="What `show --csv` wrote, edited.")],
    reason: Why,
) -> None:
    """Publish the rows of an edited file; those that still break a rule stay in quarantine."""
    import getpass

    from everloop.adapters import repair_file
    from everloop.steps.quarantine import repair

    loop = loop_of(use_case)
    rows = repair_file.read(file, loop.use_case.source(table))
    ports = (loop.lake, loop.checks, loop.accounts, loop.ledger, loop.use_case)
    done = repair(*ports, table, rows, actor=getpass.getuser(), reason=reason, now=datetime.now(UTC))
    typer.echo(f"{done['published']} rows published, {done['quarantined']} stay in quarantine, {done['unchanged']} as they were")
    if done["intervals"]:
        typer.echo(f"The next run of {use_case}_ingest computes what depends on {', '.join(done['intervals'])}")
