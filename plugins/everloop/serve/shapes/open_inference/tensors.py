"""Tensors of the protocol as columns of plain values, and back."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from everloop.serve.problems import Refused, refuse

DATATYPES = {"string": "BYTES", "int": "INT64", "float": "FP64", "bool": "BOOL", "timestamp": "BYTES"}
"""The datatype by which a field of a plan's type is described; others that can hold its values are taken too."""

_NUMPY = {
    "BOOL": "?", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "<u1", "UINT16": "<u2",
    "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tensor(msgspec.Struct):
    """An input: one field's values, in JSON (`data`) or in the bytes after it (`binary_data_size` among `parameters`)."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


def column(tensor: Tensor, rows: int, kind: str | None, binary: memoryview) -> list[Any]:
    """The values as the reader of JSON takes them. `INT64` for a timestamp counts microseconds since 1970 in UTC."""
    if tensor.shape not in ([rows], [rows, 1]):
        raise refuse(400, tensor.name, tensor.shape, f"must have shape [{rows}] or [{rows}, 1]", "send one value for each row")
    if tensor.datatype not in (*_NUMPY, "BYTES"):
        raise refuse(400, tensor.name, tensor.datatype, "is not a datatype", f"use one of {', '.join((*_NUMPY, 'BYTES'))}")
    values = _decoded(tensor, rows, binary) if "binary_data_size" in tensor.parameters else _flat(tensor)
    if len(values) != rows:
        raise refuse(400, tensor.name, len(values), f"must hold {rows} values, as its shape says", "send one for each row")
    if kind == "timestamp" and tensor.datatype.startswith(("INT", "UINT")):
        return [_moment(value) for value in values]
    # JSON has no NaN: what is missing among numbers comes as one in bytes.
    return [None if value != value else value for value in values]


def encoded(values: Sequence[Any], datatype: str) -> bytes:
    """Values in the protocol's bytes: little-endian numbers, texts each after its length."""
    if datatype == "BYTES":
        texts = [str(value).encode() for value in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return np.asarray(values, dtype=_NUMPY[datatype]).tobytes()


def sizes(tensors: Sequence[Tensor]) -> list[int]:
    """How many bytes each tensor has after the JSON."""
    found = [tensor.parameters.get("binary_data_size", 0) for tensor in tensors]
    for tensor, size in zip(tensors, found, strict=True):
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise refuse(400, tensor.name, size, "binary_data_size must be a number of bytes", "correct the parameter")
    return found


def _flat(tensor: Tensor) -> list[Any]:
    """JSON's data, in which every row may be a list of its own."""
    if tensor.data is None:
        raise refuse(400, tensor.name, None, "must have data", "send `data`, or `binary_data_size` and the bytes")
    return [value[0] if isinstance(value, list) and len(value) == 1 else value for value in tensor.data]


def _decoded(tensor: Tensor, rows: int, binary: memoryview) -> list[Any]:
    if tensor.datatype == "BYTES":
        return _texts(tensor.name, binary)
    kind = np.dtype(_NUMPY[tensor.datatype])
    if len(binary) != rows * kind.itemsize:
        rule = f"must be {rows * kind.itemsize} bytes of {tensor.datatype}"
        raise refuse(400, tensor.name, len(binary), rule, "correct the shape or binary_data_size")
    found: list[Any] = np.frombuffer(binary, kind).tolist()
    return found


def _texts(name: str, binary: memoryview) -> list[str]:
    found, position = [], 0
    try:
        while position < len(binary):
            (length,) = struct.unpack_from("<I", binary, position)
            position += 4 + length
            if position > len(binary):
                raise _broken(name)
            found.append(bytes(binary[position - length : position]).decode())
    except (struct.error, UnicodeDecodeError):
        raise _broken(name) from None
    return found


def _broken(name: str) -> Refused:
    return refuse(400, name, None, "must be UTF-8 texts, each after its length in 4 bytes", "correct the bytes")


def _moment(value: Any) -> Any:
    try:
        return None if value is None else _EPOCH + timedelta(microseconds=value)
    except (OverflowError, TypeError):
        return f"{value} microseconds since 1970"  # no moment, which the reader will say


def described(fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """The inputs of a model, as its metadata lists them: the request's fields, then what is the service's own."""
    kinds = {**fields, "key": "string", "event_timestamp": "timestamp"}
    return [{"name": name, "datatype": DATATYPES[kind], "shape": [-1]} for name, kind in kinds.items()]
