"""The live keys as one process holds them, and how a request presents one."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from everloop.api_key import Scope, digest_of, split
from everloop.serve.access.limits import Limit

_SCHEME = b"bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that somebody may hold. `digest`: SHA-256 of its secret. `limit`: `None` for none."""

    id: str
    name: str
    digest: bytes = field(repr=False)
    scopes: frozenset[str]
    limit: Limit | None = None
    expires_at: datetime | None = None

    def may(self, scope: Scope) -> bool:
        """Whether it was given `scope`, or all of them."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def lives(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or now < self.expires_at


_NOBODY = Key(id="", name="", digest=secrets.token_bytes(32), scopes=frozenset())
"""Stands in for an id that is not there; no secret has its digest."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """All live keys at one moment, by id. `guarded`: whether any key was ever made, a revoked or expired one too."""

    keys: Mapping[str, Key]
    guarded: bool

    def find(self, presented: str, now: datetime) -> Key | None:
        """The live key of this clear text. An unknown id takes the same steps as a wrong secret, in the same time."""
        identifier, secret = split(presented)
        key = self.keys.get(identifier, _NOBODY)
        return key if hmac.compare_digest(digest_of(secret), key.digest) and key.lives(now) else None


def presented_key(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The clear key of a request by its raw ASGI headers (names in lower case): `X-API-Key`, else `Authorization: Bearer`."""
    bearer = None
    for name, value in headers:
        if name == b"x-api-key":
            return _text(value)
        if name == b"authorization" and value[: len(_SCHEME)].lower() == _SCHEME:
            bearer = value[len(_SCHEME) :]
    return None if bearer is None else _text(bearer)


def _text(value: bytes) -> str:
    return value.strip().decode("utf-8", "surrogateescape")
