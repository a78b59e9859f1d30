"""A release as the scorer holds it in memory: everything between a request and its score."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from everloop.errors import ReleaseError
from everloop.release import Bundle, Manifest
from everloop.serve.block import FEW, Block, plain
from everloop.serve.features.functions import RequestFunctions
from everloop.serve.features.reader import FeatureReader
from everloop.serve.features.store import OnlineStore
from everloop.serve.features.vectors import Vectors
from everloop.serve.model import ServedModel
from everloop.serve.reading.checks import compile_suite
from everloop.serve.reading.rows import RowReader

if TYPE_CHECKING:
    from everloop.serve.columns.reader import ColumnReader


class ReleaseStore(Protocol):
    """Where bundles come from, verified."""

    def get(self, release: str) -> Bundle:
        """A release's bytes; `ReleaseError` when absent or changed."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What a release says of some rows, a value a row.

    `flags`: what their features lacked and the model did not know. `vector`: by `<view>__<feature>`, all that it was given.
    """

    scores: list[float]
    decisions: list[bool]
    flags: list[tuple[str, ...]]
    vector: Mapping[str, Sequence[Any]]
    contributions: list[dict[str, float]] | None


@dataclass(frozen=True)
class LoadedRelease:
    """One release, ready to answer. Immutable, so a swap is one assignment."""

    id: str
    manifest: Manifest
    reader: RowReader
    features: FeatureReader
    functions: RequestFunctions
    model: ServedModel
    loaded_at: datetime
    load_ms: float

    @cached_property
    def columns(self) -> ColumnReader:
        """Reads tables; made when the first one comes, since Arrow takes memory."""
        from everloop.serve.columns.reader import ColumnReader

        return ColumnReader(self.reader.fields, self.reader.checks, self.reader)

    def entities(self, block: Block) -> list[str]:
        """The texts whose hash decides the arms: the entity's fields joined by `|`, empty where absent."""
        given = [block.request[name] for name in self.manifest.entity]
        if len(block) > FEW and (found := _joined(given)) is not None:
            return found
        columns = [plain(column) for column in given]
        return ["|".join(["" if value is None else str(value) for value in values]) for values in zip(*columns, strict=True)]

    def score(self, block: Block, vectors: Vectors, explain: bool = False) -> Scored:
        """Score rows whose stored features are known. Raises what the release's own code raises."""
        vector = {**vectors.columns, **self.functions.of(block)}
        encoded = self.model.encode({**block.request, **vector}, len(block))
        scores: list[float] = self.model.score(encoded.matrix).tolist()
        threshold = self.model.threshold
        flags = vectors.flags
        if encoded.unknown:
            told = {row: tuple(f"unknown_category:{name}" for name in names) for row, names in encoded.unknown.items()}
            flags = [earned + told.get(row, ()) for row, earned in enumerate(flags)]
        shares = self.model.contributions(encoded.matrix) if explain else None
        return Scored(scores, [score >= threshold for score in scores], flags, vector, shares)


@dataclass(frozen=True)
class Loader:
    """Fetches, verifies and warms up releases. `engine`: the setting EVERLOOP_ENGINE."""

    bundles: ReleaseStore
    store: OnlineStore
    engine: str

    def load(self, release: str, use_case: str) -> LoadedRelease:
        """The release, ready. `ReleaseError` or `ConfigurationError` says why it cannot serve."""
        started = time.perf_counter()
        bundle = self.bundles.get(release)
        bundle.verify()
        manifest = bundle.manifest
        if manifest.use_case != use_case:
            raise ReleaseError(
                f"Release {release} was made for {manifest.use_case}, not for {use_case}: name one of {use_case}'s"
            )
        return LoadedRelease(
            id=release,
            manifest=manifest,
            reader=RowReader(manifest.plan.request, compile_suite(_suite(bundle), manifest.plan.request)),
            features=FeatureReader(manifest, self.store),
            functions=RequestFunctions(bundle),
            model=ServedModel(bundle, self.engine),
            loaded_at=datetime.now(UTC),
            load_ms=(time.perf_counter() - started) * 1000,
        )


def _joined(columns: Sequence[Any]) -> list[str] | None:
    """The same of Arrow's texts and whole numbers, of which it writes what Python writes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not columns or not all(isinstance(column, pa.Array) and column.type in (pa.string(), pa.int64()) for column in columns):
        return None
    texts = [column.cast(pa.string()) for column in columns]
    found: list[str] = pc.binary_join_element_wise(*texts, "|", null_handling="replace", null_replacement="").to_pylist()
    return found


def _suite(bundle: Bundle) -> bytes:
    name = bundle.manifest.request_suite
    for path in (name, f"suites/{name}", f"suites/{name}.json"):
        if path in bundle.files:
            return bundle.files[path]
    raise ReleaseError(f'Release {bundle.id}: its request suite "{name}" is not among its files: publish it again')
