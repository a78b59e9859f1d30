"""What running parts are asked: do you answer, and are you the one that was just started."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx

_PING_SECONDS = 60.0
"""The first call of Airflow's execution API builds the application: 6 to 8 CPU seconds."""


def answers(url: str, *, timeout: float = 3.0) -> bool:
    """Whether `url` is answered with 200."""
    return _get(url, timeout) is not None


def airflow_answers(url: str) -> bool:
    """Whether Airflow's API server and its database are healthy, and the tasks' API is warm."""
    health = _health(url)
    return health.get("metadatabase", {}).get("status") == "healthy" and answers(
        f"{url}/execution/health/ping", timeout=_PING_SECONDS
    )


def airflow_component_beats(url: str, component: str, started: datetime) -> bool:
    """Whether `component` (scheduler, triggerer, dag_processor) is healthy by a heartbeat later than `started`.

    An earlier heartbeat may be that of a process that has just died.
    """
    found = _health(url).get(component, {})
    beat = found.get(f"latest_{component}_heartbeat")
    if found.get("status") != "healthy" or beat is None:
        return False
    at = datetime.fromisoformat(beat)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) >= started


def _health(url: str) -> dict[str, Any]:
    response = _get(f"{url}/api/v2/monitor/health", 10.0)
    try:
        found: dict[str, Any] = response.json() if response else {}
    except ValueError:  # something else answers at that address
        return {}
    return found


def _get(url: str, timeout: float) -> httpx.Response | None:
    try:
        response = httpx.get(url, timeout=timeout, trust_env=False)
    except httpx.HTTPError:
        return None
    return response if response.status_code == httpx.codes.OK else None
