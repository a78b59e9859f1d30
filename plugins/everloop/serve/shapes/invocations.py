"""MLflow's scoring protocol (https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally): `POST /invocations`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from everloop.serve.problems import Refused, refuse
from everloop.serve.reading.rows import KEY
from everloop.serve.release import LoadedRelease
from everloop.serve.request import Answer, result
from everloop.serve.shapes.open_inference.infer import sentence
from everloop.serve.shapes.shape import Asked, Reply, Sent, beside

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""The names under which rows may come, of which a body has one."""

_CODES = {401: "PERMISSION_DENIED", 403: "PERMISSION_DENIED", 404: "RESOURCE_DOES_NOT_EXIST", 429: "REQUEST_LIMIT_EXCEEDED"}
_READ: Mapping[str, Callable[[str], Any]] = {
    "int": lambda text: int(text) if text.lstrip("+-").isdigit() else float(text),
    "float": float,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
}


class Invocations:
    """`Shape` of MLflow's clients. Rows without `key` get `<request id>-<row>`; NaN is missing."""

    def read(self, release: LoadedRelease, sent: Sent) -> Asked:
        """See `Shape.read`. `params` may hold `explain`: true."""
        if sent.headers.get(b"content-type", b"").startswith(b"text/csv"):
            rows, explain = _from_csv(sent.body, release.reader.fields), False
        else:
            body = _object(sent.body)
            params = body.get("params")
            explain = isinstance(params, dict) and params.get("explain") is True
            rows = _listed(body)
        if len(rows) > (maximum := release.manifest.service.maximum_rows):
            raise refuse(413, "rows", len(rows), f"must be at most {maximum}", "send several smaller requests")
        if not rows:
            raise refuse(422, "rows", 0, "must be at least one", "leave the request out when there is nothing to send")
        named = [
            {KEY: f"{sent.id}-{number}", **{name: None if value != value else value for name, value in row.items()}}
            for number, row in enumerate(rows)
        ]
        return Asked(release.reader.rows(named, "rows[{}].", sent.at), explain or sent.explain)

    def write(self, answer: Answer, context: object) -> Reply:  # noqa: ARG002 - the form needs none
        """See `Shape.write`."""
        return Reply(msgspec.json.encode({"predictions": [result(answer, row) for row in range(len(answer.keys))]}))

    def refused(self, refused: Refused) -> Reply:
        """See `Shape.refused`: MLflow's code and message, and everloop's own errors beside them."""
        code = _CODES.get(refused.status, "BAD_REQUEST" if refused.status < 500 else "INTERNAL_ERROR")
        told = {"error_code": code, "message": sentence(refused), **refused.body()}
        return Reply(msgspec.json.encode(told), headers=beside(refused))


def _object(body: bytes) -> dict[str, Any]:
    try:
        # Python's own reader, since pandas writes NaN, which is no JSON.
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refuse(400, "body", body[:80].decode(errors="replace"), f"must be JSON: {error}", "send a JSON object") from None
    if not isinstance(found, dict):
        raise refuse(400, "body", type(found).__name__, "must be a JSON object", f"send one with {' or '.join(FORMS)}")
    return found


def _listed(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = [name for name in FORMS if name in body]
    if len(given) != 1 or (unknown := set(body) - {*FORMS, "params"}):
        wrong = sorted(unknown) if len(given) == 1 else given
        raise refuse(400, "body", wrong, f"must have one of {', '.join(FORMS)}, and `params` at most", "send the rows once")
    name, value = given[0], body[given[0]]
    rows = _split(value) if name == "dataframe_split" else _columns(value) if isinstance(value, dict) else value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise refuse(400, name, type(value).__name__, "must hold named values of rows", _NEXT[name])
    return rows


_NEXT = {
    "dataframe_split": 'send {"columns": [...], "data": [[...]]}',
    "dataframe_records": "send a list of objects",
    "instances": "send a list of objects",
    "inputs": "send a list a field, or a list of objects",
}


def _split(value: Any) -> Any:
    if not isinstance(value, dict) or not isinstance(names := value.get("columns"), list):
        return None
    rows = value.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    return [dict(zip(map(str, names), row, strict=True)) for row in rows]


def _columns(value: Mapping[str, Any]) -> Any:
    """A list a field, as `inputs` may have them; a tensor of one value a row is such a list too."""
    columns = list(value.values())
    if not columns or not all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
        return None
    flat = [[one[0] if isinstance(one, list) and len(one) == 1 else one for one in column] for column in columns]
    return [dict(zip(value, row, strict=True)) for row in zip(*flat, strict=True)]


def _from_csv(body: bytes, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows under a line of names; what is empty is missing."""
    try:
        rows = list(csv.DictReader(io.StringIO(body.decode()), strict=True, restkey="", restval=None))
    except (csv.Error, UnicodeDecodeError) as error:
        raise refuse(400, "body", None, f"must be CSV in UTF-8: {error}", "send a line of names, then a line a row") from None
    return [{name: _value(text, fields.get(name, "string")) for name, text in row.items()} for row in rows]


def _value(text: Any, kind: str) -> Any:
    """A text as its field's type; one that is none stays a text, which the reader refuses."""
    if not text:
        return None
    try:
        return _READ[kind](text) if kind in _READ else text
    except (ValueError, KeyError, TypeError):
        return text
