"""The OpenAPI description of the routes that FastAPI does not see, since they are answered before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

_PROBLEM = {
    "type": "object",
    "required": ["field", "value", "rule", "next"],
    "properties": {"field": {"type": "string"}, "value": {}, "rule": {"type": "string"}, "next": {"type": "string"}},
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What is wrong: each field, its value, the rule that it breaks and what to do, all at once.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["errors"],
                    "properties": {"errors": {"type": "array", "items": _PROBLEM}},
                }
            }
        },
    }
}
"""The answer of every route to what it does not take, whatever its status."""

_ROW = {"key": "AA-1-JFK-20130401T1200", "carrier": "AA", "explain": False}


def described(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """FastAPI's own description, and the routes that score."""
    own = app.openapi

    def openapi() -> dict[str, Any]:
        found = own()
        found["paths"].setdefault("/v1/{use_case}/score", {"post": _score()})
        return found

    return openapi


def _score() -> dict[str, Any]:
    return {
        "tags": ["scoring"],
        "summary": "Score one row, or many under `rows`; `explain` adds each feature's contribution.",
        "operationId": "score",
        "parameters": [{"name": "use_case", "in": "path", "required": True, "schema": {"type": "string"}}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}, "example": _ROW}}},
        "responses": {
            "200": {"description": "A result for each row.", "content": {"application/json": {"schema": {}}}},
            **REFUSALS,
        },
    }
