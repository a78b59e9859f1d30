"""A release as the scorer holds it in memory: everything between a request and its score."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from everloop.adapters.features.stores.contract import PlannedRead
from everloop.errors import ReleaseError
from everloop.release import Bundle, Manifest
from everloop.serve.checks import compile_suite
from everloop.serve.engine import Engine
from everloop.serve.features import OnlineStore, RequestFunctions, Vectors
from everloop.serve.rows import Row, RowReader


class ReleaseStore(Protocol):
    """Where bundles come from, verified."""

    def get(self, release: str) -> Bundle:
        """A release's bytes; `ReleaseError` when absent or changed."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What a release says of one row. `vector` holds the features it used, as the log keeps them."""

    score: float
    decision: bool
    vector: dict[str, Any]
    flags: tuple[str, ...]
    contributions: dict[str, float] | None = None


@dataclass(frozen=True)
class LoadedRelease:
    """One release, ready to answer. Immutable, so a swap is one assignment."""

    id: str
    manifest: Manifest
    reader: RowReader
    read: PlannedRead
    functions: RequestFunctions
    engine: Engine
    loaded_at: datetime
    load_ms: float

    def entity(self, row: Row) -> str:
        """The text whose hash decides the arm: the entity's fields joined by `|`."""
        return "|".join("" if (value := row.request.get(name)) is None else str(value) for name in self.manifest.entity)

    async def vectors(self, rows: Sequence[Row], store: OnlineStore) -> Vectors:
        """Feature vectors of `rows` by this release's plan."""
        found = await store.read(self.manifest.use_case, self.read, rows)
        self.functions.fill(rows, found.values)
        return found

    def score(self, rows: Sequence[Row], vectors: Vectors, explain: bool) -> list[Scored]:
        """Score rows whose vectors are known."""
        inputs = [{**row.request, **vector} for row, vector in zip(rows, vectors.values, strict=True)]
        matrix = self.engine.encode(inputs)
        scores = self.engine.score(matrix).tolist()
        shares = self.engine.contributions(matrix) if explain else [None] * len(rows)
        flags = [
            earned + tuple(f"unknown_category:{column}" for column in self.engine.unknown(values))
            for earned, values in zip(vectors.flags, inputs, strict=True)
        ]
        threshold = self.engine.threshold
        return [
            Scored(score, score >= threshold, vector, earned, share)
            for score, vector, earned, share in zip(scores, vectors.values, flags, shares, strict=True)
        ]


def load(store: ReleaseStore, release: str, use_case: str) -> LoadedRelease:
    """Fetch, verify and warm up a release. `ReleaseError` or `ConfigurationError` says why it cannot serve."""
    started = time.perf_counter()
    bundle = store.get(release)
    bundle.verify()
    manifest = bundle.manifest
    if manifest.use_case != use_case:
        raise ReleaseError(f"Release {release} was made for {manifest.use_case}, not for {use_case}: name one of {use_case}'s")
    return LoadedRelease(
        id=release,
        manifest=manifest,
        reader=RowReader(manifest.plan.request, compile_suite(_suite(bundle), manifest.plan.request)),
        read=PlannedRead(manifest.plan),
        functions=RequestFunctions(bundle),
        engine=Engine(bundle),
        loaded_at=datetime.now(UTC),
        load_ms=(time.perf_counter() - started) * 1000,
    )


def _suite(bundle: Bundle) -> bytes:
    name = bundle.manifest.request_suite
    for path in (name, f"suites/{name}", f"suites/{name}.json"):
        if path in bundle.files:
            return bundle.files[path]
    raise ReleaseError(f'Release {bundle.id}: its request suite "{name}" is not among its files: publish it again')
