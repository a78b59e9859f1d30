"""Who may use the service."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from everloop.serve.problems import refuse


class Access:
    """The service's key, when it has one."""

    def __init__(self, api_key: str | None) -> None:
        self._key = None if api_key is None else api_key.encode()

    def admit(self, headers: Mapping[bytes, bytes], scope: str) -> None:
        """Refuse (401) a request without the right X-API-Key."""
        if self._key is not None and not hmac.compare_digest(headers.get(b"x-api-key", b""), self._key):
            raise refuse(
                401, "X-API-Key", None, "must be this service's key", "send the header; `everloop up` prints where the key is"
            )
