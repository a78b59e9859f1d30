"""The scoring service, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from everloop import client
from everloop.errors import ReleaseError, SourceError

CHECK_SECONDS = 60.0
"""A check fetches and loads the release first: much longer than a request, and never for ever."""

_REFUSED = 422


class HttpScorer:
    """`ports.Scorer` over the service at `url`."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self._url, self._api_key = url, api_key

    def check(self, use_case: str, release: str, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Load `release` beside the serving one and score `rows`: `{"scores": [...], "latency_ms": ...}`.

        Raises `ReleaseError` with the service's own words when the release does not load or answer, `SourceError` when the
        service cannot be asked, which says nothing of the release.
        """
        with client.Scorer(self._url, self._api_key, use_case=use_case, timeout_seconds=CHECK_SECONDS) as scorer:
            try:
                return scorer.check(release, rows)
            except client.ScoringError as error:
                if error.status == _REFUSED:
                    raise ReleaseError(f"The scorer refuses release {release} of {use_case}: {error}") from error
                raise SourceError(
                    f"Release {release} of {use_case} could not be checked: {error}; look at `everloop status`, "
                    "or correct EVERLOOP_SCORER"
                ) from error
