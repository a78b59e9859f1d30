"""The OpenAPI description of the routes that FastAPI does not see, since they are answered before it.

Fields depend on the use case (GET /v1/<use case> lists them), so rows are objects with `key`, `event_timestamp` and more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI

from everloop.serve.http.schemas import SCHEMAS, ref
from everloop.serve.shapes.score import ARROW

Described = dict[str, Any]

_JSON, _STREAM = "application/json", ARROW.decode()
_ROW = {"key": "AA-1-JFK-20130401T1200", "carrier": "AA", "distance": 1400}
_TENSORS = {
    "inputs": [
        {"name": "carrier", "datatype": "BYTES", "shape": [1], "data": ["AA"]},
        {"name": "distance", "datatype": "FP64", "shape": [1], "data": [1400.0]},
    ]
}
_STATUSES: Mapping[int, str] = {
    400: "The body is not in this form.",
    401: "The X-API-Key is not a valid one.",
    403: "The key may not score.",
    404: "The ledger does not know the use case, or the version is not the serving champion's.",
    408: "The body took too long.",
    413: "The body is too large, or has too many rows.",
    422: "Fields are of the wrong type, unknown, or against an expectation: all of them are told.",
    429: "Too many requests are being answered.",
    500: "The release could not score this request.",
    503: "Nothing serves yet, or the prediction log cannot be written.",
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What is wrong: each field, its value, the rule that it breaks and what to do, all at once.",
        "content": {_JSON: {"schema": ref("Errors")}},
    }
}
"""The answer of every other route to what it does not take, whatever its status."""


def described(app: FastAPI) -> Callable[[], Described]:
    """FastAPI's own description, and the routes that score."""
    own = app.openapi

    def openapi() -> Described:
        found = own()
        for path, operation in _paths().items():
            found["paths"].setdefault(path, {"post": operation})
        parts = found.setdefault("components", {})
        parts.setdefault("schemas", {}).update(SCHEMAS)
        parts["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
        return found

    return openapi


def _paths() -> dict[str, Described]:
    use_case, version = _parameter("use_case"), _parameter("version")
    invoked = _parameter("use_case", "query", required=False)
    return {
        "/v1/{use_case}/score": _score([use_case]),
        "/v1/{use_case}/invocations": _invocations("invoke", [use_case]),
        "/invocations": _invocations("invoke_by_query", [invoked]),
        "/v2/models/{use_case}/infer": _infer("infer", [use_case]),
        "/v2/models/{use_case}/versions/{version}/infer": _infer("infer_version", [use_case, version]),
    }


def _score(parameters: list[Described]) -> Described:
    return _operation(
        "score",
        "scoring",
        "Score one row, or many under `rows`, or an Arrow IPC stream. `explain` adds each feature's contribution.",
        parameters,
        {
            _JSON: {"schema": ref("ScoreRequest"), "examples": {"one": {"value": _ROW}, "many": {"value": {"rows": [_ROW]}}}},
            _STREAM: {"schema": {"type": "string", "format": "binary"}},
        },
        {_JSON: {"schema": ref("ScoreAnswer")}, _STREAM: {"schema": {"type": "string", "format": "binary"}}},
        "Errors",
    )


def _invocations(name: str, parameters: list[Described]) -> Described:
    return _operation(
        name,
        "mlflow",
        "Score as MLflow's servers do. The use case may be left out where one alone is served.",
        parameters,
        {
            _JSON: {"schema": ref("Invocation"), "example": {"dataframe_records": [_ROW]}},
            "text/csv": {"schema": {"type": "string"}, "example": "key,carrier,distance\nAA-1,AA,1400\n"},
        },
        {_JSON: {"schema": ref("Predictions")}},
        "MlflowError",
    )


def _infer(name: str, parameters: list[Described]) -> Described:
    return _operation(
        name,
        "open inference protocol",
        "Score tensors, one a field, in JSON or in bytes after it. A version is the id of the serving champion.",
        parameters,
        {_JSON: {"schema": ref("InferRequest"), "example": _TENSORS}},
        {_JSON: {"schema": ref("InferAnswer")}, "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "InferError",
    )


def _operation(
    name: str, tag: str, words: str, parameters: list[Described], body: Described, answer: Described, error: str
) -> Described:
    refused = {_JSON: {"schema": ref(error)}}
    return {
        "operationId": name,
        "tags": [tag],
        "summary": words,
        "security": [{}, {"key": []}],
        "parameters": [*parameters, _parameter("explain", "query", required=False, schema={"enum": ["true", "false"]})],
        "requestBody": {"required": True, "content": body},
        "responses": {
            "200": {"description": "A result for each row.", "content": answer},
            **{str(status): {"description": told, "content": refused} for status, told in _STATUSES.items()},
        },
    }


def _parameter(name: str, place: str = "path", *, required: bool = True, schema: Described | None = None) -> Described:
    return {"name": name, "in": place, "required": required, "schema": {"type": "string", **(schema or {})}}
