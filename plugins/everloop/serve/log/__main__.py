"""`python -m everloop.serve.log`: ships this machine's prediction log to PostgreSQL."""

import os

from everloop.serve.access.redact import secrets_of
from everloop.serve.fleet import end_with_parent
from everloop.serve.log.process import serve
from everloop.serve.observe.logs import begin_logs
from everloop.settings import read_settings

_NICER = 10
"""Where the cores do not suffice, answers come first: rows wait on the disk, and how long is told by the metrics."""

if __name__ == "__main__":
    end_with_parent()
    os.nice(_NICER)
    settings = read_settings()
    begin_logs(settings.log, secrets_of(settings))
    serve(settings)
