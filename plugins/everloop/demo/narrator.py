"""Tells a person what happens, how long it has taken and why."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape

from everloop.errors import StackError

STANDSTILL = 1200.0
"""Seconds without any change before something counts as stuck: a training of half a minute may take so long on a busy machine."""

LOOK = 10.0
"""Seconds between two looks at what else is moving."""


class Narrator:
    """Prints lines with the time elapsed since the story began."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.chapters: dict[str, float] = {}
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the story began."""
        return time.monotonic() - self._began

    def chapter(self, title: str) -> None:
        """A new part of the story; `chapters` keeps when it began, in seconds."""
        self.chapters[title] = round(self.elapsed, 1)
        self.console.print(f"\n[bold]{self._clock()}  {escape(title)}[/bold]", soft_wrap=True)

    def say(self, text: str) -> None:
        """Something happened."""
        self.console.print(f"{self._clock()}  {escape(text)}", soft_wrap=True)

    def wait(
        self,
        what: str,
        done: Callable[[], bool | str],
        moving: Callable[[], object] = lambda: None,
        *,
        patience: float = STANDSTILL,
        every: float = 1.0,
    ) -> None:
        """Wait until `done()` is true, telling each new text it returns, for as long as anything changes.

        `StackError` when `patience` seconds have gone by in which neither `done()` nor `moving()` gave anything new: a slow
        machine may take its time.
        """
        told, seen, since, looked = "", None, time.monotonic(), -LOOK
        while (state := done()) is not True:
            if isinstance(state, str) and state and state != told:
                told = state
                self.say(f"  {state}")
            now = time.monotonic()
            if now - looked >= LOOK:
                looked, before, seen = now, seen, (state, moving())
                since = since if seen == before else now
            if now - since > patience:
                raise StackError(
                    f"{what}: nothing has moved for {patience / 60:.0f} minutes (last seen: {told or 'nothing'}); see "
                    "`everloop status`, `everloop logs scheduler`, and the runs in Airflow's UI"
                )
            time.sleep(every)

    def _clock(self) -> str:
        seconds = int(self.elapsed)
        return f"{seconds // 60:2d}:{seconds % 60:02d}"
