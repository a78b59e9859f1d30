"""Fixtures for benchmarks: a Redis."""

from fakes.redis_server import redis_session, redis_uri

__all__ = ["redis_session", "redis_uri"]
