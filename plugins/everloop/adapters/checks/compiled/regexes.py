"""Python's regular expressions in Rust's engine, where both mean the same; elsewhere Python's, once for each distinct value."""

from __future__ import annotations

import re
from re import _constants as op  # type: ignore[attr-defined]  # the parse tree's names have no public home
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import polars as pl

_CATEGORIES = {op.CATEGORY_DIGIT: r"\d", op.CATEGORY_NOT_DIGIT: r"\D"}
"""Python and Rust agree on digits; on word characters and spaces they do not in every script."""


def contains(name: str, pattern: str) -> pl.Expr:
    """Whether `pattern` is found in the text column, as `re.search` finds it."""
    if (said := rust(pattern)) is not None:
        return pl.col(name).str.contains(said)
    search = re.compile(pattern).search

    def found(values: pl.Series) -> pl.Series:
        distinct = values.unique().drop_nulls()
        matching = pl.Series([value for value in distinct if search(value) is not None], dtype=pl.String)
        return values.is_in(matching.implode())

    return pl.col(name).map_batches(found, return_dtype=pl.Boolean)


def rust(pattern: str) -> str | None:
    """The same pattern for Rust's engine; `None` where it has no such thing, or means another."""
    compiled = re.compile(pattern)
    if compiled.flags != re.UNICODE:
        return None
    try:
        return _sequence(parser.parse(pattern))
    except _Unlike:
        return None


class _Unlike(Exception):  # noqa: N818, it never leaves this module
    """Rust has no such thing."""


def _sequence(tree: Any) -> str:
    return "".join(_node(kind, value) for kind, value in tree)


def _node(kind: Any, value: Any) -> str:
    if kind is op.LITERAL:
        return _escaped(value)
    if kind is op.NOT_LITERAL:
        return f"[^{_escaped(value)}]"
    if kind is op.ANY:
        return r"[^\n]"
    if kind is op.IN:
        return _set(value)
    if kind is op.BRANCH:
        return "(?:" + "|".join(_sequence(branch) for branch in value[1]) + ")"
    if kind is op.AT:
        return _anchor(value)
    return _group(kind, value)


def _group(kind: Any, value: Any) -> str:
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
        low, high, inner = value
        most = "" if high is op.MAXREPEAT else str(high)
        return f"(?:{_sequence(inner)}){{{low},{most}}}" + ("?" if kind is op.MIN_REPEAT else "")
    if kind is op.SUBPATTERN:
        _, on, off, inner = value
        if not on and not off:
            return f"(?:{_sequence(inner)})"
    raise _Unlike


def _anchor(value: Any) -> str:
    if value in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
        return r"\A"
    if value is op.AT_END:
        return r"(?:\n?\z)"  # Python's $ also stands before a line feed that ends the text
    if value is op.AT_END_STRING:
        return r"\z"
    raise _Unlike


def _set(items: Any) -> str:
    parts = []
    for kind, value in items:
        if kind is op.NEGATE:
            parts.append("^")
        elif kind is op.LITERAL:
            parts.append(_escaped(value))
        elif kind is op.RANGE:
            parts.append(f"{_escaped(value[0])}-{_escaped(value[1])}")
        elif kind is op.CATEGORY and value in _CATEGORIES:
            parts.append(_CATEGORIES[value])
        else:
            raise _Unlike
    return f"[{''.join(parts)}]"


def _escaped(code: int) -> str:
    return chr(code) if chr(code).isalnum() else f"\\x{{{code:x}}}"
