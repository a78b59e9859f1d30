"""Feature vectors at request time: the online store's views by one statement, the release's own functions by call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import asyncpg

from everloop.adapters.features.online_sql import SESSION, OnlineRead
from everloop.errors import ReleaseError
from everloop.release import REQUEST_FUNCTIONS, Bundle, RequestFunctionPlan
from everloop.serve.rows import Row

UNAVAILABLE = "features_unavailable"

_READ_SECONDS = 2.0
_PAUSE_SECONDS = 1.0

STORE_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""How an online store that is away, slow or not as the release expects shows itself."""

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Vectors:
    """For each row its values by `<view>__<feature>`, the flags they earned, and the views that gave nothing fresh."""

    values: tuple[dict[str, Any], ...]
    flags: tuple[tuple[str, ...], ...]

    def lacking(self) -> bool:
        """Whether any row lacks a view."""
        return any(self.flags)


class RequestFunctions:
    """The functions of a release's `request_functions.py`, run in a module of their own."""

    def __init__(self, bundle: Bundle) -> None:
        self._calls: list[tuple[RequestFunctionPlan, Callable[[Columns], Columns]]] = []
        plans = bundle.manifest.plan.functions
        module = ModuleType(f"request_functions_{bundle.id}")
        if plans:
            # The bundle's bytes were verified against the SHA-256 that the ledger's release id pins.
            exec(compile(bundle.files[REQUEST_FUNCTIONS], f"{bundle.id}/{REQUEST_FUNCTIONS}", "exec"), module.__dict__)  # noqa: S102
        for plan in plans:
            if not callable(function := getattr(module, plan.function, None)):
                raise ReleaseError(f"Release {bundle.id}: {REQUEST_FUNCTIONS} has no function {plan.function}: publish it again")
            self._calls.append((plan, function))

    def fill(self, rows: Sequence[Row], values: Sequence[dict[str, Any]]) -> None:
        """Add every function's features to `values`, row by row."""
        for plan, function in self._calls:
            answer = function({name: [row.request[name] for row in rows] for name in plan.inputs})
            for feature in plan.features:
                for target, value in zip(values, answer[feature], strict=True):
                    target[f"{plan.name}__{feature}"] = value


class OnlineStore:
    """Reads from the online tables. When they do not answer, says so and pauses: a dead store must not slow every request."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._pool: asyncpg.Pool | None = None
        self._retry_at = 0.0
        self.problem: str | None = None

    async def open(self) -> None:
        """Make the pool; connections are made when first needed, so this works while PostgreSQL is down."""
        self._pool = await asyncpg.create_pool(
            self._uri,
            min_size=0,
            max_size=8,
            timeout=_READ_SECONDS,
            command_timeout=_READ_SECONDS,
            server_settings={"application_name": "everloop scorer", "timezone": "UTC", **SESSION},
        )

    async def close(self) -> None:
        """Close the pool, connections in use included."""
        if self._pool is not None:
            self._pool.terminate()

    async def read(self, statement: OnlineRead, rows: Sequence[Row]) -> Vectors:
        """Every view for every row as of its moment; without the store, empty vectors flagged `features_unavailable`."""
        if not statement.views:
            return Vectors(tuple({} for _ in rows), tuple(() for _ in rows))
        parameters = statement.parameters([row.request for row in rows], [row.as_of for row in rows])
        records = await self._fetch(statement.sql, parameters)
        if records is None:
            empty = dict.fromkeys(statement.columns)
            return Vectors(tuple(dict(empty) for _ in rows), tuple((UNAVAILABLE,) for _ in rows))
        found = [statement.split(record) for record in records]
        return Vectors(tuple(vector for _, vector in found), tuple(_flags(status) for status, _ in found))

    async def write(self, sql: str, parameters: Sequence[Any]) -> int:
        """Run an upsert; the number of records it returns. Raises one of `STORE_ERRORS`."""
        if self._pool is None:
            raise ConnectionError("the online store is not open")
        return len(await self._pool.fetch(sql, *parameters))

    async def _fetch(self, sql: str, parameters: Sequence[Any]) -> list[asyncpg.Record] | None:
        if self._pool is None or time.monotonic() < self._retry_at:
            return None
        try:
            records = await self._pool.fetch(sql, *parameters)
        except STORE_ERRORS as error:
            self.problem = f"{type(error).__name__}: {error}"
            self._retry_at = time.monotonic() + _PAUSE_SECONDS
            return None
        self.problem = None
        return list(records)


_FLAG = {"absent": "missing", None: "missing", "stale": "stale", "early": "early"}


def _flags(status: Mapping[str, str | None]) -> tuple[str, ...]:
    return tuple(f"{_FLAG[found]}:{view}" for view, found in status.items() if found != "fresh")
