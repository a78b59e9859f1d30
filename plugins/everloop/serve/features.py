"""Feature vectors at request time: the online store's views in one round trip, the release's own functions by call."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any

from everloop.adapters.features.stores.contract import Found, PlannedRead, open_online_async
from everloop.errors import ReleaseError
from everloop.flags import UNAVAILABLE, of_views
from everloop.release import REQUEST_FUNCTIONS, Bundle, FeaturePlan, RequestFunctionPlan, ViewPlan
from everloop.serve.rows import Row

_READ_SECONDS = 2.0
_PAUSE_SECONDS = 1.0


class StoreAway(Exception):  # noqa: N818, it says what is, as the flag does
    """The online store is away, slow or not as the release expects."""


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
    """Reads from the online store. When it does not answer, says so and pauses: a dead store must not slow every request.

    `seen` is told how often each status was found: use case, view, status, count.
    """

    def __init__(self, uri: str, seen: Callable[[str, str, str, int], None]) -> None:
        self._store = open_online_async(uri, _READ_SECONDS)
        self._seen = seen
        self._retry_at = 0.0
        self.problem: str | None = None

    async def open(self) -> None:
        """Get ready; works while the store is down."""
        await self._store.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._store.close()

    async def read(self, use_case: str, read: PlannedRead, rows: Sequence[Row]) -> Vectors:
        """Every view for every row as of its moment; without the store, empty vectors flagged `features_unavailable`."""
        if not read.plan.views:
            return Vectors(tuple({} for _ in rows), tuple(() for _ in rows))
        found = await self._fetch(read, rows)
        if found is None:
            empty = dict.fromkeys(read.columns)
            return Vectors(tuple(dict(empty) for _ in rows), tuple((UNAVAILABLE,) for _ in rows))
        for (view, status), times in Counter(item for statuses, _ in found for item in statuses.items()).items():
            self._seen(use_case, view, status, times)
        return Vectors(tuple(vector for _, vector in found), tuple(of_views(statuses) for statuses, _ in found))

    async def write(self, view: ViewPlan, rows: Sequence[Mapping[str, Any]]) -> int:
        """Offer rows to a view; how many rows of the store changed. Raises `StoreAway`."""
        try:
            return await self._store.write(view, rows)
        except self._store.errors as error:
            raise StoreAway(f"{type(error).__name__}: {error}") from error

    async def newest(self, plan: FeaturePlan) -> dict[str, datetime]:
        """The latest event time of each view that has rows; nothing when the store does not answer."""
        if time.monotonic() < self._retry_at:
            return {}
        try:
            return await self._store.newest(plan.views)
        except self._store.errors:
            return {}

    async def _fetch(self, read: PlannedRead, rows: Sequence[Row]) -> list[Found] | None:
        if time.monotonic() < self._retry_at:
            return None
        try:
            found = await self._store.read(read, [row.request for row in rows], [row.as_of for row in rows])
        except self._store.errors as error:
            self.problem = f"{type(error).__name__}: {error}"
            self._retry_at = time.monotonic() + _PAUSE_SECONDS
            return None
        self.problem = None
        return found
