"""The scoring service, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import msgspec

from everloop.errors import ReleaseError, SourceError

CHECK_SECONDS = 60.0
"""A check fetches and loads the release first: much longer than a request, and never for ever."""

_REFUSED = 422


class HttpScorer:
    """`ports.Scorer` over the service at `url`."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"content-type": "application/json"} | ({"x-api-key": api_key} if api_key else {})

    def check(self, use_case: str, release: str, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Load `release` beside the serving one and score `rows`: `{"scores": [...], "latency_ms": ...}`.

        Raises `ReleaseError` with the service's own words when the release does not load or answer, `SourceError` when the
        service cannot be asked, which says nothing of the release.
        """
        body = msgspec.json.encode({"release": release, "rows": list(rows)})
        try:
            answer = httpx.post(f"{self._url}/v1/{use_case}/check", content=body, headers=self._headers, timeout=CHECK_SECONDS)
        except httpx.HTTPError as error:
            raise SourceError(
                f"The scoring service at {self._url} does not answer ({error!r}): look at `everloop status`, "
                "or correct EVERLOOP_SCORER"
            ) from error
        if answer.status_code == _REFUSED:
            raise ReleaseError(f"The scorer refuses release {release} of {use_case}: {_words(answer)}")
        if answer.is_error:
            raise SourceError(
                f"The scoring service at {self._url} could not check {release}: {answer.status_code}, {_words(answer)}"
            )
        found: Mapping[str, Any] = answer.json()
        return found


def _words(answer: httpx.Response) -> str:
    """The service's own words, whatever else stands before it."""
    try:
        return "; ".join(f"{error['field']}: {error['rule']}" for error in answer.json()["errors"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
