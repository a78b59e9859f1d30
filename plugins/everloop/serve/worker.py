"""`python -m everloop.serve.worker HOST PORT`: one process that answers; several of them share a port (SO_REUSEPORT)."""

from __future__ import annotations

import gc
import socket
import sys

import uvicorn

from everloop.serve.access.redact import secrets_of
from everloop.serve.app import create_app
from everloop.serve.fleet import end_with_parent
from everloop.serve.http.shedding import Shedding
from everloop.serve.observe.logs import begin_logs
from everloop.settings import read_settings

_BACKLOG = 2_048
_READY_SECONDS = 30.0
"""How long a worker that cannot answer yet leaves the port to the others; then it says itself, at /readyz, what it waits for."""


def main() -> None:
    """Serve until told to stop, or until the parent is gone."""
    end_with_parent()
    settings = read_settings()
    begin_logs(settings.log, secrets_of(settings))
    certificate, key = settings.tls() or (None, None)
    config = uvicorn.Config(
        create_app(settings, _READY_SECONDS, _settle),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        backlog=_BACKLOG,
        loop="uvloop",
        http=Shedding,
        access_log=False,
        proxy_headers=False,  # nobody asks whom a request came from
        log_config=None,
        timeout_graceful_shutdown=10,
    )
    uvicorn.Server(config).run(sockets=[_bound(sys.argv[1], int(sys.argv[2]))])


def _settle() -> None:
    """Leave what stands now out of garbage collection: to look through all of it held every request up for 0.1 s."""
    gc.collect()
    gc.freeze()


def _bound(host: str, port: int) -> socket.socket:
    """The kernel spreads new connections over all sockets that listen here: this one shall once the application has started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind((host, port))
    return found


if __name__ == "__main__":
    main()
