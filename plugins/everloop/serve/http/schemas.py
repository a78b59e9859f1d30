"""JSON schemas of what the scoring routes take and give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from everloop.serve.shapes.invocations import FORMS

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """A reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


def _list(items: Schema, **limits: int) -> Schema:
    return {"type": "array", "items": items, **limits}


_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_TRUTH: Schema = {"type": "boolean"}
_ANYTHING: Schema = {}
_OBJECT: Schema = {"type": "object"}
_VALUE: Schema = {"type": ["string", "number", "boolean", "null"]}
_KEY: Schema = {"type": "string", "minLength": 1}
_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}
_ROW_FIELDS = {"key": _KEY, "event_timestamp": _MOMENT}
_RESULT = {
    "key": _TEXT,
    "score": {"type": "number", "minimum": 0, "maximum": 1},
    "decision": _TRUTH,
    "arm": {"type": "string", "enum": ["champion", "challenger"]},
    "release": _TEXT,
    "flags": _list(_TEXT),
    "contributions": {"type": "object", "additionalProperties": _NUMBER},
}
_GIVEN = ("key", "score", "decision", "arm", "release", "flags")
_OUTCOME = _list(ref("Result"), minItems=1)
_SHAPE = _list({"type": "integer", "minimum": 0}, minItems=1, maxItems=2)
_TENSOR = {"name": _TEXT, "datatype": _TEXT, "shape": _SHAPE, "parameters": _OBJECT, "data": _list(_ANYTHING)}

SCHEMAS: Mapping[str, Schema] = {
    "Row": {**_object(("key",), **_ROW_FIELDS), "additionalProperties": _VALUE},
    "Rows": _object(("rows",), rows=_list(ref("Row"), minItems=1), explain=_TRUTH),
    "ScoreRequest": {
        "anyOf": [ref("Rows"), {**_object(("key",), **_ROW_FIELDS, explain=_TRUTH), "additionalProperties": _VALUE}]
    },
    "Result": _object(_GIVEN, **_RESULT),
    "ScoreAnswer": _object(("request_id", "results"), request_id=_TEXT, results=_OUTCOME),
    "Error": _object(("field", "value", "rule", "next"), field=_TEXT, value=_VALUE, rule=_TEXT, next=_TEXT),
    "Errors": _object(("errors",), errors=_list(ref("Error"), minItems=1)),
    "Invocation": {
        "oneOf": [_object((name,), **{name: {"type": ["object", "array"]}, "params": _OBJECT}) for name in FORMS],
    },
    "Predictions": _object(("predictions",), predictions=_OUTCOME),
    "MlflowError": _object(
        ("error_code", "message", "errors"), error_code=_TEXT, message=_TEXT, errors=_list(ref("Error"), minItems=1)
    ),
    "Tensor": _object(("name", "datatype", "shape"), **_TENSOR),
    "InferRequest": {
        **_object(
            ("inputs",),
            id=_TEXT,
            parameters=_OBJECT,
            inputs=_list(ref("Tensor"), minItems=1),
            outputs=_list(_object(("name",), name=_TEXT, parameters=_OBJECT)),
        ),
        "additionalProperties": True,
    },
    "InferAnswer": _object(
        ("model_name", "model_version", "id", "outputs"),
        model_name=_TEXT,
        model_version=_TEXT,
        id=_TEXT,
        parameters=_OBJECT,
        outputs=_list(ref("Tensor"), minItems=1),
    ),
    "InferError": _object(("error",), error=_TEXT),
}
"""By name; rows have further fields, which depend on the use case."""
