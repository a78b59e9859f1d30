"""What a form of request and answer has to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl

import msgspec

from everloop.serve.block import Block
from everloop.serve.problems import Refused
from everloop.serve.release import LoadedRelease
from everloop.serve.request import Answer

JSON = b"application/json"


class Sent(NamedTuple):
    """What came: a body, what its headers and its path's query say, under which name and when."""

    id: str
    body: bytes
    headers: Mapping[bytes, bytes]
    query: bytes
    at: datetime

    @property
    def explain(self) -> bool:
        """Whether the query string asks for contributions."""
        return asks(self.query).get("explain") == "true"


class Asked(NamedTuple):
    """Rows to score. `context`: what the form itself needs to write the answer."""

    block: Block
    explain: bool = False
    context: object = None


class Reply(NamedTuple):
    """Bytes, their media type, and headers beside it."""

    body: bytes
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Shape(Protocol):
    """A form. Raises `Refused` for what is not in it."""

    def read(self, release: LoadedRelease, sent: Sent) -> Asked:
        """The rows in a body, typed and checked as `release` wants them."""

    def write(self, answer: Answer, context: object, /) -> Reply:
        """An answer in the form that the request asked for."""

    def refused(self, refused: Refused) -> Reply:
        """What is wrong, as clients of this form expect to be told."""


def told(refused: Refused) -> Reply:
    """What is wrong, in everloop's own form."""
    return Reply(msgspec.json.encode(refused.body()), JSON, beside(refused))


def beside(refused: Refused) -> tuple[tuple[bytes, bytes], ...]:
    """A refusal's headers, as ASGI wants them."""
    return tuple((name.lower().encode(), value.encode()) for name, value in refused.headers().items())


@lru_cache(maxsize=64)
def asks(query: bytes) -> Mapping[str, str]:
    """A query string's parameters; of one that stands there twice, the last."""
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
