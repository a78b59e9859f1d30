"""`python -m everloop.serve`: the scoring service as a process."""

from __future__ import annotations

import argparse
import logging
import os

import uvicorn

from everloop.serve.app import create_app
from everloop.settings import read_settings


def main() -> None:
    """Serve until told to stop. Address by flags, else EVERLOOP_SERVE_HOST and EVERLOOP_SERVE_PORT; the rest by settings."""
    parser = argparse.ArgumentParser(prog="python -m everloop.serve", description=main.__doc__)
    parser.add_argument("--host", default=os.environ.get("EVERLOOP_SERVE_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("EVERLOOP_SERVE_PORT", "8000")))
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    uvicorn.run(
        create_app(read_settings()),
        host=given.host,
        port=given.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
