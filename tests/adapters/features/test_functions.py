"""Request-time functions as text that stands alone."""

from __future__ import annotations

import pytest

from everloop.adapters.features.functions import source_text
from everloop.errors import ConfigurationError

MODULE = '''
from datetime import UTC
from feast import something

LIMIT = 3


@something(mode="python")
def double(inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Twice."""
    import math

    # Kept: why.
    return {"twice": [math.floor(2 * value) for value in inputs["value"]]}


def limited(inputs):
    return {"value": [min(LIMIT, value) for value in inputs["value"]]}
'''


def test_the_function_runs_without_its_module() -> None:
    text = source_text(MODULE, ["double"], "demo.py")
    exec(text, namespace := {})
    assert namespace["double"]({"value": [1.5, 2.0]}) == {"twice": [3, 4]}
    assert "# Kept: why." in text
    assert "@something" not in text


def test_a_function_that_needs_its_module_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"demo.py.*'LIMIT'.*import or define it inside"):
        source_text(MODULE, ["limited"], "demo.py")


def test_an_unknown_function_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no function"):
        source_text(MODULE, ["triple"], "demo.py")


def test_no_functions_give_an_empty_module() -> None:
    exec(source_text(MODULE, [], "demo.py"), {})
