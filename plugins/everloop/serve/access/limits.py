"""How often: a token bucket a key."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Limit:
    """`rate` requests a second in the long run, `burst` of them at once."""

    rate: float
    burst: float


class TokenBucket:
    """A bucket of `burst` tokens that refills by `rate` a second; each request takes one (RFC 2697, section 3, one colour).

    In any span of `t` seconds at most `burst + rate * t` requests pass. For one thread: nothing here is locked.
    """

    __slots__ = ("_at", "_tokens", "limit")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._tokens = 0.0
        self._at = -inf  # long enough ago for the first request to find it full

    def take(self, now: float) -> float:
        """0 when a token was there and is taken; else the seconds until there is one. `now`: seconds of a monotonic clock."""
        tokens = min(self.limit.burst, self._tokens + (now - self._at) * self.limit.rate)
        self._at = now
        if tokens >= 1.0:
            self._tokens = tokens - 1.0
            return 0.0
        self._tokens = tokens
        return (1.0 - tokens) / self.limit.rate
