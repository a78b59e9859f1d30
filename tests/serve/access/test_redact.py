"""No secret comes out of a handler that has the filter, whichever way it went in; all other words do."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.api_key import make, spell
from everloop.serve.access.redact import Redaction, secrets_of
from everloop.settings import Settings

SECRETS = st.text("abcXYZ0189-_.~!$*+", min_size=8, max_size=40).filter(lambda text: "***" not in text)
PASSWORDS = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S"), exclude_characters="/"), min_size=8)
WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


class Log:
    """A logger of its own with one handler that filters."""

    def __init__(self, *known: str) -> None:
        self._stream = io.StringIO()
        handler = logging.StreamHandler(self._stream)
        handler.addFilter(Redaction(known))
        self.logger = logging.Logger("tests")
        self.logger.addHandler(handler)

    def text(self) -> str:
        return self._stream.getvalue()


@pytest.fixture
def log() -> Log:
    return Log()


def clear_keys() -> Iterator[tuple[str, str]]:
    while True:
        identifier, secret = make()
        yield spell(identifier, secret), secret


@given(WORDS, WORDS)
def test_a_key_goes_and_its_id_stays_whatever_stands_around_it(before: str, after: str) -> None:
    clear, secret = next(clear_keys())
    identifier = clear.split("_")[1]
    cleaned = Redaction().clean(f"{before} {clear} {after}")
    assert secret not in cleaned
    assert f"evl_{identifier}_***" in cleaned or "***" in cleaned.removeprefix(before)
    cut = Redaction().clean(f"{before} {clear[:35]}… {after}")
    assert secret[:14] not in cleaned + cut


SHAPES = (
    "X-API-Key: {}",
    "x-api-key:{}\r\nhost: a",
    "{{'x-api-key': '{}', 'host': 'a'}}",
    '{{"X-Api-Key": "{}"}}',
    "[(b'host', b'a'), (b'x-api-key', b'{}')]",
    "['x-api-key', '{}']",
    "Authorization: Bearer {}",
    "authorization: Basic {} ",
    "{{'Authorization': 'Bearer {}'}}",
    "[(b'authorization', b'Bearer {}')]",
    "EVERLOOP_API_KEY={} python",
    "host=a password={} user=b",
    "host=a password='{}' user=b",
    "PGPASSWORD={}",
    "postgresql://host/db?password={}&sslmode=require",
    "postgresql://user:{}@host:5432/db",
    "redis://:{}@host:6379/0",
    "rediss://user:{}@host",
    "could not reach redis+cluster://user:{}@a:1,b:2/0 now",
)


@given(st.sampled_from(SHAPES), SECRETS, WORDS)
def test_the_values_of_headers_and_the_passwords_of_addresses_go(shape: str, secret: str, after: str) -> None:
    text = shape.format(secret)
    for shown in (text, json.dumps({"event": text}), repr(text)):
        assert secret not in Redaction().clean(f"{shown} {after}").removesuffix(after)


@given(PASSWORDS)
def test_a_password_of_an_address_goes_whatever_is_in_it(password: str) -> None:
    cleaned = Redaction().clean(f"connecting to postgresql://everloop:{password}@db.example:5432/everloop failed")
    assert cleaned == "connecting to postgresql://everloop:***@db.example:5432/everloop failed"


@given(SECRETS.filter(lambda text: "\\" not in text), st.sampled_from("/'\\\"é\n"), WORDS)
def test_known_values_go_wherever_they_stand_plain_coded_or_escaped(secret: str, special: str, after: str) -> None:
    known = f"{secret}{special}{secret}"
    for shown in (known, quote(known, safe=""), repr(known)[1:-1]):
        assert Redaction([known]).clean(f"a{shown}z").startswith("a***z")
        assert secret not in Redaction([known]).clean(f"{shown} {after}").removesuffix(after)


def test_of_two_known_values_the_longer_one_goes_whole() -> None:
    assert Redaction(["abcdefgh", "abcdefgh-ijkl"]).clean("abcdefgh-ijkl abcdefgh") == "*** ***"


def test_short_known_values_stay_where_they_are_words() -> None:
    assert Redaction(["release"]).clean("the release serves") == "the release serves"


PLAIN = (
    "flights: release abc serves from row 3 on (12 ms)",
    'FATAL: password authentication failed for user "everloop"',
    "PostgreSQL 127.0.0.1:5432/everloop does not answer",
    "GET http://127.0.0.1:8000/v1/flights?at=2013-04-01T09:15:00Z",
    "API key: is unknown, expired or revoked",
    "everloop_api_key rang",
    "mail to ann@example.com about http://example.com:80/a@b",
)


@pytest.mark.parametrize("text", PLAIN)
def test_words_without_a_secret_stay(text: str) -> None:
    assert Redaction().clean(text) == text


def test_secrets_go_from_messages_and_their_arguments(log: Log) -> None:
    clear, secret = next(clear_keys())
    log.logger.info("key %s of %s", clear, {"headers": [(b"x-api-key", b"k-1234-abcd")]})
    log.logger.info("%(key)s", {"key": clear})
    log.logger.info(f"in the message itself {clear}")
    assert secret not in log.text()
    assert "k-1234-abcd" not in log.text()
    assert log.text().count("***") == 4


def test_secrets_go_from_tracebacks_with_their_causes(log: Log) -> None:
    clear, secret = next(clear_keys())
    try:
        try:
            raise KeyError(clear)
        except KeyError as error:
            raise RuntimeError("postgresql://u:p4ssw0rd@h/d") from error
    except RuntimeError:
        log.logger.exception("failed", stack_info=True)
    assert "RuntimeError" in log.text()
    assert "Traceback" in log.text()
    assert secret not in log.text()
    assert "p4ssw0rd" not in log.text()


def test_no_formatter_can_format_a_secret_anew() -> None:
    clear, secret = next(clear_keys())
    record = logging.LogRecord("a", logging.ERROR, "a.py", 1, "failed", (), (ValueError, ValueError(clear), None))
    record.stack_info = f"  File a.py, line 1\n    call({clear!r})"
    Redaction().filter(record)
    assert record.exc_info is None
    assert secret not in logging.Formatter().format(record)
    assert "ValueError: evl_" in logging.Formatter().format(record)


def test_secrets_go_from_what_extra_gives_and_other_values_keep_their_type() -> None:
    clear, _ = next(clear_keys())
    record = logging.makeLogRecord(
        {"msg": "-", "headers": [(b"x-api-key", b"k1")], "key": clear, "rows": 3, "authorization": "B k"}
    )
    assert Redaction().filter(record) is True
    told = vars(record)
    assert told["headers"] == "[(b'x-api-key', ***)]"
    assert told["key"] == clear[: len("evl_0123456789abcdef_")] + "***"
    assert (told["rows"], told["authorization"]) == (3, "***")


def test_a_record_without_secrets_is_left_as_it_is(log: Log) -> None:
    try:
        raise ValueError("plain")
    except ValueError as error:
        found = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("a", logging.INFO, "a.py", 1, "%s rows", (3,), found)
    Redaction().filter(record)
    assert (record.msg, record.args, record.exc_info) == ("%s rows", (3,), found)


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no words for it")


def test_a_message_that_cannot_be_formatted_shows_no_secret_and_raises_nothing(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    clear, secret = next(clear_keys())
    log.logger.info("%d rows", clear)
    log.logger.info("%s and %s", clear)
    log.logger.info("%s", Unshowable(), extra={"thing": Unshowable()})
    said = log.text() + "".join(capsys.readouterr())
    assert secret not in said
    assert said.count("evl_") == 2


def test_the_secrets_of_the_settings_are_the_key_and_the_passwords(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, database="postgresql://everloop:p%40ss-word@h/d", lake="", landing="", outbox="", releases="", mlflow="http://a:1",
        scorer="", feature_repo=tmp_path, expectations=tmp_path, data_docs=tmp_path, online="redis://:r3dis-pass@h:1",
        connections={"airline": "postgresql://a:airline-pass@h/d", "open": "postgresql://a@h/d"}, api_key="bootstrap-key",
    )  # fmt: skip
    assert secrets_of(settings) == {"bootstrap-key", "p%40ss-word", "p@ss-word", "r3dis-pass", "airline-pass"}
    assert "bootstrap-key" not in repr(settings)
