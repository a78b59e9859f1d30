"""Arrow over HTTP: the same answers as JSON, and the same errors."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pyarrow as pa
import pytest

from everloop.serve.log.frames import Kind, scan
from serve.conftest import Server
from serve.world import USE_CASE, row

ARROW = "application/vnd.apache.arrow.stream"


def stream(rows: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def table(rows: list[dict[str, Any]]) -> pa.Table:
    found = pa.Table.from_pylist(rows)
    for name in ("event_timestamp", "departs"):
        moments = [one[name] for one in rows]
        found = found.set_column(found.column_names.index(name), name, pa.array(moments).cast(pa.timestamp("us", "UTC")))
    return found


def post(server: Server, body: bytes, query: str = "", **headers: str) -> httpx.Response:
    return server.client.post(f"/v1/{USE_CASE}/score{query}", content=body, headers={"content-type": ARROW, **headers})


def rows(count: int) -> list[dict[str, Any]]:
    return [row(f"t{n}", distance=float(n), flight=n % 3, carrier=("AA", "B6", "ZZ")[n % 3]) for n in range(count)]


def answered(answer: httpx.Response) -> pa.Table:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == ARROW
    return pa.ipc.open_stream(answer.content).read_all()


@pytest.mark.parametrize("count", [1, 64, 65, 200])
def test_both_forms_give_the_same_answers(server: Server, count: int) -> None:
    found = answered(post(server, stream(table(rows(count)))))
    assert found.schema.metadata[b"request_id"]
    assert found.to_pylist() == server.score(rows=rows(count)).json()["results"]


def test_a_large_request_is_logged_by_column_before_its_answer(server: Server) -> None:
    request = answered(post(server, stream(table(rows(100))))).schema.metadata[b"request_id"]
    frames = [one for path in server.parts.journal.log.folder.glob("*.seg") for one in scan(path.read_bytes()).frames]
    logged = [pa.ipc.open_stream(pa.py_buffer(one.payload)).read_all() for one in frames if one.kind is Kind.COLUMNS]
    assert [one["request_id"][0].as_py().encode() for one in logged if len(one) == 100] == [request]
    assert 'everloop_rows_total{arm="champion"' in server.client.get("/metrics").text


@pytest.mark.parametrize("how", ["query", "metadata"])
@pytest.mark.parametrize("count", [2, 70])
def test_contributions_are_a_struct_that_sums_to_the_uncalibrated_log_odds(server: Server, how: str, count: int) -> None:
    asked = table(rows(count))
    asked = asked.replace_schema_metadata({"explain": "true"}) if how == "metadata" else asked
    for one in answered(post(server, stream(asked), "?explain=true" if how == "query" else "")).to_pylist():
        raw = 1 / (1 + math.exp(-sum(one["contributions"].values())))
        assert one["score"] == pytest.approx(0.05 + 0.9 * raw, abs=1e-5)


def test_the_answer_is_json_where_that_is_accepted(server: Server) -> None:
    answer = post(server, stream(table(rows(70))), accept="application/json")
    assert answer.json()["results"] == server.score(rows=rows(70)).json()["results"]


@pytest.mark.parametrize("count", [3, 80])
def test_what_is_wrong_is_told_as_it_is_in_json(server: Server, count: int) -> None:
    wrong = rows(count)
    wrong[1] |= {"carrier": None, "distance": -1.0}
    wrong[2] |= {"origin": "nowhere", "key": ""}
    told = post(server, stream(table(wrong)))
    assert (told.status_code, told.json()) == (422, server.score(rows=wrong).json())
    assert {one["field"] for one in told.json()["errors"]} == {
        "rows[1].carrier", "rows[1].distance", "rows[2].origin", "rows[2].key",
    }  # fmt: skip


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_streams_are_refused_before_they_unfold(server: Server, codec: str) -> None:
    answer = post(server, stream(table(rows(300)), compression=codec))
    assert answer.status_code == 400
    assert "compressed" in answer.json()["errors"][0]["rule"]


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff" * 100, stream(table(rows(9)))[:700], stream(table(rows(9)))[:-300]])
def test_what_is_no_whole_stream_is_refused(server: Server, body: bytes) -> None:
    assert post(server, body).status_code in (400, 422)


def test_too_many_rows_and_none_are_refused(server: Server) -> None:
    assert post(server, stream(table(rows(1001)))).status_code == 413
    assert post(server, stream(table(rows(1)).slice(0, 0))).status_code == 422
