"""`POST /v1/<use case>/score`: the form that the content type names."""

from __future__ import annotations

from functools import cached_property

from everloop.serve.problems import Refused
from everloop.serve.release import LoadedRelease
from everloop.serve.request import Answer
from everloop.serve.shapes.rows import JsonRows
from everloop.serve.shapes.shape import Asked, Reply, Sent, Shape, told

ARROW = b"application/vnd.apache.arrow.stream"


class ByContentType:
    """`Shape` of JSON, or of Arrow where the request says so."""

    def __init__(self) -> None:
        self._rows = JsonRows()

    @cached_property
    def _arrow(self) -> Shape:
        # Arrow takes memory that a service of JSON alone need not spend.
        from everloop.serve.shapes.arrow import ArrowStream

        return ArrowStream(self._rows)

    def read(self, release: LoadedRelease, sent: Sent) -> Asked:
        """See `Shape.read`."""
        if not sent.headers.get(b"content-type", b"").startswith(ARROW):
            return self._rows.read(release, sent)
        return self._arrow.read(release, sent)

    def write(self, answer: Answer, context: object) -> Reply:
        """See `Shape.write`; JSON has no context."""
        return self._rows.write(answer, None) if context is None else self._arrow.write(answer, context)

    def refused(self, refused: Refused) -> Reply:
        """See `Shape.refused`."""
        return told(refused)
