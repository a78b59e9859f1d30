"""The feature plane: Feast in front, Delta and PostgreSQL behind. Feast is imported only when `FeastFeatures` works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from everloop.adapters.features.feast_features import FeastFeatures

__all__ = ["FeastFeatures"]


def __getattr__(name: str) -> Any:
    """Import `FeastFeatures` on first use, so that the scorer can import `stores` with nothing heavy behind it."""
    if name == "FeastFeatures":
        from everloop.adapters.features.feast_features import FeastFeatures

        return FeastFeatures
    raise AttributeError(f"module {__name__} has no attribute {name}")
