"""Fixtures of the adapters' tests."""

from fakes.redis_server import redis_session, redis_uri
from fakes.s3 import s3_server

__all__ = ["redis_session", "redis_uri", "s3_server"]
