"""The Open Inference Protocol, spoken by its own client."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from serve.conftest import Server
from serve.world import USE_CASE, row

ROWS = [row(f"t{n}", distance=n * 100.0, carrier=("AA", "ZZ")[n % 2]) for n in range(5)]
KINDS = {"key": "BYTES", "event_timestamp": "BYTES", "carrier": "BYTES", "origin": "BYTES", "departs": "BYTES"}
KINDS |= {"distance": "FP64", "flight": "INT64"}
NUMPY = {"BYTES": np.object_, "FP64": np.float64, "FP32": np.float32, "INT64": np.int64, "INT32": np.int32, "BOOL": np.bool_}


@pytest.fixture
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    found = triton.InferenceServerClient(server.url.removeprefix("http://"))
    yield found
    found.close()


def tensors(binary: bool, rows: list[dict[str, Any]] = ROWS, **kinds: str) -> list[triton.InferInput]:
    found = []
    for name, kind in {**KINDS, **kinds}.items():
        if name not in rows[0]:
            continue
        one = triton.InferInput(name, [len(rows)], kind)
        one.set_data_from_numpy(np.array([given[name] for given in rows], NUMPY[kind]), binary_data=binary)
        found.append(one)
    return found


def outputs(*names: str, binary: bool) -> list[triton.InferRequestedOutput]:
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
def test_tensors_in_json_and_in_bytes_give_the_scores_of_the_own_form(
    server: Server, client: triton.InferenceServerClient, sent: bool, wanted: bool
) -> None:
    expected = server.score(rows=ROWS).json()["results"]
    asked = outputs("score", "decision", "key", "flags", "release", binary=wanted)
    found = client.infer(USE_CASE, tensors(sent), request_id="mine", outputs=asked)
    assert found.get_response()["id"] == "mine"
    assert found.as_numpy("score").tolist() == [one["score"] for one in expected]
    assert found.as_numpy("decision").tolist() == [one["decision"] for one in expected]
    texts = {name: [str(x.decode() if isinstance(x, bytes) else x) for x in found.as_numpy(name)] for name in ("key", "flags")}
    assert texts["key"] == [one["key"] for one in expected]
    assert texts["flags"] == [",".join(one["flags"]) for one in expected]


def test_without_outputs_score_and_decision_come_back(client: triton.InferenceServerClient) -> None:
    found = client.infer(USE_CASE, tensors(False)).get_response()
    assert [one["name"] for one in found["outputs"]] == ["score", "decision"]


def test_rows_without_a_key_are_named_by_the_request(server: Server, client: triton.InferenceServerClient) -> None:
    rows = [{name: value for name, value in one.items() if name != "key"} for one in ROWS]
    found = client.infer(USE_CASE, tensors(True, rows), outputs=outputs("key", binary=False))
    request = found.get_response()["parameters"]["request_id"]
    assert [str(key) for key in found.as_numpy("key")] == [f"{request}-{n}" for n in range(5)]


def test_other_datatypes_and_microseconds_are_taken(server: Server, client: triton.InferenceServerClient) -> None:
    micro = 1_364_817_600_000_000  # 2013-04-01T12:00Z
    rows = [{**one, "event_timestamp": micro, "departs": micro + 9_000_000_000} for one in ROWS]
    kinds = {"event_timestamp": "INT64", "departs": "INT64", "distance": "FP32", "flight": "INT32"}
    expected = [one["score"] for one in server.score(rows=ROWS).json()["results"]]
    assert client.infer(USE_CASE, tensors(True, rows, **kinds)).as_numpy("score").tolist() == expected


def test_contributions_sum_to_the_uncalibrated_log_odds(client: triton.InferenceServerClient) -> None:
    found = client.infer(USE_CASE, tensors(True), outputs=outputs("score", "contributions", binary=True))
    for score, shares in zip(found.as_numpy("score"), found.as_numpy("contributions"), strict=True):
        assert score == pytest.approx(0.05 + 0.9 / (1 + math.exp(-shares.sum())), abs=1e-5)


def test_versions_are_releases_and_only_the_champions_answers(server: Server, client: triton.InferenceServerClient) -> None:
    release = server.score(**row()).json()["results"][0]["release"]
    assert client.infer(USE_CASE, tensors(True), model_version=release).get_response()["model_version"] == release
    with pytest.raises(InferenceServerException, match="is not the serving champion's") as refused:
        client.infer(USE_CASE, tensors(True), model_version="0" * 16)
    assert refused.value.status() == "404"
    assert client.is_model_ready(USE_CASE, release)
    assert not client.is_model_ready(USE_CASE, "0" * 16)


def test_server_and_model_describe_themselves(server: Server, client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert client.is_model_ready(USE_CASE)
    assert not client.is_model_ready("nobody")
    metadata = client.get_model_metadata(USE_CASE)
    assert {"name": "flight", "datatype": "INT64", "shape": [-1]} in metadata["inputs"]
    assert metadata["outputs"][0] == {"name": "score", "datatype": "FP64", "shape": [-1]}


def test_every_problem_is_in_the_one_text_of_the_error(client: triton.InferenceServerClient) -> None:
    rows = [{**ROWS[0], "distance": -1.0, "origin": "nowhere"}, ROWS[1]]
    with pytest.raises(InferenceServerException) as refused:
        client.infer(USE_CASE, tensors(True, rows))
    assert "rows[0].distance" in refused.value.message()
    assert "rows[0].origin" in refused.value.message()


TENSOR = {"name": "flight", "shape": [1], "datatype": "INT64", "data": [1]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": []},
        {"inputs": [{**TENSOR, "shape": [2]}]},
        {"inputs": [{**TENSOR, "shape": []}]},
        {"inputs": [{**TENSOR, "shape": [10**12]}]},
        {"inputs": [{**TENSOR, "datatype": "INT65"}]},
        {"inputs": [TENSOR, TENSOR]},
        {"inputs": [{**TENSOR, "parameters": {"binary_data_size": 8}}]},
        {"inputs": [{**TENSOR, "parameters": {"binary_data_size": -8}}]},
        {"inputs": [TENSOR], "outputs": [{"name": "fortune"}]},
    ],
)
def test_what_is_no_request_is_refused_in_the_protocols_words(server: Server, body: dict[str, Any]) -> None:
    answer = server.client.post(f"/v2/models/{USE_CASE}/infer", json=body)
    assert answer.status_code in (400, 413, 422)
    assert set(answer.json()) == {"error"}
    assert server.client.get(f"/v2/models/{USE_CASE}/infer").json()["error"]
