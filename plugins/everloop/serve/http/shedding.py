"""Overload: what finds no place is refused where its bytes come in, since a task and a scope for each would starve the accepted.

The event loop hands over what all connections sent before it runs any application code. So the count is kept here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from everloop.serve.problems import refuse
from everloop.serve.shapes.shape import told

_SCORES = re.compile(rb"POST /v[12]/(?:models/)?([^/ ?]*)[^ ?]*/(?:score|infer) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})\r\n", re.IGNORECASE)
_ODD = re.compile(rb"\r\n(?:transfer-encoding|expect|upgrade|connection: *close)", re.IGNORECASE)
_MOST_UNREAD = 100_000
"""Bytes of a body that are worth reading past: beyond it the request goes the long way, which may end the connection."""

FULL = told(
    refuse(429, "requests in flight", None, "must stay below the service's maximum", "wait a moment and send it again", 1.0)
)
"""What everybody is told for whom there is no place, made once: it must cost next to nothing."""

_REFUSED = b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: %s\r\ncontent-length: %d\r\n%s\r\n%s" % (
    FULL.media_type,
    len(FULL.body),
    b"".join(b"%s: %s\r\n" % header for header in FULL.headers),
    FULL.body,
)


class Gate:
    """How many score requests one process has in its hands.

    `places`: how many a use case may have there at once. `shed` is told whose rows are turned away.
    """

    def __init__(self, shed: Callable[[str], None], places: Callable[[str], int]) -> None:
        self.shed, self._places = shed, places
        self.taken = 0
        self._of: dict[str, int] = {}

    def full(self, use_case: str) -> bool:
        """Whether its next request finds no place."""
        return self._of.get(use_case, 0) >= self._places(use_case)

    def enter(self, use_case: str) -> None:
        """Take a place, until `leave`."""
        self.taken += 1
        self._of[use_case] = self._of.get(use_case, 0) + 1

    def leave(self, use_case: str) -> None:
        """Give it back."""
        self.taken -= 1
        if self._of[use_case] == 1:  # anybody may invent names
            del self._of[use_case]
        else:
            self._of[use_case] -= 1


class Shedding(HttpToolsProtocol):
    """uvicorn's protocol with a gate before it. `config.app` has the gate. What is framed in an odd way goes the long way."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._gate: Gate = self.config.app.gate  # type: ignore[union-attr]
        self._inside: str | None = None
        self._unread = 0

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._unread:
            data = self._dropped(data)
            if not data:
                return
        idle = self._inside is None and (self.cycle is None or self.cycle.response_complete)
        if idle and (scores := _SCORES.match(data)):
            use_case = scores[1].decode(errors="replace")
            if self._gate.full(use_case) and (unread := _unread(data)) is not None:
                self._gate.shed(use_case)
                self._refuse(unread)
                return
            self._inside = use_case
            self._gate.enter(use_case)
        super().data_received(data)

    def on_response_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        self._leave()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._leave()
        super().connection_lost(exc)

    def _refuse(self, unread: int) -> None:
        """Answer at once, whether or not the body has come: many clients send it apart from the head."""
        self._unread = unread
        self.transport.write(_REFUSED)
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _dropped(self, data: bytes) -> bytes:
        """What follows the body that nobody will read."""
        unread, self._unread = self._unread, max(0, self._unread - len(data))
        return data[unread:]

    def _leave(self) -> None:
        if self._inside is not None:
            self._gate.leave(self._inside)
            self._inside = None


def _unread(data: bytes) -> int | None:
    """How much of the body of the one request that begins here is still to come; `None` if it is not of the plainest kind."""
    end = data.find(b"\r\n\r\n")
    head = data[: end + 2]
    lengths = _LENGTH.findall(head)
    if end < 0 or len(lengths) != 1 or _ODD.search(head) is not None:
        return None
    unread = end + 4 + int(lengths[0]) - len(data)
    return unread if 0 <= unread <= _MOST_UNREAD else None
