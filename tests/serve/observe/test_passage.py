"""The trace that a request belongs to, as W3C Trace Context has it."""

from __future__ import annotations

import pytest

from everloop.serve.observe.passage import Passage

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("header", [f"00-{TRACE}-b7ad6b7169203331-01", f"cc-{TRACE}-b7ad6b7169203331-01-what-may-come"])
def test_a_traceparent_names_its_trace(header: str) -> None:
    assert Passage("r1", 0.0, header.encode()).trace_id == TRACE


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b'00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01\n{"forged": "line"}',
    ],
)
def test_what_is_no_traceparent_names_none(header: bytes | None) -> None:
    assert Passage("r1", 0.0, header).trace_id is None
