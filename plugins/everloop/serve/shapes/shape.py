"""What a form of request and answer has to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from everloop.serve.block import Block
from everloop.serve.release import LoadedRelease
from everloop.serve.request import Answer


class Asked(NamedTuple):
    """Rows to score. `context`: what the form itself needs to write the answer."""

    block: Block
    explain: bool = False
    context: object = None


class Reply(NamedTuple):
    """Bytes, their media type, and headers beside it."""

    body: bytes
    media_type: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Shape(Protocol):
    """A form. Raises `Refused` for what is not in it."""

    def read(self, release: LoadedRelease, body: bytes, headers: Mapping[bytes, bytes], now: datetime, /) -> Asked:
        """The rows in a body, typed and checked as `release` wants them."""

    def write(self, answer: Answer, context: object, /) -> Reply:
        """An answer in the form that the request asked for."""
