"""`python -m everloop.serve.log`: ships this machine's prediction log to PostgreSQL."""

from everloop.serve.access.redact import secrets_of
from everloop.serve.fleet import end_with_parent
from everloop.serve.log.process import serve
from everloop.serve.observe.logs import begin_logs
from everloop.settings import read_settings

if __name__ == "__main__":
    end_with_parent()
    settings = read_settings()
    begin_logs(settings.log, secrets_of(settings))
    serve(settings)
