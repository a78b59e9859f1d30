"""How Redis holds feature rows: keys and values as bytes.

One string per view and entity:

    {<table>.<bucket>}<entity>  ->  <event time><created><features>

The entity is the MessagePack list of its join keys' values, by name; its CRC-32 gives the bucket, one of 64 in two hex digits.
The braces are a hash tag: on a cluster a bucket lies on one node, so that one script call writes many rows. The times are
microseconds since 1970 as big-endian signed 64-bit integers, the features a MessagePack map by name, without the nulls: a view
that gains or loses a feature reads what was written before. Timestamps are integers of microseconds.

Measured with 150,000 rows of four floats on Redis 6.2: 206 bytes a row, and 0.8 ms to read 300 of them by MGET. One hash per
entity, a field per view, took 222 bytes (137 with a raised `hash-max-ziplist-value`) and 2.0 to 2.3 ms; a list of values in place
of the map saved 21 bytes, and with them the names.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

from everloop.adapters.features.stores.judged import Stored
from everloop.adapters.features.stores.sql import TIMES, online_columns
from everloop.release import FeaturePlan, ViewPlan

if TYPE_CHECKING:
    import pyarrow as pa

BUCKETS = 64

Columns = Mapping[str, Sequence[Any]]
"""Plain values by column: numbers, text, microseconds for times."""

_TIMES = struct.Struct(">qq")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Any]).decode


def micros(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=4096)
def moment_of(microseconds: int) -> datetime:
    """The inverse of `micros`, in UTC; rows that were written together have the same ones."""
    return _EPOCH + microseconds * _MICROSECOND


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "string": str,
    "int": int,
    "float": lambda value: float(value) + 0.0,  # -0.0 and 0.0 are one key: one form
    "bool": bool,
    "timestamp": micros,
}


def from_rows(view: ViewPlan, rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Rows as plain columns; a value that a row lacks is null."""
    return {
        name: [None if (value := row.get(name)) is None else plain(value) for row in rows]
        for name, kind in online_columns(view).items()
        for plain in (_PLAIN[kind],)
    }


def from_table(view: ViewPlan, rows: pa.Table) -> Columns:
    """A table that has the view's columns in their types, as plain columns."""
    kinds = online_columns(view)
    found = {name: rows[name].cast("int64") if kind == "timestamp" else rows[name] for name, kind in kinds.items()}
    columns = {name: column.to_pylist() for name, column in found.items()}
    for name, kind in view.join_keys.items():
        if kind == "float":
            columns[name] = [None if value is None else value + 0.0 for value in columns[name]]
    return columns


def pack(view: ViewPlan, columns: Columns) -> dict[bytes, dict[bytes, bytes]]:
    """By hash tag, each key and its newest value. Rows without a key or a time are left out."""
    tags, names = _tags(view), tuple(view.features)
    packed: dict[bytes, dict[bytes, bytes]] = {tag: {} for tag in tags}
    keys = zip(*(columns[name] for name in sorted(view.join_keys)), strict=True)
    times = zip(*(columns[name] for name in TIMES), strict=True)
    for key, moments, *values in zip(keys, times, *(columns[name] for name in names), strict=True):
        if None in key or None in moments:
            continue
        entity = _encode(key)
        tag = tags[crc32(entity) % BUCKETS]
        place, known = tag + entity, packed[tag]
        if place not in known or moments >= _TIMES.unpack_from(known[place]):
            features = {name: value for name, value in zip(names, values, strict=True) if value is not None}
            known[place] = _TIMES.pack(*moments) + _encode(features)
    return {tag: known for tag, known in packed.items() if known}


class PackedRead:
    """A read of all views of a plan: which keys to get for some rows, and what stands under them."""

    def __init__(self, plan: FeaturePlan) -> None:
        self._views = [_PackedView(view) for view in plan.views]
        keys = [tuple(sorted(view.join_keys.items())) for view in plan.views]
        shared = list(dict.fromkeys(keys))
        self._entities = [_Entity(one) for one in shared]
        self._tags = [(shared.index(own), _tags(view)) for own, view in zip(keys, plan.views, strict=True)]

    def keys(self, rows: Sequence[Mapping[str, Any]]) -> list[bytes | None]:
        """Row by row the key of each view; `None` where the row lacks a join key."""
        found: list[bytes | None] = []
        for row in rows:
            entities = [entity.of(row) for entity in self._entities]
            for place, tags in self._tags:
                known = entities[place]
                found.append(known and tags[known[0]] + known[1])
        return found

    def stored(self, values: Sequence[bytes | None]) -> list[list[Stored | None]]:
        """For each row the row of each view. `values`: what stands under each of `keys`."""
        each = iter(values)
        rows = len(values) // len(self._views) if self._views else 0
        return [[view.stored(next(each)) for view in self._views] for _ in range(rows)]


class _Entity:
    """The join keys that some views share, each with its kind."""

    def __init__(self, keys: tuple[tuple[str, str], ...]) -> None:
        self._plain = [(name, _PLAIN[kind]) for name, kind in keys]

    def of(self, row: Mapping[str, Any]) -> tuple[int, bytes] | None:
        """The bucket and the bytes of a row's entity."""
        values = []
        for name, plain in self._plain:
            if (value := row.get(name)) is None:
                return None
            values.append(plain(value))
        entity = _encode(values)
        return crc32(entity) % BUCKETS, entity


class _PackedView:
    """One view of a read."""

    def __init__(self, view: ViewPlan) -> None:
        self._features = tuple(view.features)
        self._moments = [name for name, kind in view.features.items() if kind == "timestamp"]
        self._timed = any(name in TIMES for name in view.features)

    def stored(self, value: bytes | None) -> Stored | None:
        if value is None:
            return None
        event, created = times = _TIMES.unpack_from(value)
        features = _decode(value[_TIMES.size :])
        if self._timed:
            features.update(zip(TIMES, times, strict=True))
        for name in self._moments:
            if (at := features.get(name)) is not None:
                features[name] = moment_of(at)
        return moment_of(event), moment_of(created), tuple(map(features.get, self._features))


def _tags(view: ViewPlan) -> list[bytes]:
    return [f"{{{view.table}.{bucket:02x}}}".encode() for bucket in range(BUCKETS)]
