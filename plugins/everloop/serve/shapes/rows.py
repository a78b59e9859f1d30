"""everloop's own JSON: one row, or many under `rows`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from everloop.serve.release import LoadedRelease
from everloop.serve.request import Answer, result
from everloop.serve.shapes.shape import Asked, Reply

JSON = b"application/json"

_encode = msgspec.json.Encoder().encode


class JsonRows:
    """`Shape` of `POST /v1/<use case>/score`."""

    def read(self, release: LoadedRelease, body: bytes, _headers: Mapping[bytes, bytes], now: datetime, /) -> Asked:
        """See `Shape.read`."""
        block, explain = release.reader.body(body, release.manifest.service.maximum_rows, now)
        return Asked(block, explain)

    def write(self, answer: Answer, _context: object, /) -> Reply:
        """See `Shape.write`."""
        results = [result(answer, row) for row in range(len(answer.keys))]
        return Reply(_encode({"request_id": answer.request_id, "results": results}), JSON)
