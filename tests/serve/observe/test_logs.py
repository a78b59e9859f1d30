"""Log lines name the request that they are about, in both forms, and never show a secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from everloop.errors import ConfigurationError
from everloop.serve.observe.logs import handler
from everloop.serve.observe.passage import CURRENT, Passage

TRACE = "0af7651916cd43dd8448eb211c80319c"
SECRET = "correct-horse-battery"


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    logger = logging.Logger("everloop.test")
    yield logger
    CURRENT.set(None)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_json_lines_have_the_request_its_trace_and_what_extra_gave(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log.addHandler(handler("json"))
    CURRENT.set(Passage("r1", 0.0, f"00-{TRACE}-b7ad6b7169203331-01".encode()))
    log.warning("slow: %d ms", 12, extra={"rows": 3})
    (line,) = lines(capsys)
    assert (line["message"], line["level"], line["logger"], line["rows"]) == ("slow: 12 ms", "warning", "everloop.test", 3)
    assert (line["request_id"], line["trace_id"]) == ("r1", TRACE)
    assert line["at"].endswith("Z")


def test_a_traceback_and_line_breaks_stay_on_one_json_line(log: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    log.addHandler(handler("json"))
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        log.exception("failed\nbadly")
    (line,) = lines(capsys)
    assert line["message"] == "failed\nbadly"
    assert "ValueError: first\nsecond" in line["error"]
    assert "request_id" not in line


def test_a_plain_line_ends_with_the_requests_names(log: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    log.addHandler(handler("plain"))
    log.info("begun")
    CURRENT.set(Passage("r1", 0.0, None))
    log.info("failed")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("INFO everloop.test: begun")
    assert second.endswith("INFO everloop.test: failed [request_id=r1]")


@pytest.mark.parametrize("form", ["json", "plain"])
def test_no_form_shows_a_secret(form: str, log: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    log.addHandler(handler(form, [SECRET]))
    try:
        raise ValueError(f"cannot connect to postgresql://me:{SECRET}@there")
    except ValueError:
        log.exception("with %s", SECRET, extra={"given": SECRET})
    told = capsys.readouterr()
    assert SECRET not in told.out + told.err
    assert "with ***" in told.out + told.err


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ConfigurationError, match='EVERLOOP_LOG is "yaml"'):
        handler("yaml")
