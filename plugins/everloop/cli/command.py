"""The command itself: all groups together, the environment that they run in, and how errors are shown."""

from __future__ import annotations

import os
import sys

import typer

from everloop.cli import ab, deciding, keys, looking, quarantine, stack
from everloop.errors import EverloopError

app = typer.Typer(
    help="everloop keeps tabular models good: it retrains, judges, releases, watches and reverts them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for group in (stack.commands, looking.commands, deciding.commands):
    app.add_typer(group)
app.add_typer(ab.commands, name="ab")
app.add_typer(keys.commands, name="keys")
app.add_typer(quarantine.commands, name="quarantine")

STACK_COMMANDS = ("up", "down", "status", "logs")


@app.callback()
def prepare(context: typer.Context) -> None:
    """Give every command but the stack's own the variables of the running stack."""
    if context.invoked_subcommand not in STACK_COMMANDS:
        from everloop.stack.commands import home_of
        from everloop.stack.environment import adopt

        adopt(home_of(os.environ), os.environ)


def main() -> None:
    """Run the command; what everloop raises on purpose is shown without a traceback."""
    try:
        app()
    except EverloopError as error:
        typer.echo(f"everloop: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
