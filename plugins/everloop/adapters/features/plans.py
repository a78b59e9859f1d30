"""What Feast's objects say, as the plain values that a release carries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from feast.types import Bool, Float32, Float64, Int32, Int64, String, UnixTimestamp

from everloop.errors import ConfigurationError
from everloop.release import ViewPlan

_KINDS = {
    String: "string",
    Int32: "int",
    Int64: "int",
    Float32: "float",
    Float64: "float",
    Bool: "bool",
    UnixTimestamp: "timestamp",
}

ONLINE_SCHEMA = "online"


def kinds(owner: str, fields: Iterable[Any]) -> dict[str, str]:
    """Feast fields as name to type; `ConfigurationError` for a type that has no column type of ours."""
    found = {field.name: _KINDS.get(field.dtype) for field in fields}
    if unknown := [f"{field.name}: {field.dtype}" for field in fields if found[field.name] is None]:
        raise ConfigurationError(f'"{owner}" has fields of types that no store here holds: {unknown}; use {_names()}')
    return {name: kind for name, kind in found.items() if kind is not None}


def view_plan(view: Any, project: str, features: Iterable[Any] | None = None) -> ViewPlan:
    """A Feast feature view as its online table; `features` narrows it to those that a service asks for."""
    join_keys = kinds(view.name, view.entity_columns)
    if not join_keys or any(key.startswith("__") for key in join_keys):
        raise ConfigurationError(f'Feature view "{view.name}" has no entity: give it one, for instance entities=[carrier]')
    return ViewPlan(
        name=view.name,
        table=f"{ONLINE_SCHEMA}.{project}_{view.name}",
        join_keys=join_keys,
        features=kinds(view.name, view.features if features is None else features),
        ttl_seconds=view.ttl.total_seconds() if view.ttl else None,
    )


def _names() -> str:
    return ", ".join(str(kind) for kind in _KINDS)
