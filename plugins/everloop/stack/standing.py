"""How the parts stand: told by the supervisor, read by the commands, kept in `<home>/status.json`."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from everloop.stack import processes
from everloop.stack.home import Home, read_json, write_private
from everloop.stack.parts import Part, Service


@dataclass
class Standing:
    """One part. `process` as in `processes.identity`; `seconds` from its start to its first being ready."""

    state: str = "waiting"
    address: str | None = None
    process: dict[str, Any] | None = None
    seconds: float | None = None
    restarts: int = 0


@dataclass
class Board:
    """All parts, the supervisor, and why it gave up if it did. `state`: starting, ready, degraded, stopping, failed."""

    home: Home
    supervisor: dict[str, Any]
    parts: dict[str, Standing]
    state: str = "starting"
    reason: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def note(self, part: str, **changes: Any) -> None:
        """Change how `part` stands, and tell."""
        with self._lock:
            for name, value in changes.items():
                setattr(self.parts[part], name, value)
            self._judge()
            self._tell()

    def declare(self, state: str, reason: str | None = None) -> None:
        """Say how the whole stands, and tell."""
        with self._lock:
            self.state, self.reason = state, reason or self.reason
            self._tell()

    def _judge(self) -> None:
        if self.state in ("stopping", "failed"):
            return
        if all(part.state in ("ready", "done") for part in self.parts.values()):
            self.state = "ready"
        elif self.state == "ready":
            self.state = "degraded"

    def _tell(self) -> None:
        told = {
            "state": self.state,
            "reason": self.reason,
            "supervisor": self.supervisor,
            "parts": {name: asdict(part) for name, part in self.parts.items()},
        }
        write_private(self.home.status, json.dumps(told, indent=2))


def open_board(home: Home, parts: list[Part], pid: int) -> Board:
    """A board on which every part waits."""
    standings = {part.name: Standing(address=part.address if isinstance(part, Service) else None) for part in parts}
    board = Board(home=home, supervisor=processes.identity(pid), parts=standings)
    board.declare("starting")
    return board


def read_board(home: Home) -> dict[str, Any]:
    """What was told last; empty when nothing ever was."""
    return read_json(home.status)
