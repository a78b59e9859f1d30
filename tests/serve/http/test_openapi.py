"""The description of the API: it names every route that scores, and answers are as it says."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from serve.conftest import Server
from serve.world import USE_CASE, row

BODIES = {
    "score": {"rows": [row("t1"), row("t2")], "explain": True},
    "invoke": {"dataframe_records": [row("t1")], "params": {"explain": True}},
    "invoke_by_query": {"inputs": [row("t1")]},
    "infer": {
        "inputs": [
            {"name": "key", "datatype": "BYTES", "shape": [1], "data": ["t1"]},
            {"name": "carrier", "datatype": "BYTES", "shape": [1, 1], "data": [["AA"]]},
        ]
    },
}
BODIES["infer_version"] = BODIES["infer"]
WRONG = {"score": {"key": 1}, "invoke": {"inputs": [{"key": 1}]}, "infer": {"inputs": []}}
WRONG |= {"invoke_by_query": WRONG["invoke"], "infer_version": WRONG["infer"]}


def operations(description: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    posts = {path: methods["post"] for path, methods in description["paths"].items() if "post" in methods}
    return {one["operationId"]: (path, one) for path, one in posts.items()}


def check(description: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    jsonschema.Draft202012Validator({**schema, "components": description["components"]}).validate(value)


@pytest.mark.parametrize("name", BODIES)
def test_requests_answers_and_errors_are_as_described(server: Server, name: str) -> None:
    description = server.client.get("/openapi.json").json()
    path, operation = operations(description)[name]
    release = server.client.get(f"/v1/{USE_CASE}").json()["state"]["champion"]
    at = path.format(use_case=USE_CASE, version=release)
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    check(description, schema, BODIES[name])
    for body, statuses in ((BODIES[name], (200,)), (WRONG[name], (400, 422))):
        answer = server.client.post(at, json=body)
        assert answer.status_code in statuses, answer.text
        said = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
        check(description, said, answer.json())


def test_operations_have_names_of_their_own_and_declare_their_path(server: Server) -> None:
    description = server.client.get("/openapi.json").json()
    names = [one["operationId"] for methods in description["paths"].values() for one in methods.values()]
    assert len(set(names)) == len(names)
    for path, methods in description["paths"].items():
        for operation in methods.values():
            declared = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert declared == {part[1:-1] for part in path.split("/") if part.startswith("{")}, path


def test_examples_are_as_their_schemas_say(server: Server) -> None:
    description = server.client.get("/openapi.json").json()
    for name in BODIES:
        content = operations(description)[name][1]["requestBody"]["content"]["application/json"]
        examples = [one["value"] for one in content.get("examples", {}).values()] or [content["example"]]
        for example in examples:
            check(description, content["schema"], example)


def test_a_method_that_is_not_there_is_refused_with_the_one_that_is(server: Server) -> None:
    answer = server.client.get(f"/v1/{USE_CASE}/score")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
