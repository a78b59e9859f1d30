"""everloop's own JSON: one row, or many under `rows`."""

from __future__ import annotations

import msgspec

from everloop.serve.problems import Refused
from everloop.serve.release import LoadedRelease
from everloop.serve.request import Answer, result
from everloop.serve.shapes.shape import Asked, Reply, Sent, told

_encode = msgspec.json.Encoder().encode


class JsonRows:
    """`Shape` of JSON bodies at `POST /v1/<use case>/score`."""

    def read(self, release: LoadedRelease, sent: Sent) -> Asked:
        """See `Shape.read`."""
        block, explain = release.reader.body(sent.body, release.manifest.service.maximum_rows, sent.at)
        return Asked(block, explain or sent.explain)

    def write(self, answer: Answer, _context: object, /) -> Reply:
        """See `Shape.write`."""
        results = [result(answer, row) for row in range(len(answer.keys))]
        return Reply(_encode({"request_id": answer.request_id, "results": results}))

    def refused(self, refused: Refused) -> Reply:
        """See `Shape.refused`."""
        return told(refused)
