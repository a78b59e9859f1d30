"""What both Redis stores send: the guarded write, the newest event of each view."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from everloop.adapters.features.stores.packed import Columns, moment_of, pack
from everloop.release import ViewPlan

GUARD = """
local changed = 0
for i, key in ipairs(KEYS) do
  local offered, stands = ARGV[i + 1], redis.call('GET', key)
  local lands = not stands
  if stands and stands ~= offered then
    -- each of the two times as two numbers: Lua's are exact to 53 bits
    local a, b, c, d = struct.unpack('>i4I4i4I4', offered)
    local w, x, y, z = struct.unpack('>i4I4i4I4', stands)
    if a ~= w then lands = a > w
    elseif b ~= x then lands = b > x
    elseif c ~= y then lands = c > y
    else lands = d >= z end
  end
  if lands then
    if ARGV[1] == '0' then redis.call('SET', key, offered) else redis.call('SET', key, offered, 'PX', ARGV[1]) end
    changed = changed + 1
  end
end
return changed
"""
"""Offers `ARGV[2..]` to `KEYS`, kept for `ARGV[1]` milliseconds (0: for ever); how many changed. Atomic, as every script is.

Sent whole with each call of hundreds of rows: Redis knows it by its hash, and a restarted server lacks nothing.
"""

NEWEST = "online:newest"
"""A sorted set: the latest event time of each view's table, in microseconds."""

GRACE = timedelta(days=30)
"""How much longer than twice its TTL a row is kept. Reads decide what counts; this only clears what none wants."""

_ROWS_A_CALL = 500
"""320,000 rows a second by 500, 210,000 by 2,000: the arguments of a call lie on Lua's stack."""


def offer(pipe: Any, view: ViewPlan, columns: Columns) -> None:
    """Put the guarded write of some rows on a pipeline. Each answer but the last is a number of changed rows."""
    packed = pack(view, columns)
    events = [event for event in columns["event_timestamp"] if event is not None]
    lifetime = 0 if view.ttl_seconds is None else _lifetime(view.ttl_seconds, max(events, default=0))
    for known in packed.values():
        for some in _calls(known):
            # A cluster's pipeline offers no `eval` by name.
            pipe.execute_command("EVAL", GUARD, len(some), *some, lifetime, *some.values())
    if packed:
        pipe.zadd(NEWEST, {view.table: max(events)}, gt=True)


def newest_of(views: Iterable[ViewPlan], scores: Iterable[float | None]) -> dict[str, datetime]:
    """What the scores of the views' tables in `NEWEST` say, by the view's name."""
    return {view.name: moment_of(round(score)) for view, score in zip(views, scores, strict=True) if score is not None}


def _lifetime(ttl_seconds: float, newest: int) -> int:
    """Milliseconds: past the TTL also of a row whose event is yet to come."""
    ahead = max(0.0, newest / 1e6 - time.time())
    return round((ahead + 2 * ttl_seconds + GRACE.total_seconds()) * 1000)


def _calls(rows: Mapping[bytes, bytes]) -> Iterator[dict[bytes, bytes]]:
    items = iter(rows.items())
    while some := dict(islice(items, _ROWS_A_CALL)):
        yield some
