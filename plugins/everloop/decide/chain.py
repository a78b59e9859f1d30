"""The hash chain that makes the ledger tamper-evident: canonical JSON, an entry's hash, and what is broken in a chain."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from numbers import Integral, Real
from typing import Any

import numpy as np

from everloop.errors import DataError

GENESIS = "0" * 64
"""The `previous_hash` of the first entry."""


def canonical(value: Any) -> str:
    """The one JSON text of `value`, equal before and after a trip through PostgreSQL's jsonb.

    Keys sorted, no spaces. Whole floats are written as integers, since jsonb keeps numbers as decimals: 1e22 comes back as an
    integer. Datetimes become ISO 8601 in UTC, durations seconds, dataclasses objects. Raises `DataError` for what JSON or
    jsonb cannot hold: NaN, infinities, naive datetimes, keys that are not text, NUL characters, other types.
    """
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def plain(value: Any, path: str = "$") -> Any:
    """`value` as dicts, lists, text, whole and broken numbers, booleans and null; the tree that `canonical` writes."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Enum):
        value = value.value
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_key(key, path): plain(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{path}[{i}]") for i, item in enumerate(value)]
    return _scalar(value, path)


def _scalar(value: Any, path: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return _number(float(value), path)
    if isinstance(value, datetime):
        return moment(value, path)
    if isinstance(value, timedelta):
        return _number(value.total_seconds(), path)
    raise DataError(f"{path} is a {type(value).__name__}, which JSON cannot hold: pass numbers, text, times, lists or mappings")


def _number(value: float, path: str) -> int | float:
    if not math.isfinite(value):
        raise DataError(f"{path} is {value}, which JSON cannot hold: pass None, and say why the number is absent")
    return int(value) if value.is_integer() else value


def _text(value: str, path: str) -> str:
    if "\x00" in value:
        raise DataError(f"{path} is {value!r}: PostgreSQL keeps no NUL character: remove it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path} is {value!r}, which is not valid Unicode ({error.reason}): decode it properly") from error
    return value


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise DataError(f"{path} has the key {key!r}, which is not text: name it by a string")
    return _text(str(key), path)


def moment(value: datetime, path: str = "$") -> str:
    """ISO 8601 in UTC; `DataError` for a datetime without a time zone."""
    if value.tzinfo is None:
        raise DataError(f"{path} is {value}, which has no time zone: pass an aware datetime, for instance in UTC")
    return value.astimezone(UTC).isoformat()


def entry_hash(entry: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the canonical JSON of every field but `hash`; `previous_hash` is among them, which makes the chain."""
    body = {name: value for name, value in entry.items() if name != "hash"}
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def broken(entries: Iterable[Mapping[str, Any]]) -> str | None:
    """What is wrong with the first bad row of a chain that is given whole and in order; `None` when it is intact.

    A row that was changed, inserted, removed or moved is found; rows cut off the end are not: compare the head with a copy
    kept elsewhere for that.
    """
    previous = GENESIS
    for seq, entry in enumerate(entries, start=1):
        if problem := _problem(entry, seq, previous):
            return problem
        previous = entry["hash"]
    return None


def _problem(entry: Mapping[str, Any], seq: int, previous: str) -> str | None:
    name = f"row {entry['seq']} of {entry['use_case']}"
    if entry["seq"] != seq:
        return f"{name} stands where row {seq} should: rows are missing or out of order"
    if entry["previous_hash"] != previous:
        return f"{name} follows hash {entry['previous_hash'][:16]}…, the row before it has {previous[:16]}…"
    if (found := entry_hash(entry)) != entry["hash"]:
        return f"{name} was changed: its content has hash {found[:16]}…, it was written with {entry['hash'][:16]}…"
    return None
