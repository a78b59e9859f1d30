"""Which arm each service gave each entity."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import httpx

from benchmarks.serving.departures import body, row
from benchmarks.serving.proxy import ANSWERED_BY
from benchmarks.serving.stage import PATH
from everloop.serve.answering.arms import CHALLENGER, CHAMPION

ARMS = (CHAMPION, CHALLENGER)
ROWS = 1_000
"""Entities of one request."""


class Asked:
    """The arms by service and entity, and when the answers were there (`time.perf_counter`)."""

    def __init__(self, services: Sequence[str]) -> None:
        self.arms: dict[str, dict[int, str]] = {service: {} for service in services}
        self.at: dict[str, float] = {}

    def ask(self, client: httpx.Client, port: int, entities: Sequence[int]) -> None:
        """Ask for the entities until every service has answered for them; the proxy goes round."""
        content = body({"rows": [row(number) for number in entities]})
        wanting = set(self.arms)
        while wanting:
            answer = client.post(f"http://127.0.0.1:{port}{PATH}", content=content)
            if answer.status_code != 200:
                raise SystemExit(f"{answer.status_code} {answer.text[:300]}")
            service = answer.headers[ANSWERED_BY]
            self.at[service] = time.perf_counter()
            found = [one["arm"] for one in answer.json()["results"]]
            self.arms[service].update(zip(entities, found, strict=True))
            wanting.discard(service)

    def disagreements(self) -> int:
        """Entities of which the services do not say the same."""
        first, *others = self.arms.values()
        return sum(any(other[entity] != arm for other in others) for entity, arm in first.items())

    def count(self, arm: str) -> int:
        """Entities that the first service gave this arm."""
        return sum(given == arm for given in next(iter(self.arms.values())).values())


def rounds(port: int, entities: int, services: Sequence[str]) -> Asked:
    """Ask for so many entities, of all services."""
    asked = Asked(services)
    with httpx.Client(timeout=60) as client:
        for first in range(0, entities, ROWS):
            asked.ask(client, port, range(first, min(first + ROWS, entities)))
    return asked


def change_of(watched: Sequence[Asked], grows: bool) -> tuple[float, int]:
    """Of entities watched while the weight changed: what `main` records of them.

    Seconds from the first answer by the new weight to the last by the old one (negative when none lay between), and how many
    changes went the wrong way or were a second one.
    """
    gaining, wrong = (CHALLENGER if grows else CHAMPION), 0
    last, final = watched[0], watched[-1]
    moved = {entity for service in final.arms for entity, arm in final.arms[service].items() if arm != last.arms[service][entity]}
    new, old = [], []
    for before, after in itertools.pairwise(watched):
        for service, arms in after.arms.items():
            changed = {entity for entity, arm in arms.items() if arm != before.arms[service][entity]}
            wrong += sum(arms[entity] != gaining for entity in changed)
            if changed:
                new.append(after.at[service])
    for asked in watched:
        old += [asked.at[service] for service, arms in asked.arms.items() if any(arms[one] != gaining for one in moved)]
    return (max(old) - min(new) if new and old else 0.0), wrong
