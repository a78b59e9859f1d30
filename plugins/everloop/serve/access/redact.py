"""Keeps secrets out of logs: a filter for every handler."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from urllib.parse import quote, unquote, urlsplit

from everloop.settings import Settings

MASK = "***"
SHORTEST = 8
"""Known values shorter than this stay: taken out wherever they stand, they would garble words that are none of theirs."""

_SEPARATOR = r"""\\*["']?\s*[:=,]\s*"""
_QUOTED = r"""b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*'"""
_PATTERNS = (
    # a key of ours, whole or cut short; its id is no secret
    (re.compile(r"(evl_[0-9A-Za-z]+_)[\w-]+"), rf"\1{MASK}"),
    # the two headers, as HTTP, Python or JSON show them; unquoted, a value of Authorization goes to the end of the line
    (re.compile(rf"(api[-_]?key{_SEPARATOR})(?:{_QUOTED}|\S+)", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(rf"(authorization{_SEPARATOR})(?:{_QUOTED}|[^\r\n]+)", re.IGNORECASE), rf"\1{MASK}"),
    # scheme://user:password@host, to the last @ before the path
    (re.compile(r"(://[^\s:/]*:)[^\s/]*@"), rf"\1{MASK}@"),
    # libpq's key words, a URI's query, environment variables
    (re.compile(rf"(passw(?:or)?d{_SEPARATOR})(?:{_QUOTED}|\S+)", re.IGNORECASE), rf"\1{MASK}"),
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_FORMATTER = logging.Formatter()


def secrets_of(settings: Settings) -> frozenset[str]:
    """The values of the settings that no log may show: the bootstrap key and the passwords inside URIs, coded and plain."""
    uris = (settings.database, settings.online, settings.mlflow, *settings.connections.values())
    passwords = [password for uri in uris if uri and (password := urlsplit(uri).password)]
    return frozenset(filter(None, [settings.api_key, *passwords, *map(unquote, passwords)]))


class Redaction(logging.Filter):
    """Takes secrets out of a record: out of its message with the arguments in it, its traceback and what `extra` gave it.

    They are our keys (all but the id), the values of X-API-Key and Authorization, passwords in URIs and in `password=...`, and
    `known` values of `SHORTEST` characters or more. Add it to handlers: a logger's own filters do not see what its children log.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        super().__init__()
        forms = {form for value in known if len(value) >= SHORTEST for form in (value, quote(value, safe=""), repr(value)[1:-1])}
        self._known = sorted(forms, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """The text without secrets."""
        for value in self._known:
            text = text.replace(value, MASK)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without secrets; one that has none stays as it is."""
        told = _told(record)
        if (clean := self.clean(told)) != told:
            record.msg, record.args = clean, None
        traceback = record.exc_text or (_FORMATTER.formatException(record.exc_info) if record.exc_info else "")
        if (clean := self.clean(traceback)) != traceback:
            # Formatters show the text that is there; the exception would only let one format it anew.
            record.exc_text, record.exc_info = clean, None
        if record.stack_info:
            record.stack_info = self.clean(record.stack_info)
        for name in vars(record).keys() - _STANDARD:
            setattr(record, name, self._clean_value(name, getattr(record, name)))
        return True

    def _clean_value(self, name: str, value: object) -> object:
        """A value of `extra`, filed under `name`: its cleaned text where a secret is anywhere in it, else the value itself."""
        prefix = f"{name}: "
        shown = f"{prefix}{_shown(value)}"
        return value if (clean := self.clean(shown)) == shown else clean.removeprefix(prefix)


def _told(record: logging.LogRecord) -> str:
    """The message; of one whose arguments do not fit, both parts, since logging would print them as they are."""
    try:
        return record.getMessage()
    except Exception:
        # Whatever an argument raises while it is shown: a log line must not end the request that wrote it.
        record.msg, record.args = f"{_shown(record.msg)} % {_shown(record.args)}", None
        return str(record.msg)


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return object.__repr__(value)
