"""The request-time functions of a release: the file that made its history, in a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from everloop.errors import ReleaseError
from everloop.release import REQUEST_FUNCTIONS, Bundle, RequestFunctionPlan
from everloop.serve.block import Block, plain

Columns = Mapping[str, Sequence[Any]]


class RequestFunctions:
    """The functions of a release's `request_functions.py`."""

    def __init__(self, bundle: Bundle) -> None:
        self._calls: list[tuple[RequestFunctionPlan, Callable[[Columns], Columns]]] = []
        plans = bundle.manifest.plan.functions
        module = ModuleType(f"request_functions_{bundle.id}")
        if plans:
            # The bundle's bytes were verified against the SHA-256 that the ledger's release id pins.
            exec(compile(bundle.files[REQUEST_FUNCTIONS], f"{bundle.id}/{REQUEST_FUNCTIONS}", "exec"), module.__dict__)  # noqa: S102
        for plan in plans:
            if not callable(function := getattr(module, plan.function, None)):
                raise ReleaseError(f"Release {bundle.id}: {REQUEST_FUNCTIONS} has no function {plan.function}: publish it again")
            self._calls.append((plan, function))

    def of(self, block: Block) -> dict[str, list[Any]]:
        """By `<function's view>__<feature>` a value a row. Raises whatever the release's code raises."""
        found = {}
        for plan, function in self._calls:
            answer = function({name: plain(block.request[name]) for name in plan.inputs})
            for feature in plan.features:
                found[f"{plan.name}__{feature}"] = values = list(answer[feature])
                if len(values) != len(block):
                    raise ReleaseError(
                        f"Request function {plan.function} gave {len(values)} values of {feature} for {len(block)} rows: "
                        "one a row is needed; mend it and release again"
                    )
        return found
