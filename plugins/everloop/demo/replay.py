"""Plays the world's traffic against the scoring service: weather as it is published, flights as they are asked for, outcomes."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import httpx
import msgspec
import xxhash
from tenacity import Retrying

from everloop.demo.retries import PATIENCE, PAUSE, AwayError, steady
from everloop.interval import Interval
from everloop.use_case import UseCase

if TYPE_CHECKING:
    import pyarrow as pa

AHEAD = timedelta(hours=2)
"""A flight is asked about this long before it should leave (`EXAMPLES.sql` of dags/flights.py)."""

PUBLISHED_AFTER = timedelta(minutes=15)
"""An observation is public this long after it was made (feature_repo/flights.py)."""

VIEW = "weather_hourly"
FIELDS = ("carrier", "flight", "tailnum", "origin", "dest", "scheduled_departure", "scheduled_arrival", "distance")

_BATCH = 100
_OUTCOMES = 500
_IN_FLIGHT = 2
_PUSH, _SCORE = 0, 1


class World(Protocol):
    """What really happened; `demo.year` is one."""

    def flights(
        self, start: datetime, end: datetime, by: Literal["scheduled_departure", "closed_at"] = "scheduled_departure"
    ) -> pa.Table:
        """Flights with `by` in `[start, end)`."""

    def observations(self, start: datetime, end: datetime) -> pa.Table:
        """Weather with `observed_at` in `[start, end)`."""


@dataclass(frozen=True)
class Failure:
    """A request that was not answered as it should be: where, how (`None`: no answer at all), and what came back."""

    route: str
    status: int | None
    body: str

    @property
    def passing(self) -> bool:
        """Whether the service was away, overloaded or failing, which the same request may meet or not the next time."""
        return self.status is None or self.status >= 500 or self.status == httpx.codes.TOO_MANY_REQUESTS


@dataclass
class ReplayReport:
    """What one stretch of traffic came to. `latency_ms`: quantiles of the score requests, as the client saw them."""

    requests: int = 0
    rows: int = 0
    outcomes: int = 0
    pushed: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    latency_ms: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def refused(self) -> list[Failure]:
        """Requests of any route that the service would not take; they are not sent again."""
        return [failure for failure in self.failures if not failure.passing]

    @property
    def interrupted(self) -> int:
        """Tries that met no service, or a failing one; each request was sent again until it was answered."""
        return sum(failure.passing for failure in self.failures)


class Replay:
    """Sends a deterministic `share` of all flights. Outcomes that come after an interval are kept for the later ones.

    `memory`: a file that keeps them from one process to the next. A request that meets no service is sent again for `patience`
    seconds, which `say` is told; then the replay ends with an `AwayError`.
    """

    def __init__(
        self,
        scorer_url: str,
        api_key: str | None,
        use_case: UseCase,
        share: float,
        *,
        world: World | None = None,
        memory: Path | None = None,
        say: Callable[[str], None] | None = None,
        patience: float = PATIENCE,
        pause: float = PAUSE,
    ) -> None:
        self._base = f"{scorer_url.rstrip('/')}/v1/{use_case.name}"
        self._headers = {"content-type": "application/json"} | ({"x-api-key": api_key} if api_key else {})
        self._weather_columns = tuple(use_case.source("weather").columns)
        self._share = share
        self._world = world or _year()
        self._memory = memory
        self._steady = steady(say, patience=patience, pause=pause)
        self._awaited: list[tuple[datetime, str, bool]] = _remembered(memory)

    def play(self, interval: Interval) -> ReplayReport:
        """All that happens in `interval` of data time, in its order; ends when the last answer is there."""
        report, taken, began = ReplayReport(), [], time.perf_counter()
        with httpx.Client(headers=self._headers, timeout=30) as client, ThreadPoolExecutor(_IN_FLIGHT) as pool:
            caller = _Caller(client, self._base, report, self._steady)
            for kind, events in itertools.groupby(self._events(interval), key=itemgetter(1)):
                group = list(events)
                if kind == _PUSH:
                    report.pushed += caller.post(f"push/{VIEW}", {"rows": [row for _, _, row in group]}).get("written", 0)
                    continue
                self._tell_outcomes(caller, group[0][0], at_least=_OUTCOMES)
                batches = [[flight for _, _, flight in group[i : i + _BATCH]] for i in range(0, len(group), _BATCH)]
                for sent, milliseconds in pool.map(caller.score, batches):
                    taken.append(milliseconds)
                    self._await(sent)
            self._tell_outcomes(caller, interval.end, at_least=1)
        report.latency_ms = _quantiles(taken)
        report.seconds = time.perf_counter() - began
        self._remember()
        return report

    def _events(self, interval: Interval) -> Iterator[tuple[datetime, int, dict[str, Any]]]:
        """Pushes and flights by time; a push comes first at equal times, since a request then sees it already."""
        seen = self._world.observations(interval.start - PUBLISHED_AFTER, interval.end - PUBLISHED_AFTER)
        asked = self._world.flights(interval.start + AHEAD, interval.end + AHEAD, by="scheduled_departure")
        pushes = ((row["observed_at"] + PUBLISHED_AFTER, _PUSH, row) for row in seen.select(self._weather_columns).to_pylist())
        flights = (
            (flight["scheduled_departure"] - AHEAD, _SCORE, flight)
            for flight in asked.select([*FIELDS, "arrival_delay", "closed_at"]).to_pylist()
            if sampled(key_of(flight), self._share)
        )
        return iter(sorted([*pushes, *flights], key=itemgetter(0, 1)))

    def _await(self, flights: Iterable[Mapping[str, Any]]) -> None:
        for flight in flights:
            late = flight["arrival_delay"] is None or flight["arrival_delay"] >= 15
            heapq.heappush(self._awaited, (flight["closed_at"], key_of(flight), late))

    def _tell_outcomes(self, caller: _Caller, until: datetime, at_least: int) -> None:
        """Send the outcomes known before `until`, once there are `at_least` so many: one request for a few hours' worth."""
        due = sum(known_at < until for known_at, _, _ in self._awaited) if self._awaited and self._awaited[0][0] < until else 0
        while due >= at_least:
            batch = [heapq.heappop(self._awaited) for _ in range(min(due, _OUTCOMES))]
            caller.outcomes(batch)
            due -= len(batch)

    def _remember(self) -> None:
        if self._memory is not None:
            new = self._memory.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(self._awaited))
            new.replace(self._memory)


class _Caller:
    """One client of the service; counts all it sends, and sends again what met no service."""

    def __init__(self, client: httpx.Client, base: str, report: ReplayReport, steady: Retrying) -> None:
        self._client = client
        self._base = base
        self._report = report
        self._steady = steady

    def post(self, route: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer; an empty one when the request was refused, which the report then tells."""
        found: dict[str, Any] = self._steady(self._once, route, msgspec.json.encode(body))
        return found

    def _once(self, route: str, content: bytes) -> dict[str, Any]:
        self._report.requests += 1
        try:
            answer = self._client.post(f"{self._base}/{route}", content=content)
        except httpx.HTTPError as error:
            return self._failed("unreachable", Failure(route, None, repr(error)))
        if answer.status_code != httpx.codes.OK:
            return self._failed(str(answer.status_code), Failure(route, answer.status_code, answer.text))
        self._report.by_status[str(answer.status_code)] += 1
        found: dict[str, Any] = answer.json()
        return found

    def _failed(self, status: str, failure: Failure) -> dict[str, Any]:
        self._report.by_status[status] += 1
        self._report.failures.append(failure)
        if failure.passing:
            raise AwayError(
                f"The scoring service at {self._base} failed to answer {failure.route} ({failure.status}: {failure.body})"
            )
        return {}

    def score(self, flights: Sequence[Mapping[str, Any]]) -> tuple[Sequence[Mapping[str, Any]], float]:
        """Ask about flights at the moment of the question; the flights that were answered, and the milliseconds it took."""
        began = time.perf_counter()
        answer = self.post("score", {"rows": [request_of(flight) for flight in flights]})
        milliseconds = (time.perf_counter() - began) * 1000
        answered = flights if answer else ()
        self._report.rows += len(answered)
        return answered, milliseconds

    def outcomes(self, known: Sequence[tuple[datetime, str, bool]]) -> None:
        """Tell outcomes, oldest first."""
        body = {"outcomes": [{"key": key, "label": label, "known_at": known_at} for known_at, key, label in known]}
        self._report.outcomes += self.post("outcomes", body).get("accepted", 0)


def key_of(flight: Mapping[str, Any]) -> str:
    """A flight's key, exactly as the examples' SQL makes it."""
    return f"{flight['carrier']}-{flight['flight']}-{flight['origin']}-{flight['scheduled_departure']:%Y%m%dT%H%M}"


def request_of(flight: Mapping[str, Any]) -> dict[str, Any]:
    """The row that asks about a flight, two hours before it should leave."""
    asked = flight["scheduled_departure"] - AHEAD
    return {"key": key_of(flight), "event_timestamp": asked, **{name: flight[name] for name in FIELDS}}


def sampled(key: str, share: float) -> bool:
    """Whether a flight is in the sample: the same ones every time, and more of them with a larger share."""
    return bool(xxhash.xxh3_64_intdigest(f"replay\0{key}".encode()) / 2.0**64 < share)


def _quantiles(milliseconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    if not ordered:
        return {}
    return {f"p{round(q * 100)}": ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in (0.5, 0.95, 0.99)}


def _remembered(memory: Path | None) -> list[tuple[datetime, str, bool]]:
    if memory is None or not memory.exists():
        return []
    return msgspec.json.decode(memory.read_bytes(), type=list[tuple[datetime, str, bool]])


def _year() -> World:
    from everloop.demo import year

    return year
