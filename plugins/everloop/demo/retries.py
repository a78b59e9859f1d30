"""What passes by itself while a part of the stack is being restarted, and how long the demo tries."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from everloop.errors import SourceError, StackError

PATIENCE = 600.0
"""Seconds. A killed part is back within half a minute on two cores; a busy machine takes ten times as long."""

PAUSE = 5.0
"""Seconds between two tries at the most."""

TOLD_AFTER = 4
"""Tries of which nothing is said: a part that is back within a few seconds is no news."""


class AwayError(StackError):
    """A part of the stack does not answer now."""


PASSING = (AwayError, SourceError, psycopg.OperationalError)


def steady(say: Callable[[str], None] | None = None, *, patience: float = PATIENCE, pause: float = PAUSE) -> Retrying:
    """Calls a function, again and again while it raises what passes; after `patience` seconds its last error.

    Only for what may be done twice. `say` is told once of what is waited for.
    """

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if say and state.attempt_number == TOLD_AFTER:
            say(f"  Trying again for up to {patience / 60:.0f} minutes: {str(error).splitlines()[0]}")

    return Retrying(
        retry=retry_if_exception_type(PASSING),
        wait=wait_random_exponential(multiplier=pause / 10, max=pause),
        stop=stop_after_delay(patience),
        before_sleep=tell,
        reraise=True,
    )
