"""Feast's online store on Redis, by name."""

from __future__ import annotations

from typing import Literal

from everloop.adapters.features.online import GuardedOnlineStore, OnlineAddress


class RedisOnlineStoreConfig(OnlineAddress):
    """`uri`: `redis://`, `rediss://`, `unix://`, or `redis+cluster://`."""

    type: Literal["everloop.adapters.features.online_redis.RedisOnlineStore"] = (
        "everloop.adapters.features.online_redis.RedisOnlineStore"
    )


class RedisOnlineStore(GuardedOnlineStore):
    """On Redis, one string a view and entity; see `online_packed`."""
