"""The `everloop` command. What a command needs is imported when it runs, so that help comes at once."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from everloop.errors import EverloopError

if TYPE_CHECKING:
    from everloop.wiring import Loop

app = typer.Typer(
    help="everloop keeps tabular models good: it retrains, judges, releases, watches and reverts them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
STACK_COMMANDS = ("up", "down", "status", "logs")


@app.callback()
def prepare(context: typer.Context) -> None:
    """Give every command but the stack's own the variables of the running stack."""
    if context.invoked_subcommand not in STACK_COMMANDS:
        from everloop.stack.commands import home_of
        from everloop.stack.environment import adopt

        adopt(home_of(os.environ), os.environ)


@app.command()
def up(foreground: Annotated[bool, typer.Option(help="Stay, and stop everything on Ctrl-C.")] = False) -> None:
    """Start PostgreSQL, MLflow, Airflow and the scoring service, and wait until all are ready."""
    import time

    from everloop.stack import commands

    home = commands.home_of(os.environ)
    if foreground:
        from everloop.stack.run import main as run

        sys.argv = ["everloop up", str(home.path)]
        run()
    started = time.monotonic()
    typer.echo(f"Starting in {home.path}")
    fresh = commands.up(home.path, typer.echo)
    typer.echo(f"Ready after {time.monotonic() - started:.1f} s" if fresh else "Already up")
    for name, address in commands.addresses(home.path).items():
        typer.echo(f"  {name:<16} {address}")


@app.command()
def down(forget: Annotated[bool, typer.Option(help="Delete the state too: data, releases, ledger.")] = False) -> None:
    """Stop everything that `up` started; the state stays."""
    from everloop.stack import commands

    path = commands.home_of(os.environ).path
    typer.echo("Stopped" if commands.down(path, typer.echo) else "Nothing ran")
    if forget:
        commands.forget(path)
        typer.echo(f"Deleted {path}")


@app.command()
def status() -> None:
    """Show how each part stands; the exit code is 0 when all are ready."""
    from everloop.stack import commands

    found = commands.status(commands.home_of(os.environ).path)
    typer.echo(found["state"] + (f": {found['reason']}" if found.get("reason") else ""))
    for name, part in found["parts"].items():
        typer.echo(_line(name, part))
    raise typer.Exit(0 if found["state"] == "ready" else 1)


def _line(name: str, part: dict[str, Any]) -> str:
    pid = part["process"]["pid"] if part["process"] else "-"
    memory = f"{part['memory'] / 1e6:.0f} MB" if part["memory"] else "-"
    words = f"  {name:<15} {part['state']:<9} process {pid!s:<8} restarts {part['restarts']:<3} {memory:>8}"
    return f"{words}  {part['address'] or ''}"


@app.command()
def logs(
    part: Annotated[str | None, typer.Argument(help="A part; the supervisor by default.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 100,
) -> None:
    """Show the log of a part."""
    from everloop.stack import commands

    path = commands.logs(commands.home_of(os.environ).path, part)
    typer.echo(commands.tail(path, lines))
    if follow:
        for piece in commands.follow(path):
            typer.echo(piece, nl=False)


UseCaseName = Annotated[str, typer.Argument(help="A use case, for instance flights.")]
Why = Annotated[str, typer.Option("--reason", help="Why; goes to the ledger.")]


@app.command()
def check(use_case: UseCaseName) -> None:
    """Look whether a use case's DAG file, features and suites fit together; needs no stack."""
    import logging

    from everloop.check import check as look

    logging.disable(logging.WARNING)  # what Feast and Great Expectations tell of themselves would bury the findings
    problems = look(use_case)
    for problem in problems:
        typer.echo(f"- {problem}")
    typer.echo(f"{use_case}: {len(problems)} problems" if problems else f"{use_case}: DAG file, features and suites fit together")
    raise typer.Exit(1 if problems else 0)


@app.command()
def demo(
    share: Annotated[float, typer.Option(help="Share of all flights that are scored.")] = 0.2,
    until: Annotated[str, typer.Option(help="Until when 2013 is played.")] = "2013-10-01",
) -> None:
    """Play the year 2013: train, release, drift, retrain, release again, and survive a sabotage."""
    from everloop.demo.command import run
    from everloop.demo.story import Pace

    run(Pace(share=share, until=datetime.fromisoformat(until).replace(tzinfo=UTC)))


@app.command()
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


@app.command()
def revert(
    use_case: UseCaseName,
    reason: Why,
    to: Annotated[str | None, typer.Option(help="A release; by default the champion before.")] = None,
) -> None:
    """Serve a former champion again, at once."""
    _decide("revert", use_case, reason, to=to)


@app.command()
def pause(use_case: UseCaseName, reason: Why) -> None:
    """Take the challenger out of the traffic and hold the rollout where it is."""
    _decide("pause", use_case, reason)


@app.command()
def resume(use_case: UseCaseName, reason: Why) -> None:
    """Go on with the stage that a pause interrupted."""
    _decide("resume", use_case, reason)


@app.command()
def abort(use_case: UseCaseName, reason: Why) -> None:
    """End the rollout under way: all traffic to the champion."""
    _decide("abort", use_case, reason)


@app.command()
def erase(use_case: UseCaseName, entity: Annotated[str, typer.Argument(help="Its request fields, joined by |.")]) -> None:
    """Ask that the predictions and outcomes of an entity be forgotten; the daily upkeep does it."""
    from everloop.adapters.traffic import PostgresTraffic
    from everloop.catalog import use_case as known
    from everloop.settings import read_settings

    number = PostgresTraffic(read_settings().database).request_erasure(known(use_case).name, entity, datetime.now(UTC))
    typer.echo(f"Request {number} is noted; everloop_upkeep carries it out")


@app.command()
def accounts(use_case: UseCaseName) -> None:
    """Show what came in and where it went, and hold it against the lake; the exit code is 0 when all adds up."""
    from everloop.steps.accounting import reconcile

    loop = _loop(use_case)
    statements = reconcile(loop.lake, loop.accounts, loop.use_case)
    for statement in statements:
        for line in statement.lines():
            typer.echo(line)
    for interval, why in loop.accounts.opened(use_case).items():
        typer.echo(f"open  {interval.label}  {why}: the next run of {use_case}_ingest works it")
    problems = sum(len(statement.problems) for statement in statements)
    typer.echo(f"{use_case}: {problems} differences" if problems else f"{use_case}: all accounts add up")
    raise typer.Exit(1 if problems else 0)


@app.command()
def parity(use_case: UseCaseName) -> None:
    """Show whether the features that were served last are those of history; the exit code is 1 when they are not."""
    from everloop.steps import parity as steps

    loop = _loop(use_case)
    _, state = loop.ledger.head(use_case)
    served = [release for release in (state.champion, state.shadow) if release]
    found = [steps.latest(loop.measurements, loop.use_case, release) for release in served]
    if not served:
        typer.echo(f"{use_case}: nothing serves yet")
    for release, measured in zip(served, found, strict=True):
        for line in steps.lines(measured) if measured else [f"{release}: nothing that it served was replayed yet"]:
            typer.echo(line)
    raise typer.Exit(any(measured and measured.verdict == "fail" for measured in found))


quarantine = typer.Typer(help="Rows that were put aside: list, show and repair them.", no_args_is_help=True)
app.add_typer(quarantine, name="quarantine")
TableName = Annotated[str, typer.Argument(help="A source table, for instance flights.")]


@quarantine.command("list")
def list_quarantine(use_case: UseCaseName) -> None:
    """List the tables and intervals that have rows in quarantine, and the rules these broke."""
    from everloop.steps.quarantine import listed

    loop = _loop(use_case)
    shelves = listed(loop.lake, loop.use_case)
    for shelf in shelves:
        rules = ", ".join(f"{rule} {count}" for rule, count in shelf.rules.items())
        typer.echo(f"{shelf.table}  {shelf.interval.label}  {shelf.rows} rows  {rules}")
    typer.echo(f"{sum(shelf.rows for shelf in shelves)} rows in quarantine")


@quarantine.command("show")
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

    loop = _loop(use_case)
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


@quarantine.command("repair")
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

    loop = _loop(use_case)
    rows = repair_file.read(file, loop.use_case.source(table))
    ports = (loop.lake, loop.checks, loop.accounts, loop.ledger, loop.use_case)
    done = repair(*ports, table, rows, actor=getpass.getuser(), reason=reason, now=datetime.now(UTC))
    typer.echo(f"{done['published']} rows published, {done['quarantined']} stay in quarantine, {done['unchanged']} as they were")
    if done["intervals"]:
        typer.echo(f"The next run of {use_case}_ingest computes what depends on {', '.join(done['intervals'])}")


def _loop(name: str) -> Loop:
    from everloop.catalog import use_case
    from everloop.wiring import connect

    return connect(use_case(name))


def _decide(action: str, name: str, reason: str, **options: str | None) -> None:
    """One decision of a person, written to the ledger in the name of who is logged in here."""
    import getpass

    from everloop.steps import rollback

    loop = _loop(name)
    act = getattr(rollback, action)
    done = act(
        loop.ledger, loop.registry, loop.use_case, actor=getpass.getuser(), reason=reason, now=datetime.now(UTC), **options
    )
    typer.echo(f"{done['action']}: {done['reason']}")


def main() -> None:
    """Run the command; what everloop raises on purpose is shown without a traceback."""
    try:
        app()
    except EverloopError as error:
        typer.echo(f"everloop: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
