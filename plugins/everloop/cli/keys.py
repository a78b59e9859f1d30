"""The commands `everloop keys`: who may call the scoring service."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from everloop.api_key import Scope

if TYPE_CHECKING:
    from everloop.adapters.keys import ApiKey, NewKey, PostgresKeys

commands = typer.Typer(help="API keys of the scoring service: create, list, revoke and rotate them.", no_args_is_help=True)
KeyId = Annotated[str, typer.Argument(metavar="ID", help="A key's id: the middle part of the key, and what `list` shows.")]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@commands.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is, for instance shop.")],
    scope: Annotated[list[Scope], typer.Option(help="What it allows; repeat it for several.")],
    rate: Annotated[float | None, typer.Option(help="Requests a second to each scoring process; by default no limit.")] = None,
    burst: Annotated[int | None, typer.Option(help="How many at once; by default a second's worth.")] = None,
    expires: Annotated[datetime | None, typer.Option(help="From when on it is void, UTC; by default never.")] = None,
) -> None:
    """Make a key and print it, for the only time."""
    keys, who, now = _at_hand()
    expires_at = expires.replace(tzinfo=UTC) if expires else None
    new = keys.create(name, scope, by=who, now=now, requests_per_second=rate, burst=burst, expires_at=expires_at)
    _hand_over(new, f"Key {new.key.id} of {name} is made")


@commands.command("list")
def list_keys() -> None:
    """List all keys that were ever made, and how each stands; no secret is kept, so none is shown."""
    keys, _, now = _at_hand()
    found = keys.listed()
    for key in found:
        typer.echo(_line(key, now))
    typer.echo(f"{sum(key.state(now) in ('live', 'replaced') for key in found)} of {len(found)} keys are valid")


@commands.command()
def revoke(key: KeyId) -> None:
    """End a key at once and for ever."""
    keys, who, now = _at_hand()
    done = keys.revoke(key, by=who, now=now)
    typer.echo(f"Key {done.id} of {done.name} is revoked since {_moment(done.revoked_at)} by {done.revoked_by}")


@commands.command()
def rotate(
    key: KeyId,
    grace: Annotated[str, typer.Option(help="How long the old key stays valid: 30s, 15m, 24h, 7d.")] = "24h",
) -> None:
    """Make a key to follow another one and print it, for the only time; both are valid during the grace period."""
    keys, who, now = _at_hand()
    new = keys.rotate(key, by=who, now=now, grace=_duration(grace))
    old = next(one for one in keys.listed() if one.replaced_by == new.key.id)
    _hand_over(new, f"Key {new.key.id} of {new.key.name} follows {old.id}, which expires at {_moment(old.expires_at)}")


def _at_hand() -> tuple[PostgresKeys, str, datetime]:
    """The table, who is logged in here, and now."""
    import getpass

    from everloop.adapters.keys import PostgresKeys
    from everloop.settings import read_settings

    return PostgresKeys(read_settings().database), getpass.getuser(), datetime.now(UTC)


def _hand_over(new: NewKey, words: str) -> None:
    """The key alone to stdout, so that a shell can take it; the words to stderr."""
    typer.echo(f"{words}. The key is shown this once: keep it where secrets are kept", err=True)
    typer.echo(new.clear)


def _line(key: ApiKey, now: datetime) -> str:
    limit = "no limit" if key.requests_per_second is None else f"{key.requests_per_second:g}/s, {key.burst} at once"
    end = f"until {_moment(key.expires_at)}" if key.expires_at else "no expiry"
    words = f"{key.id}  {key.name}  {key.state(now)}  {','.join(key.scopes)}  {limit}  {end}"
    return f"{words}  made {_moment(key.created_at)} by {key.created_by}"


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else "-"


def _duration(text: str) -> timedelta:
    if not (found := re.fullmatch(r"(\d{1,6})([smhd])", text)):
        raise typer.BadParameter(
            f'"{text}" is no duration: a whole number and s, m, h or d, for instance 24h', param_hint="--grace"
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
