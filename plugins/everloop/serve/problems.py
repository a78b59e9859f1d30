"""What a client is told when its request is refused: field, value, rule, next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from everloop.errors import EverloopError

_LONGEST = 200


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
    """A request that is answered with an HTTP status of 400 or above; all its problems together."""

    def __init__(self, status: int, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{p.field}: {p.rule}" for p in problems))
        self.status = status
        self.problems = tuple(problems)

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What the answer says beside its body."""
        return ()

    def body(self) -> dict[str, Any]:
        """`{"errors": [...]}`, values cut to a printable length."""
        return {"errors": [{**asdict(problem), "value": _printable(problem.value)} for problem in self.problems]}


def refuse(status: int, field: str, value: Any, rule: str, next_step: str) -> Refused:
    """A refusal with one problem."""
    return Refused(status, [Problem(field, value, rule, next_step)])


def _printable(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
