"""A measured parity in words: the share, the features that differ, the rows to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from everloop.ports import Measurement

ROWS = 5
"""Rows that the words show; the measurement holds more."""


def lines(measured: Measurement) -> list[str]:
    """The verdict, then a line for each feature that differs and each of the worst rows."""
    detail = measured.detail
    head = f"{measured.interval.label}  {measured.release}  {measured.verdict}  {_share(detail)}"
    return [head, *_reasons(measured), *_features(detail), *(line for row in detail["worst"][:ROWS] for line in _row(row))]


def _share(detail: Mapping[str, Any]) -> str:
    equal, rows, away = detail["equal"], detail["rows"], detail["unavailable"]
    counted = f"{equal} of {rows} sampled rows equal"
    if rows:
        counted += f" ({equal / rows:.2%}, of all rows {detail['low']:.2%} to {detail['high']:.2%})"
    return counted + (f", {away} more served while the online store was away" if away else "")


def _reasons(measured: Measurement) -> Iterator[str]:
    """Why it is no pass, other than the share itself."""
    for reason in measured.detail["reasons"]:
        if reason["outcome"] != "pass" and reason["check"] != "parity.share":
            yield f"  {reason['text']}"


def _features(detail: Mapping[str, Any]) -> Iterator[str]:
    for feature, count in detail["differing"].items():
        yield f"  {feature} differs in {count} of {detail['features'][feature]['rows']} rows"


def _row(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"  request {row['request_id']}, key {row['key']}, as of {row['as_of']}"
    for found in row["differences"]:
        yield f"    {found['feature']}: served {found['served']}, history {found['replayed']} ({found['status']} when served)"
