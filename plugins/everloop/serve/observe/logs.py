"""The log of each process: plain lines, or JSON ones on standard output; both name the request, neither shows a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from everloop.errors import ConfigurationError
from everloop.serve.access.redact import Redaction
from everloop.serve.observe.passage import CURRENT

PLAIN, JSON = "plain", "json"

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
_NAMES = ("request_id", "trace_id")
_encode = msgspec.json.Encoder(enc_hook=str).encode


def begin_logs(form: str, secrets: Iterable[str] = ()) -> None:
    """Log to one handler from here on. `form`: the setting EVERLOOP_LOG, `plain` or `json`; `secrets`: values never to show."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.handlers[:] = [handler(form, secrets)]


def handler(form: str, secrets: Iterable[str] = ()) -> logging.Handler:
    """The handler: JSON lines to standard output, plain ones to standard error."""
    if form not in (PLAIN, JSON):
        raise ConfigurationError(f'EVERLOOP_LOG is "{form}": use "{PLAIN}" or "{JSON}"')
    made = logging.StreamHandler(sys.stdout if form == JSON else sys.stderr)
    made.setFormatter(JsonFormatter() if form == JSON else PlainFormatter())
    made.addFilter(RequestNames())
    made.addFilter(Redaction(secrets))
    return made


class RequestNames(logging.Filter):
    """Puts `request_id` and `trace_id` on each record that is logged while a request is worked on."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if (current := CURRENT.get()) is not None:
            record.request_id = current.id
            if (trace := current.trace_id) is not None:
                record.trace_id = trace
        return True


class PlainFormatter(logging.Formatter):
    """A line for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        """The line, with the request's names at its end."""
        names = [f"{name}={vars(record)[name]}" for name in _NAMES if name in vars(record)]
        line = super().formatMessage(record)
        return f"{line} [{' '.join(names)}]" if names else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `at` (UTC), `level`, `logger`, `message`, `process`, what `extra` gave, `error` (a traceback)."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if error := record.exc_text or (self.formatException(record.exc_info) if record.exc_info else ""):
            line["error"] = error
        return _encode(line).decode()
