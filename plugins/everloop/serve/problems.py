"""What a client is told when its request is refused: field, value, rule, next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from everloop.errors import EverloopError

_LONGEST = 200
_UNAUTHORISED = 401


@dataclass(frozen=True)
class Problem:
    """One broken rule. `field` is a path into the body (`rows[3].carrier`) or the part of the request that it concerns."""

    field: str
    value: Any
    rule: str
    next: str

    def inside(self, path: str) -> Problem:
        """The same problem seen from the whole body."""
        return Problem(f"{path}{self.field}", self.value, self.rule, self.next)


class Refused(EverloopError):  # noqa: N818 - the field's word for an answer of 4xx
    """A request that is answered with an HTTP status of 400 or above; all its problems together.

    `retry_after`: seconds after which the same request may pass, where that is known.
    """

    def __init__(self, status: int, problems: Sequence[Problem], retry_after: float | None = None) -> None:
        super().__init__("; ".join(f"{p.field}: {p.rule}" for p in problems))
        self.status = status
        self.problems = tuple(problems)
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        """`{"errors": [...]}`, values cut to a printable length."""
        return {"errors": [{**asdict(problem), "value": _printable(problem.value)} for problem in self.problems]}

    def headers(self) -> dict[str, str]:
        """What RFC 9110 wants beside the status: `WWW-Authenticate` with 401 (11.6.1), `Retry-After` in seconds (10.2.3)."""
        challenge = {"WWW-Authenticate": "Bearer"} if self.status == _UNAUTHORISED else {}
        return challenge if self.retry_after is None else {**challenge, "Retry-After": str(ceil(self.retry_after))}


def refuse(status: int, field: str, value: Any, rule: str, next_step: str, retry_after: float | None = None) -> Refused:
    """A refusal with one problem."""
    return Refused(status, [Problem(field, value, rule, next_step)], retry_after)


def _printable(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
