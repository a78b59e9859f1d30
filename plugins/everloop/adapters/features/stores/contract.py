"""What an online store promises, to the loop and to the scorer, and which one a URI names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from everloop.adapters.features.stores.judged import Found, Judges, Stored
from everloop.adapters.features.stores.packed import PackedRead
from everloop.adapters.features.stores.sql import OnlineRead, online_read
from everloop.errors import ConfigurationError
from everloop.release import FeaturePlan, ViewPlan

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]


@dataclass(frozen=True)
class PlannedRead:
    """A read of all views of a plan, made ready once for the store that it meets. A plan may read the two times as features."""

    plan: FeaturePlan

    @cached_property
    def statement(self) -> OnlineRead:
        """For asyncpg."""
        return online_read(self.plan, "numeric")

    @cached_property
    def formatted(self) -> OnlineRead:
        """For psycopg."""
        return online_read(self.plan, "format")

    @cached_property
    def judges(self) -> Judges:
        """What the rows that are found count for."""
        return Judges(self.plan)

    @cached_property
    def packed(self) -> PackedRead:
        """For Redis."""
        return PackedRead(self.plan)


@dataclass(frozen=True)
class Origin:
    """Which rows are written: the same name and version stand for the same rows in the same order."""

    name: str
    version: int


class OnlineStore(Protocol):
    """The newest known version of each entity's feature row, for the loop. Raises `SourceError` when it does not answer."""

    def prepare(self, views: Iterable[ViewPlan]) -> None:
        """Make room for the views (idempotent). Nothing that a release may still read is taken away."""

    def write(self, view: ViewPlan, batches: Iterable[pa.Table], origin: Origin | None = None) -> int:
        """Offer rows, chunk by chunk, each landing whole or not at all row by row; how many rows of the store changed.

        `batches` have the view's columns, `event_timestamp` and `created` among them. An older `(event_timestamp, created)`
        never overwrites a newer one, a correction of the same event lands, an equal row changes nothing, and a row
        without a key or a time is no feature row. With an `origin`, chunks that a stopped call has landed are not offered
        again.
        """

    def read(self, read: PlannedRead, rows: Sequence[Row], as_of: Sequence[datetime]) -> list[Found]:
        """Every view for every row as of its aware time, in one round trip; a row holds join keys by name."""

    def newest(self, views: Iterable[ViewPlan]) -> dict[str, datetime]:
        """The latest event time that each view holds, by the view's name; a view without rows is left out."""

    def drop(self, views: Iterable[ViewPlan]) -> None:
        """Delete the views' rows."""

    def close(self) -> None:
        """Close the connections."""


class AsyncOnlineStore(Protocol):
    """The same for an event loop, which wants an answer soon or not at all. Raises one of `errors`."""

    errors: tuple[type[Exception], ...]

    async def open(self) -> None:
        """Get ready. Connections are made when first needed, so this works while the store is down."""

    async def write(self, view: ViewPlan, rows: Sequence[Row]) -> int:
        """See `OnlineStore.write`."""

    async def stored(self, read: PlannedRead, rows: Sequence[Row]) -> list[list[Stored | None]]:
        """For each row what is stored for each view, whatever its age, in one round trip; a row holds join keys by name."""

    async def newest(self, views: Iterable[ViewPlan]) -> dict[str, datetime]:
        """See `OnlineStore.newest`."""

    async def close(self) -> None:
        """Close the connections, those in use included."""


POSTGRES = ("postgresql://", "postgres://")
REDIS = ("redis://", "rediss://", "unix://", "redis+cluster://")


def open_online(uri: str) -> OnlineStore:
    """The store at `uri`; `ConfigurationError` for a scheme that names none. Connects when first used."""
    if _scheme_of(uri) in REDIS:
        from everloop.adapters.features.stores.redis_store import RedisStore

        return RedisStore(uri)
    from everloop.adapters.features.stores.postgres_store import PostgresStore

    return PostgresStore(uri)


def open_online_async(uri: str, seconds: float = 2.0) -> AsyncOnlineStore:
    """The store at `uri` for an event loop. An answer that takes longer than `seconds` is none."""
    if _scheme_of(uri) in REDIS:
        from everloop.adapters.features.stores.redis_async import AsyncRedisStore

        return AsyncRedisStore(uri, seconds)
    from everloop.adapters.features.stores.postgres_async import AsyncPostgresStore

    return AsyncPostgresStore(uri, seconds)


def _scheme_of(uri: str) -> str:
    scheme = uri[: uri.find("://") + 3]
    if scheme not in POSTGRES + REDIS:
        raise ConfigurationError(
            f'"{scheme or uri[:20]}" names no online store: set EVERLOOP_ONLINE to a URI that begins with one of '
            f"{', '.join(POSTGRES + REDIS)}, or leave it out for the everloop database"
        )
    return scheme
