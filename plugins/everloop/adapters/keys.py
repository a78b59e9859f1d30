"""The API keys of the scoring service, in PostgreSQL: made, listed, revoked, rotated."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import psycopg
from psycopg.rows import class_row

from everloop import api_key
from everloop.adapters.database import connect
from everloop.errors import ConfigurationError

_COLUMNS = "id, name, scopes, requests_per_second, burst, created_at, created_by, expires_at, revoked_at, revoked_by, replaced_by"
_SLOWEST, _FASTEST = 0.001, 1_000_000.0
_LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """What is known of a key. `requests_per_second`, `burst` (requests at once): of one scoring process; `None` for no limit."""

    id: str
    name: str
    scopes: list[str]
    requests_per_second: float | None = None
    burst: int | None = None
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    replaced_by: str | None = None

    def state(self, now: datetime) -> str:
        """`live`, `replaced` (and valid until it expires), `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "replaced" if self.replaced_by else "live"


@dataclass(frozen=True)
class NewKey:
    """A key just made, and the clear key: here for the only time."""

    key: ApiKey
    clear: str = field(repr=False)


class PostgresKeys:
    """The table `api_key`; every change of it rings `everloop_api_key`, which the scoring processes hear."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def create(
        self,
        name: str,
        scopes: Collection[str],
        *,
        by: str,
        now: datetime,
        requests_per_second: float | None = None,
        burst: int | None = None,
        expires_at: datetime | None = None,
    ) -> NewKey:
        """Make a key. Without `burst` a second's worth of requests may come at once.

        `ConfigurationError` names every value that breaks a rule.
        """
        if requests_per_second is not None and burst is None:
            burst = ceil(max(1.0, min(_FASTEST, requests_per_second)))
        draft = ApiKey(
            id="", name=name, scopes=sorted(set(scopes)), requests_per_second=requests_per_second, burst=burst,
            created_at=now, created_by=by, expires_at=expires_at,
        )  # fmt: skip
        if problems := _problems(draft):
            raise ConfigurationError(f"The key {name!r} is refused: {'; '.join(problems)}")
        with connect(self._uri) as connection:
            return _insert(connection, draft)

    def listed(self) -> list[ApiKey]:
        """All keys that were ever made, the newest last."""
        with connect(self._uri) as connection:
            cursor = connection.cursor(row_factory=class_row(ApiKey))
            return cursor.execute(f"SELECT {_COLUMNS} FROM api_key ORDER BY created_at, id").fetchall()

    def revoke(self, identifier: str, *, by: str, now: datetime) -> ApiKey:
        """End a key at once and for ever; one that was revoked before stays as it is. `ConfigurationError` when there is none."""
        with connect(self._uri) as connection:
            statement = "UPDATE api_key SET revoked_at = %s, revoked_by = %s WHERE id = %s AND revoked_at IS NULL"
            connection.execute(statement, (now, by, api_key.id_of(identifier)))
            return _get(connection, identifier)

    def rotate(self, identifier: str, *, by: str, now: datetime, grace: timedelta) -> NewKey:
        """A new key with the same name, scopes and limits; the old one expires after `grace`, or before where it was to.

        A key that was made to expire is followed by one that lives as long. `ConfigurationError` when there is no such key, or
        it is not live.
        """
        if grace < timedelta(0):
            raise ConfigurationError(f"The grace period is {grace}: it must not be negative; give 0s to end the old key now")
        with connect(self._uri) as connection:
            old = _get(connection, identifier, lock=True)
            if (state := old.state(now)) != "live":
                raise ConfigurationError(_not_live(old, state))
            lifetime = old.expires_at - old.created_at if old.expires_at else None
            draft = replace(old, created_at=now, created_by=by, expires_at=now + lifetime if lifetime else None)
            new = _insert(connection, draft)
            statement = "UPDATE api_key SET replaced_by = %s, expires_at = LEAST(expires_at, %s) WHERE id = %s"
            connection.execute(statement, (new.key.id, now + grace, old.id))
            return new


def _insert(connection: psycopg.Connection[Any], draft: ApiKey) -> NewKey:
    identifier, secret = api_key.make()
    made = replace(draft, id=identifier)
    connection.execute(
        "INSERT INTO api_key (id, name, sha256, scopes, requests_per_second, burst, created_at, created_by, expires_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            made.id, made.name, api_key.digest_of(secret), made.scopes, made.requests_per_second, made.burst,
            made.created_at, made.created_by, made.expires_at,
        ),
    )  # fmt: skip
    return NewKey(made, api_key.spell(identifier, secret))


def _get(connection: psycopg.Connection[Any], identifier: str, *, lock: bool = False) -> ApiKey:
    cursor = connection.cursor(row_factory=class_row(ApiKey))
    statement = f"SELECT {_COLUMNS} FROM api_key WHERE id = %s{' FOR UPDATE' if lock else ''}"
    found = cursor.execute(statement, (api_key.id_of(identifier),)).fetchone()
    if found is None:
        raise ConfigurationError(f'There is no key "{api_key.id_of(identifier)}": `everloop keys list` shows all ids')
    return found


def _not_live(key: ApiKey, state: str) -> str:
    words = f"The key {key.id} ({key.name}) is {state}"
    return f"{words} by {key.replaced_by}: rotate that one" if state == "replaced" else f"{words}: create a new key"


def _problems(draft: ApiKey) -> list[str]:
    """Every rule that a new key breaks."""
    unknown = sorted(set(draft.scopes) - set(api_key.Scope))
    rate, burst, expires_at = draft.requests_per_second, draft.burst, draft.expires_at
    known = ", ".join(api_key.Scope)
    named = draft.name.strip() and draft.name.isprintable() and len(draft.name) <= _LONGEST_NAME
    rules = (
        (named, f"the name must be 1 to {_LONGEST_NAME} printable characters"),
        (draft.scopes and not unknown, f"the scopes are {', '.join(unknown) or 'none'}, must be of {known}"),
        (
            rate is None or _SLOWEST <= rate <= _FASTEST,
            f"the rate is {rate} a second, must be {_SLOWEST:g} to {_FASTEST:.0f}",
        ),
        (burst is None or 1 <= burst <= _FASTEST, f"the burst is {burst}, must be 1 to {_FASTEST:.0f}"),
        (burst is None or rate is not None, f"the burst is {burst}, which needs a rate"),
        (expires_at is None or expires_at > draft.created_at, f"it expires at {expires_at}, must be after {draft.created_at}"),
    )
    return [words for holds, words in rules if not holds]
