"""`python -m everloop.serve`: the scoring service, one or several processes that answer and one that ships their log."""

from __future__ import annotations

import argparse
import os

from everloop.serve.access.redact import secrets_of
from everloop.serve.fleet import Fleet, answering_command, shipping_command
from everloop.serve.observe.logs import begin_logs
from everloop.serve.observe.sharing import Shared
from everloop.settings import read_settings

_METRICS = "scorer_metrics"


def main() -> None:
    """Serve until told to stop. Address and number of workers by flags, else by EVERLOOP_SERVE_HOST, _PORT and _WORKERS."""
    parser = argparse.ArgumentParser(prog="python -m everloop.serve", description=main.__doc__)
    parser.add_argument("--host", default=os.environ.get("EVERLOOP_SERVE_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("EVERLOOP_SERVE_PORT", "8000")))
    parser.add_argument("--workers", type=int, default=int(os.environ.get("EVERLOOP_SERVE_WORKERS", "1")))
    given = parser.parse_args()
    settings = read_settings()
    begin_logs(settings.log, secrets_of(settings))
    shared = Shared(settings.home / _METRICS / str(given.port))
    Fleet([answering_command(given.host, given.port)] * given.workers, shipping_command(), shared).run()


if __name__ == "__main__":
    main()
