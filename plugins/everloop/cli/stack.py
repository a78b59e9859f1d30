"""Commands that start, stop and show the local stack, and play the demo on it."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

commands = typer.Typer()


@commands.command()
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


@commands.command()
def down(forget: Annotated[bool, typer.Option(help="Delete the state too: data, releases, ledger.")] = False) -> None:
    """Stop everything that `up` started; the state stays."""
    from everloop.stack import commands

    path = commands.home_of(os.environ).path
    typer.echo("Stopped" if commands.down(path, typer.echo) else "Nothing ran")
    if forget:
        commands.forget(path)
        typer.echo(f"Deleted {path}")


@commands.command()
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


@commands.command()
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


@commands.command()
def demo(
    share: Annotated[float, typer.Option(help="Share of all flights that are scored.")] = 0.2,
    until: Annotated[str, typer.Option(help="Until when 2013 is played; longer until a second release serves.")] = "2013-10-01",
) -> None:
    """Play the year 2013: train, release, drift, retrain, release again, and survive a sabotage."""
    from everloop.demo.command import run
    from everloop.demo.story import Pace

    run(Pace(share=share, until=datetime.fromisoformat(until).replace(tzinfo=UTC)))
