"""The framing of a segment: `[u32 length][u32 CRC-32 of kind and payload][u8 kind][payload]`, little-endian.

`length` is that of the payload. The CRC is zlib's (IEEE 802.3): it finds every damage of up to 32 bits in a row.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import msgspec

from everloop.serve.log.record import Record, ShadowRecord

LARGEST = 128 << 20
"""Bytes of payload that no frame exceeds: a length beyond it is damage, not a frame to wait for."""

_HEAD = struct.Struct("<IIB")
_KIND = re.compile(rb"[\x01-\x03]")
_ENCODER = msgspec.json.Encoder()


class Kind(int, Enum):
    """What a payload is: a JSON array of `Record`, an Arrow IPC stream with its columns, a JSON array of `ShadowRecord`."""

    ROWS = 1
    COLUMNS = 2
    SHADOWS = 3


class Stop(Enum):
    """Why a reader stopped: nothing follows; an incomplete frame does (a write under way, or cut off); something damaged does."""

    END = "end"
    TORN = "torn"
    CORRUPT = "corrupt"


class Frame(NamedTuple):
    """A whole, right frame, and the position after it."""

    kind: Kind
    payload: memoryview
    end: int


class Scan(NamedTuple):
    """The frames up to position `end`, and why no more."""

    frames: list[Frame]
    end: int
    stopped: Stop


def frame(kind: Kind, payload: bytes) -> bytes:
    """A frame, ready to be appended; `ValueError` for a payload beyond `LARGEST`."""
    if len(payload) > LARGEST:
        raise ValueError(f"a frame of {len(payload)} bytes is larger than {LARGEST}: write its rows in several frames")
    return _HEAD.pack(len(payload), zlib.crc32(payload, zlib.crc32(bytes([kind]))), kind) + payload


def rows(records: Sequence[Record]) -> bytes:
    """One frame of answered rows, be they of one request or of many."""
    return frame(Kind.ROWS, _ENCODER.encode(records))


def shadows(records: Sequence[ShadowRecord]) -> bytes:
    """One frame of what the release in shadow made of rows logged before."""
    return frame(Kind.SHADOWS, _ENCODER.encode(records))


def scan(content: bytes, start: int = 0) -> Scan:
    """The frames that follow each other from `start` on. Never raises, whatever the bytes."""
    view, position = memoryview(content), start
    found: list[Frame] = []
    while position < len(content):
        step = _at(view, position)
        if isinstance(step, Stop):
            return Scan(found, position, step)
        found.append(step)
        position = step.end
    return Scan(found, position, Stop.END)


def resynchronise(content: bytes, start: int) -> int | None:
    """The first position from `start` on at which a right frame lies; `None` when there is none."""
    view = memoryview(content)
    # Only where a kind could stand is worth a look, and JSON holds no such byte: the search runs at the speed of `re`.
    for match in _KIND.finditer(content, start + _HEAD.size - 1):
        position = match.start() - _HEAD.size + 1
        if not isinstance(_at(view, position), Stop):
            return position
    return None


def _at(view: memoryview, position: int) -> Frame | Stop:
    if len(view) - position < _HEAD.size:
        return Stop.TORN
    length, crc, kind = _HEAD.unpack_from(view, position)
    if length > LARGEST or not 1 <= kind <= len(Kind):
        return Stop.CORRUPT
    end = position + _HEAD.size + length
    if end > len(view):
        return Stop.TORN
    # The kind stands right before the payload, so one pass covers both.
    if zlib.crc32(view[position + _HEAD.size - 1 : end]) != crc:
        return Stop.CORRUPT
    return Frame(Kind(kind), view[position + _HEAD.size : end], end)
