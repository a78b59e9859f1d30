"""Request-time functions as source text that stands alone: the scorer runs it without the feature repository."""

from __future__ import annotations

import ast
import builtins
import dis
from collections.abc import Iterable, Iterator
from types import CodeType

from everloop.errors import ConfigurationError

HEADER = (
    '"""Request-time features, as the feature repository declared them at release."""\n\nfrom __future__ import annotations\n'
)


def source_text(module: str, names: Iterable[str], path: str) -> str:
    """The functions `names` of a module's text, decorators taken off; `ConfigurationError` unless each stands alone."""
    wanted = set(names)
    found = [node for node in ast.parse(module).body if isinstance(node, ast.FunctionDef) and node.name in wanted]
    if missing := sorted(wanted - {node.name for node in found}):
        raise ConfigurationError(
            f"{path} has no function {missing} at its top level: define the on-demand views' functions there"
        )
    lines = module.splitlines()
    text = "\n\n".join([HEADER, *("\n".join(lines[node.lineno - 1 : node.end_lineno]) + "\n" for node in found)])
    _stand_alone(text, wanted, path)
    return text


def _stand_alone(text: str, names: set[str], path: str) -> None:
    for code in compile(text, path, "exec").co_consts:
        if isinstance(code, CodeType) and (strange := sorted(set(_globals(code)) - names - set(dir(builtins)))):
            raise ConfigurationError(
                f'{path}: function "{code.co_name}" uses {strange}, which the scorer does not have: import or define it inside'
            )


def _globals(code: CodeType) -> Iterator[str]:
    """The global names that a function reads, inner functions included."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals(constant)
