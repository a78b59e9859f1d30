"""The client against the service itself, and against servers that shed."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow as pa
import pytest

from everloop.client import Scorer, ScoringError
from serve.conftest import Server, serve, server, world  # noqa: F401 - fixtures
from serve.world import AT, USE_CASE, row

ROWS = [row(f"t{n}", distance=n * 10.0) for n in range(3)]


@pytest.fixture
def scorer(server: Server) -> Iterator[Scorer]:  # noqa: F811
    with Scorer(server.url, use_case=USE_CASE) as found:
        yield found


def test_rows_and_tables_get_the_same_scores(scorer: Scorer) -> None:
    answer = scorer.score(ROWS)
    table = pa.Table.from_pylist([{**one, "event_timestamp": AT, "departs": AT.replace(hour=14, minute=30)} for one in ROWS])
    found = scorer.score_table(table)
    assert found.to_pylist() == answer.results
    assert found.schema.metadata[b"request_id"].decode() != answer.request_id


def test_explained_rows_and_tables_have_contributions(scorer: Scorer) -> None:
    (one, *_) = scorer.score(ROWS, explain=True).results
    assert one["score"] == pytest.approx(0.05 + 0.9 / (1 + math.exp(-sum(one["contributions"].values()))), abs=1e-5)
    table = pa.table({"key": ["t1"], "carrier": ["AA"]})
    assert "contributions" in scorer.score_table(table, explain=True).column_names


def test_a_refusal_carries_status_and_every_problem(scorer: Scorer) -> None:
    with pytest.raises(ScoringError) as refused:
        scorer.score([{**ROWS[0], "distance": -1, "origin": "x"}])
    assert refused.value.status == 422
    assert {problem.field for problem in refused.value.problems} == {"rows[0].distance", "rows[0].origin"}
    assert "rows[0].origin" in str(refused.value)


def test_outcomes_and_state(scorer: Scorer) -> None:
    assert scorer.outcomes([{"key": "t1", "label": True, "known_at": AT}]) == 1
    assert scorer.state()["request"]["carrier"] == "string"


def test_nobody_at_the_address_is_an_error_without_status() -> None:
    with Scorer("http://127.0.0.1:1", use_case=USE_CASE) as scorer, pytest.raises(ScoringError) as error:
        scorer.state()
    assert error.value.status is None


@pytest.fixture
def shedding() -> Iterator[tuple[str, list[int]]]:
    """A server that sheds as often as the list's first number says; the second counts the requests."""
    counts = [0, 0]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            counts[1] += 1
            counts[0] -= 1
            self.send_response(429 if counts[0] >= 0 else 200)
            self.send_header("Retry-After", "0")
            body = b"{}"
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}", counts
    found.shutdown()
    found.server_close()


def test_a_shed_request_is_sent_again_a_bounded_number_of_times(shedding: tuple[str, list[int]]) -> None:
    url, counts = shedding
    with Scorer(url, use_case=USE_CASE, retries=2) as scorer:
        counts[0] = 2
        assert scorer.state() == {}
        assert counts[1] == 3
        counts[:] = [99, 0]
        with pytest.raises(ScoringError) as shed:
            scorer.state()
    assert shed.value.status == 429
    assert counts[1] == 3
