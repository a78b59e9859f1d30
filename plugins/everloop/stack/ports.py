"""TCP ports of this machine that nobody uses."""

from __future__ import annotations

import random
import socket

_FROM, _TO = 10_000, 22_000
"""Below 32768, where Linux begins to give ports to connections that go out: one of those would take a port that was free a moment
ago. A Redis cluster's node needs another port 10,000 above its own."""


def is_free(port: int) -> bool:
    """Whether nobody listens on `port` of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nobody listens on now, by lot, so that two who ask at once do not get the same."""
    draw = random.SystemRandom()
    while not is_free(port := draw.randrange(_FROM, _TO)):
        pass
    return port
