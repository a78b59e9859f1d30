"""`POST /v2/models/<use case>[/versions/<release>]/infer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from everloop.serve.problems import Refused, refuse
from everloop.serve.reading.rows import KEY
from everloop.serve.release import LoadedRelease
from everloop.serve.request import Answer
from everloop.serve.shapes.open_inference.tensors import Tensor, column, encoded, sizes
from everloop.serve.shapes.shape import JSON, Asked, Reply, Sent, beside

OUTPUTS: Mapping[str, str] = {"score": "FP64", "decision": "BOOL"}
"""What is answered unless `outputs` asks otherwise."""

FURTHER: Mapping[str, str] = {"key": "BYTES", "arm": "BYTES", "release": "BYTES", "flags": "BYTES", "contributions": "FP64"}
"""What is answered when it is asked for. `flags` of a row stand behind each other with commas between."""

_LENGTH = b"inference-header-content-length"
_BINARY = "binary_data"


class _Wanted(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Body(msgspec.Struct):
    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[_Wanted] = []


_decode = msgspec.json.Decoder(_Body).decode


@dataclass(frozen=True, slots=True)
class _Context:
    """What the answer needs of the request: who it is for, and its tensors by name, and whether each goes in bytes."""

    id: str
    model: str
    version: str
    outputs: Mapping[str, bool]


class Infer:
    """`Shape` of inference. `version`: the release that the path names, if it does."""

    def __init__(self, version: str | None = None) -> None:
        self._version = version

    def read(self, release: LoadedRelease, sent: Sent) -> Asked:
        """See `Shape.read`. Rows without `key` get `<request id>-<row>`."""
        if self._version not in (None, release.id):
            raise unknown_version(str(self._version), release)
        body, binary = _parted(sent)
        rows = _rows(body.inputs, binary, release)
        if len(rows) > (maximum := release.manifest.service.maximum_rows):
            raise refuse(413, "inputs", len(rows), f"must hold at most {maximum} rows", "send several smaller requests")
        for number, row in enumerate(rows):
            row.setdefault(KEY, f"{sent.id}-{number}")
        outputs = _outputs(body)
        explain = sent.explain or body.parameters.get("explain") is True or "contributions" in outputs
        if explain:
            outputs.setdefault("contributions", body.parameters.get("binary_data_output") is True)
        context = _Context(body.id or sent.id, release.manifest.use_case, release.id, outputs)
        return Asked(release.reader.rows(rows, "rows[{}].", sent.at), explain, context)

    def write(self, answer: Answer, context: object) -> Reply:
        """See `Shape.write`."""
        assert isinstance(context, _Context)  # noqa: S101 - the one that `read` made
        told, after = [], []
        for name, in_bytes in context.outputs.items():
            tensor, values = _tensor(name, answer)
            if in_bytes:
                after.append(encoded(values, tensor["datatype"]))
                tensor.setdefault("parameters", {})["binary_data_size"] = len(after[-1])
            else:
                tensor["data"] = values
            told.append(tensor)
        head = {"model_name": context.model, "model_version": context.version, "id": context.id}
        body = msgspec.json.encode({**head, "parameters": {"request_id": answer.request_id}, "outputs": told})
        if not after:
            return Reply(body)
        length = ((_LENGTH, b"%d" % len(body)),)
        return Reply(body + b"".join(after), b"application/octet-stream", length)

    def refused(self, refused: Refused) -> Reply:
        """See `Shape.refused`: the protocol has room for one text."""
        return in_words(refused)


def in_words(refused: Refused) -> Reply:
    """What is wrong as the protocol has it."""
    return Reply(msgspec.json.encode({"error": sentence(refused)}), JSON, beside(refused))


def sentence(refused: Refused) -> str:
    """All problems in one text."""
    told = refused.body()["errors"]
    return "; ".join(f"{one['field']} {one['rule']} (given: {one['value']}): {one['next']}" for one in told)


def unknown_version(version: str, release: LoadedRelease) -> Refused:
    """Only what the ledger lets serve can be asked for."""
    return refuse(404, "version", version, f"is not the serving champion's, which is {release.id}", "ask for that, or for none")


def _parted(sent: Sent) -> tuple[_Body, memoryview]:
    """The JSON, and the bytes after it."""
    text, given = sent.body, sent.headers.get(_LENGTH)
    if given is not None:
        if not given.isdigit() or int(given) > len(text):
            rule = "must be the length of the JSON at the body's begin"
            raise refuse(400, "Inference-Header-Content-Length", given.decode("latin-1"), rule, "correct the header")
        text = text[: int(given)]
    try:
        body = _decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise refuse(400, "body", None, f"must be an inference request: {error}", "see GET /v2/models/<use case>") from None
    return body, memoryview(sent.body)[len(text) :]


def _rows(tensors: Sequence[Tensor], binary: memoryview, release: LoadedRelease) -> list[dict[str, Any]]:
    names = [tensor.name for tensor in tensors]
    if not tensors or not tensors[0].shape or tensors[0].shape[0] < 1:
        raise refuse(422, "inputs", None, "must hold at least one row", "send a tensor for each field")
    if len(set(names)) < len(names):
        raise refuse(400, "inputs", names, "must each have a name of its own", "send every field once")
    rows, position, columns = tensors[0].shape[0], 0, []
    kinds = {**release.reader.fields, "event_timestamp": "timestamp"}
    for tensor, size in zip(tensors, sizes(tensors), strict=True):
        columns.append(column(tensor, rows, kinds.get(tensor.name), binary[position : position + size]))
        position += size
    if position != len(binary):
        raise refuse(400, "body", len(binary), f"must have {position} bytes after its JSON, as its tensors say", "correct them")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _outputs(body: _Body) -> dict[str, bool]:
    """By name whether a tensor goes in bytes."""
    usual = body.parameters.get("binary_data_output") is True
    wanted = body.outputs or [_Wanted(name) for name in OUTPUTS]
    if unknown := [one.name for one in wanted if one.name not in OUTPUTS and one.name not in FURTHER]:
        raise refuse(400, "outputs", unknown, "are not outputs", f"ask for some of {', '.join((*OUTPUTS, *FURTHER))}")
    return {one.name: one.parameters.get(_BINARY, usual) is True for one in wanted}


def _tensor(name: str, answer: Answer) -> tuple[dict[str, Any], Sequence[Any]]:
    rows = len(answer.keys)
    datatype = {**OUTPUTS, **FURTHER}[name]
    if name == "contributions":
        return _contributions(answer, rows)
    columns: Mapping[str, Sequence[Any]] = {
        "score": answer.scores,
        "decision": answer.decisions,
        "key": answer.keys,
        "arm": answer.arms,
        "release": answer.releases,
        "flags": answer.flags,
    }
    values = [",".join(flags) for flags in answer.flags] if name == "flags" else columns[name]
    return {"name": name, "datatype": datatype, "shape": [rows]}, values


def _contributions(answer: Answer, rows: int) -> tuple[dict[str, Any], Sequence[Any]]:
    """A row of shares for each row of the request; `parameters.columns` is a JSON list of whose they are."""
    shares = answer.contributions or []
    names = list({name: None for row in shares for name in row})
    values = [row.get(name, 0.0) for row in shares for name in names]
    parameters = {"columns": msgspec.json.encode(names).decode()}
    return {"name": "contributions", "datatype": "FP64", "shape": [rows, len(names)], "parameters": parameters}, values
