"""MLflow's scoring protocol, spoken by MLflow's own client."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from everloop import __version__
from serve.conftest import Server
from serve.world import USE_CASE, row

ROWS = [row(f"t{n}", distance=n * 100.0) for n in range(3)]


def post(server: Server, path: str = f"/v1/{USE_CASE}/invocations", **body: Any) -> httpx.Response:
    return server.client.post(path, json=body)


def test_mlflows_own_client_gets_the_scores_of_the_own_form(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    client = ScoringServerClient(host, port)
    client.wait_server_ready(5)
    assert client.get_version() == __version__
    frame = pd.DataFrame(ROWS)
    frame.loc[1, "distance"] = float("nan")
    found = client.invoke(frame, params={"explain": True}).get_predictions()
    expected = server.score(rows=[ROWS[0], {**ROWS[1], "distance": None}, ROWS[2]]).json()["results"]
    assert found["score"].tolist() == [one["score"] for one in expected]
    assert found["decision"].tolist() == [one["decision"] for one in expected]


def test_every_form_of_the_protocol_gives_the_same(server: Server) -> None:
    names = list(ROWS[0])
    split = {"columns": names, "data": [list(one.values()) for one in ROWS]}
    by_field = {name: [one[name] for one in ROWS] for name in names}
    text = "\n".join([",".join(names), *(",".join(str(value) for value in one.values()) for one in ROWS)])
    answers = [
        post(server, dataframe_split=split),
        post(server, dataframe_records=ROWS),
        post(server, instances=ROWS),
        post(server, inputs=by_field),
        post(server, inputs=ROWS),
        post(server, "/invocations", inputs=ROWS),
        post(server, f"/invocations?use_case={USE_CASE}", inputs=ROWS),
        server.client.post(f"/v1/{USE_CASE}/invocations", content=text, headers={"content-type": "text/csv"}),
    ]
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    expected = server.score(rows=ROWS).json()["results"]
    assert [answer.json()["predictions"] for answer in answers] == [expected] * len(answers)


def test_rows_without_a_key_get_one(server: Server) -> None:
    rows = [{name: value for name, value in one.items() if name != "key"} for one in ROWS]
    keys = [one["key"] for one in post(server, instances=rows).json()["predictions"]]
    assert len({*keys}) == 3
    assert keys[2].endswith("-2")


def test_contributions_sum_to_the_uncalibrated_log_odds(server: Server) -> None:
    answer = post(server, f"/v1/{USE_CASE}/invocations?explain=true", instances=ROWS)
    for one in answer.json()["predictions"]:
        assert one["score"] == pytest.approx(0.05 + 0.9 / (1 + math.exp(-sum(one["contributions"].values()))), abs=1e-5)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": ROWS, "instances": ROWS},
        {"inputs": ROWS, "other": 1},
        {"dataframe_split": {"columns": ["key"], "data": [[1, 2]]}},
        {"dataframe_split": ROWS},
        {"inputs": {"key": [1], "carrier": []}},
        {"instances": [1, 2]},
        {"instances": []},
    ],
)
def test_what_is_not_in_the_protocol_is_refused_with_mlflows_code(server: Server, body: dict[str, Any]) -> None:
    answer = post(server, **body)
    assert answer.status_code in (400, 422)
    assert answer.json()["error_code"] == "BAD_REQUEST"
    assert answer.json()["errors"]


def test_problems_of_rows_are_told_together(server: Server) -> None:
    told = post(server, instances=[{**ROWS[0], "distance": -1, "origin": "x"}]).json()
    assert {one["field"] for one in told["errors"]} == {"rows[0].distance", "rows[0].origin"}
    assert "rows[0].origin" in told["message"]


def test_a_csv_value_of_another_type_is_refused(server: Server) -> None:
    text = "key,carrier,distance,flight\nt,AA,far,one\n"
    answer = server.client.post(f"/v1/{USE_CASE}/invocations", content=text, headers={"content-type": "text/csv"})
    assert {one["field"] for one in answer.json()["errors"]} == {"rows[0].distance", "rows[0].flight"}


def test_an_unknown_use_case_is_told(server: Server) -> None:
    assert post(server, "/invocations?use_case=nobody", instances=ROWS).json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert server.client.get("/ping").status_code == 200
    assert server.client.get("/health").status_code == 200
