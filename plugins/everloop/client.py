"""A client of the scoring service: rows or tables in, scores out.

```python
from everloop.client import Scorer

with Scorer("http://127.0.0.1:8000", api_key="...", use_case="flights") as scorer:
    answer = scorer.score([{"key": "UA-1545", "carrier": "UA", "distance": 1400}])
    print(answer.results[0]["score"])
```
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import httpx
import msgspec

from everloop.errors import EverloopError

if TYPE_CHECKING:
    import pyarrow as pa

ARROW, JSON = "application/vnd.apache.arrow.stream", "application/json"

_AGAIN = frozenset({429, 503})
_LONGEST_WAIT_SECONDS = 30.0
_USUAL_WAIT_SECONDS = 0.5


class Problem(NamedTuple):
    """What the service says of one thing that is wrong; `field` is a path into the request."""

    field: str
    value: Any
    rule: str
    next: str


class ScoringError(EverloopError):
    """The service refused a request, or does not answer (`status` is `None` then). `problems`: all that it said."""

    def __init__(self, words: str, status: int | None = None, problems: Sequence[Problem] = ()) -> None:
        super().__init__(words)
        self.status = status
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Scores:
    """`results`: for each row `key`, `score`, `decision`, `arm`, `release`, `flags` and, explained, `contributions`."""

    request_id: str
    results: list[dict[str, Any]]


class Scorer:
    """The service at `url`, for one use case. Safe to share between threads; close it, or use it as a context.

    A request that is shed (429, 503) is sent again up to `retries` times, after as long as `Retry-After` says (0.5 s where it is
    silent, 30 s at most). Every method raises `ScoringError`.
    """

    def __init__(
        self, url: str, api_key: str | None = None, *, use_case: str, timeout_seconds: float = 10.0, retries: int = 3
    ) -> None:
        headers = {"x-api-key": api_key} if api_key else {}
        self._http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout_seconds)
        self._path = f"/v1/{use_case}"
        self._retries = retries

    def score(self, rows: Sequence[Mapping[str, Any]], *, explain: bool = False) -> Scores:
        """Score rows: `key`, perhaps `event_timestamp` (an aware datetime or ISO 8601), and the fields of the use case."""
        body = msgspec.json.encode({"rows": list(rows), "explain": explain})
        answer = msgspec.json.decode(self._sent("POST", "/score", body).content)
        return Scores(answer["request_id"], answer["results"])

    def score_table(self, rows: pa.Table, *, explain: bool = False) -> pa.Table:
        """Score an Arrow table with those columns; much faster for many rows. The answer's metadata has `request_id`."""
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        query = {"explain": "true"} if explain else {}
        answer = self._sent("POST", "/score", sink.getvalue().to_pybytes(), ARROW, query)
        return pa.ipc.open_stream(answer.content).read_all()

    def outcomes(self, outcomes: Sequence[Mapping[str, Any]]) -> int:
        """Tell what became of predictions: `key`, `label` (boolean), `known_at`. How many were accepted."""
        answer = self._sent("POST", "/outcomes", msgspec.json.encode({"outcomes": list(outcomes)}))
        return int(msgspec.json.decode(answer.content)["accepted"])

    def check(self, release: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Have a release loaded beside the serving one score rows: `scores`, `latency_ms`. Nobody is answered by it."""
        answer = self._sent("POST", "/check", msgspec.json.encode({"release": release, "rows": list(rows)}))
        found: dict[str, Any] = msgspec.json.decode(answer.content)
        return found

    def state(self) -> dict[str, Any]:
        """Who serves, what is loaded, what a request looks like."""
        found: dict[str, Any] = msgspec.json.decode(self._sent("GET", "").content)
        return found

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _sent(
        self, method: str, path: str, body: bytes = b"", kind: str = JSON, query: Mapping[str, str] | None = None
    ) -> httpx.Response:
        for left in range(self._retries, -1, -1):
            try:
                answer = self._http.request(
                    method, self._path + path, content=body, headers={"content-type": kind}, params=query or None
                )
            except httpx.HTTPError as error:
                words = f"The scoring service at {self._http.base_url} does not answer ({error!r}): is it up, is the URL right?"
                raise ScoringError(words) from error
            if answer.status_code not in _AGAIN or not left:
                break
            time.sleep(_wait_seconds(answer.headers.get("retry-after")))
        if answer.is_error:
            raise _refusal(answer)
        return answer


def _wait_seconds(told: str | None) -> float:
    try:
        return min(max(float(told), 0.0), _LONGEST_WAIT_SECONDS) if told else _USUAL_WAIT_SECONDS
    except ValueError:
        return _USUAL_WAIT_SECONDS  # a date, which this service does not send


def _refusal(answer: httpx.Response) -> ScoringError:
    try:
        problems = [Problem(**one) for one in msgspec.json.decode(answer.content)["errors"]]
    except (msgspec.DecodeError, KeyError, TypeError):
        return ScoringError(f"The scoring service answered {answer.status_code}: {answer.text[:200]}", answer.status_code)
    told = "; ".join(f"{one.field} {one.rule} (given: {one.value}): {one.next}" for one in problems)
    return ScoringError(f"The scoring service answered {answer.status_code}: {told}", answer.status_code, problems)
