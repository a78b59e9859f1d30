"""What the prediction log held and PostgreSQL cannot: kept in a file beside the segments, since nothing is dropped silently."""

from __future__ import annotations

import base64
import logging
import os
from pathlib import Path

import msgspec

ASIDE = "set_aside.jsonl"
"""One JSON object a line: `segment`, `position`, `reason`, and the content as `text`, or as `base64` where it is none."""

_LOG = logging.getLogger("everloop.serve.log")


def set_aside(folder: Path, segment: str, position: int, content: bytes, reason: str) -> None:
    """Keep `content`. A shipper that is killed before it commits writes the same line again."""
    _LOG.error("part of the prediction log was set aside in %s: %s", folder / ASIDE, reason)
    line = msgspec.json.encode({"segment": segment, "position": position, "reason": reason, **_readable(content)}) + b"\n"
    file = os.open(folder / ASIDE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, line)
        os.fsync(file)
    finally:
        os.close(file)


def _readable(content: bytes) -> dict[str, str]:
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
