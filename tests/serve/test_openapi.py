"""The routes against their own description: schemathesis sends what it allows and what it forbids."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from serve.conftest import Server
from serve.world import USE_CASE, row

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 25
UNHURRIED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def operations(server: Server) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]


def test_every_route_is_described(server: Server) -> None:
    found = {f"{one.method.upper()} {one.path}" for one in operations(server)}
    scored = {"POST /v1/{use_case}/score", "POST /v1/{use_case}/outcomes", "POST /v1/{use_case}/check"}
    assert scored | {"GET /v1/{use_case}", "GET /healthz", "GET /readyz", "GET /metrics"} <= found


@pytest.mark.parametrize("known", [True, False], ids=["a known use case", "any use case"])
def test_no_request_that_the_description_allows_fails_the_service_or_is_answered_otherwise(server: Server, known: bool) -> None:
    for operation in operations(server):
        _tried(server, operation, known)
    assert server.score(**row()).status_code == 200


def _tried(server: Server, operation: Any, known: bool) -> None:
    @settings(max_examples=EXAMPLES, phases=[Phase.explicit, Phase.generate], suppress_health_check=UNHURRIED, database=None)
    @given(case=operation.as_strategy())
    def sent(case: Any) -> None:
        if known and "use_case" in (case.path_parameters or {}):
            case.path_parameters["use_case"] = USE_CASE
        case.call_and_validate(checks=CHECKS, timeout=20)

    sent()
