"""Keys and keyrings as the tests of access make them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from everloop.api_key import Scope, digest_of, make, spell
from everloop.serve.access import Key, Keyring

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def key(**given: Any) -> tuple[Key, str]:
    """A key and its clear text."""
    identifier, secret = make()
    chosen = {"name": "shop", "scopes": frozenset({Scope.SCORE}), **given}
    return Key(id=identifier, digest=digest_of(secret), **chosen), spell(identifier, secret)


def ring(*keys: Key, guarded: bool = True) -> Keyring:
    return Keyring({one.id: one for one in keys}, guarded)
