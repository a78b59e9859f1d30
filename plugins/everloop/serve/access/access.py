"""The decision on the hot path: whether this request may do this now."""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime

from everloop.api_key import Scope, digest_of
from everloop.serve.access.keys import Key, Keyring
from everloop.serve.access.limits import TokenBucket
from everloop.serve.problems import Refused, refuse

FIELD = "API key"
"""What a refusal calls the part of the request that it concerns."""

_EVERYTHING = frozenset({Scope.ADMIN})
_ANYBODY = Key(id="", name="anybody", digest=secrets.token_bytes(32), scopes=_EVERYTHING)

Known = tuple[Key, TokenBucket | None]


class Access:
    """Decides by the keys of the table and by one bootstrap key that may do all without a limit.

    `keyring` is set by whoever reads the table, in any thread, by one assignment; `None` until the first reading. All else
    belongs to the event loop. Where there is no bootstrap key and no key was ever made, everybody may do everything.

    A secret is hashed and compared once for each keyring: what was found right is remembered by its clear text. That holds at
    most one entry a live key, since one text alone is right for each; wrong ones are not remembered. Finding a text in
    that dictionary tells an attacker no more than a comparison in constant time: strings are compared only where 64 bits of a
    SipHash keyed by this process agree.
    """

    def __init__(self, bootstrap: str | None = None) -> None:
        self.keyring: Keyring | None = None
        self._bootstrap = None if bootstrap is None else _bootstrap_key(bootstrap)
        self._current: Keyring | None = None
        self._open = False
        self._verified: dict[str | None, Known] = {}
        self._buckets: dict[str, TokenBucket] = {}

    def admit(self, presented: str | None, scope: Scope, now_monotonic: float, now: datetime) -> Key | Refused:
        """The key that lets this request pass, or why none does: 401, 403, 429 with the seconds to wait, 503 at the very start.

        `presented`: the clear key, `None` without one. `now_monotonic`: seconds, for the limits; `now`: for the expiry.
        """
        if self.keyring is not self._current:
            self._renew(self.keyring)
        if self._open:
            return _ANYBODY
        known = self._verified.get(presented) or self._verify(presented, now)
        if known is None:
            return self._unknown(presented)
        key, bucket = known
        if not key.lives(now):
            return self._unknown(presented)
        if not key.may(scope):
            return _lacking(key, scope)
        if bucket is not None and (wait := bucket.take(now_monotonic)):
            return _too_many(key, wait)
        return key

    def _renew(self, keyring: Keyring | None) -> None:
        """Forget what the former keyring proved right; the buckets of the keys that stay as they were are kept."""
        self._current = keyring
        self._open = keyring is not None and not keyring.guarded and self._bootstrap is None
        self._verified = {}
        live = keyring.keys if keyring else {}
        self._buckets = {id_: one for id_, one in self._buckets.items() if id_ in live and live[id_].limit == one.limit}

    def _verify(self, presented: str | None, now: datetime) -> Known | None:
        if presented is None:
            return None
        key = self._current.find(presented, now) if self._current else None
        if self._bootstrap and hmac.compare_digest(digest_of(presented), self._bootstrap.digest):
            key = self._bootstrap
        if key is None:
            return None
        bucket = self._buckets.setdefault(key.id, TokenBucket(key.limit)) if key.limit else None
        self._verified[presented] = key, bucket
        return key, bucket

    def _unknown(self, presented: str | None) -> Refused:
        """One answer for unknown, expired and revoked: who holds no live key learns nothing of those there are."""
        if self._current is None and (presented is not None or self._bootstrap is None):
            words = "cannot be told yet: this process has not read the keys"
            return refuse(503, FIELD, None, words, "send it again in a second", retry_after=1.0)
        if presented is None:
            return refuse(401, FIELD, None, "is missing", "send X-API-Key: <key>, or Authorization: Bearer <key>")
        return refuse(
            401,
            FIELD,
            None,
            "is unknown, expired or revoked",
            "send a live one; `everloop keys list` shows to operators which are",
        )


def _bootstrap_key(clear: str) -> Key:
    return Key(id="bootstrap", name="EVERLOOP_API_KEY", digest=digest_of(clear), scopes=_EVERYTHING)


def _lacking(key: Key, scope: Scope) -> Refused:
    held = ", ".join(sorted(key.scopes))
    return refuse(403, FIELD, key.id, f'lacks the scope "{scope}", has {held}', "ask an operator for a key with that scope")


def _too_many(key: Key, wait: float) -> Refused:
    assert key.limit is not None  # noqa: S101 - its bucket was made of it
    rule = f"may send {key.limit.rate:g} requests a second, {key.limit.burst:g} at once"
    return refuse(429, FIELD, key.id, rule, f"send it again in {wait:.3f} s", retry_after=wait)
