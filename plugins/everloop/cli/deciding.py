"""Commands by which a person decides: what serves, what is on trial, who is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from everloop.cli.arguments import UseCaseName, Why, loop_of

commands = typer.Typer()


@commands.command()
def revert(
    use_case: UseCaseName,
    reason: Why,
    to: Annotated[str | None, typer.Option(help="A release; by default the champion before.")] = None,
) -> None:
    """Serve a former champion again, at once."""
    _decide("revert", use_case, reason, to=to)


@commands.command()
def pause(use_case: UseCaseName, reason: Why) -> None:
    """Take the challenger out of the traffic and hold the rollout where it is."""
    _decide("pause", use_case, reason)


@commands.command()
def resume(use_case: UseCaseName, reason: Why) -> None:
    """Go on with the stage that a pause interrupted."""
    _decide("resume", use_case, reason)


@commands.command()
def skip(use_case: UseCaseName, reason: Why) -> None:
    """Go on to the rollout's next stage without this one's verdict; in the watch, make the promotion final."""
    _decide("skip", use_case, reason)


@commands.command()
def abort(use_case: UseCaseName, reason: Why) -> None:
    """End the rollout under way: all traffic to the champion."""
    _decide("abort", use_case, reason)


@commands.command()
def erase(use_case: UseCaseName, entity: Annotated[str, typer.Argument(help="Its request fields, joined by |.")]) -> None:
    """Ask that the predictions and outcomes of an entity be forgotten; the daily upkeep does it."""
    from everloop.adapters.traffic import PostgresTraffic
    from everloop.catalog import use_case as known
    from everloop.settings import read_settings

    number = PostgresTraffic(read_settings().database).request_erasure(known(use_case).name, entity, datetime.now(UTC))
    typer.echo(f"Request {number} is noted; everloop_upkeep carries it out")


def _decide(action: str, name: str, reason: str, **options: str | None) -> None:
    """One decision of a person, written to the ledger in the name of who is logged in here."""
    import getpass

    from everloop.steps import rollback

    loop = loop_of(name)
    act = getattr(rollback, action)
    done = act(
        loop.ledger, loop.registry, loop.use_case, actor=getpass.getuser(), reason=reason, now=datetime.now(UTC), **options
    )
    typer.echo(f"{done['action']}: {done['reason']}")
