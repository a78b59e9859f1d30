"""A release: one immutable, content-addressed bundle that serves, and reverts, whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from everloop.decide.policy import ServicePolicy
from everloop.errors import ReleaseError

MANIFEST = "manifest.json"
MODEL = "model.ubj"
REFERENCE = "reference.json"
REQUEST_FUNCTIONS = "request_functions.py"
RECALIBRATES, CALIBRATED_THROUGH = "recalibrates", "calibrated_through"
"""Words of the lineage: `Manifest.recalibrates`, `Manifest.calibrated_through`."""


@dataclass(frozen=True, kw_only=True)
class ViewPlan:
    """One feature view as the online store holds it.

    `table`: schema-qualified online table. `join_keys`, `features`: column name to type (`string`, `int`, `float`, `bool`,
    `timestamp`). `ttl_seconds`: `None` for ever; both ends of `[as_of - ttl, as_of]` count as fresh.
    """

    name: str
    table: str
    join_keys: Mapping[str, str]
    features: Mapping[str, str]
    ttl_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class RequestFunctionPlan:
    """A request-time feature view: `function` of `request_functions.py`, called with `{field: [values]}`, returns the same."""

    name: str
    function: str
    inputs: Mapping[str, str]
    features: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class PushPlan:
    """A view that may be pushed to: raw rows of lake table `source` go through `sql`, the one that makes its history."""

    view: str
    source: str
    sql: str
    columns: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class FeaturePlan:
    """How a request becomes a feature vector, without Feast in the process.

    `request`: the fields of a request, name to type. Feature columns are named `<view>__<feature>`.
    """

    service: str
    request: Mapping[str, str]
    views: tuple[ViewPlan, ...]
    functions: tuple[RequestFunctionPlan, ...] = ()
    pushes: tuple[PushPlan, ...] = ()

    @property
    def reads(self) -> dict[str, tuple[Any, ...]]:
        """By view, all that decides whether a request finds a fresh row of it: two plans with the same entry find the same."""
        return {view.name: (view.table, *sorted(view.join_keys.items()), view.ttl_seconds) for view in self.views}


@dataclass(frozen=True, kw_only=True)
class Calibrator:
    """Isotonic calibration as its breakpoints: probability = linear interpolation of `y` over `x`, clipped at the ends."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a release is made of; the bytes of its files are pinned by `files` (name to SHA-256).

    `columns`: the model's inputs in order. `categories`: for the categorical ones, the known values; a value's code is its
    position, anything else is NaN. `snapshot`: lake table to version. `trained_through`: the latest label time learnt from.
    `suites`: file names under `suites/`. `metrics`: on the held-out rows. `lineage`: git commit, lock hash, versions, device.
    """

    use_case: str
    columns: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    calibrator: Calibrator
    threshold: float
    plan: FeaturePlan
    entity: tuple[str, ...]
    service: ServicePolicy
    request_suite: str
    shadow_share: float
    snapshot: Mapping[str, int]
    trained_from: datetime
    trained_through: datetime
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    lineage: Mapping[str, str]
    files: Mapping[str, str]

    @property
    def recalibrates(self) -> str | None:
        """The release whose booster this one has, with a newer calibrator; `None` for one that was trained."""
        return self.lineage.get(RECALIBRATES)

    @property
    def calibrated_through(self) -> datetime:
        """The latest label time that the calibrator knows of."""
        told = self.lineage.get(CALIBRATED_THROUGH)
        return self.trained_through if told is None else datetime.fromisoformat(told)


@dataclass(frozen=True)
class Bundle:
    """A manifest and the bytes of its files."""

    manifest: Manifest
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def id(self) -> str:
        """The release's name: the first 16 hex digits of the SHA-256 of its manifest, which pins every file."""
        return release_id(manifest_bytes(self.manifest))

    def verify(self) -> None:
        """Raise `ReleaseError` unless every file is present and has the SHA-256 that the manifest pins."""
        for name, wanted in self.manifest.files.items():
            if name not in self.files:
                raise ReleaseError(f"Release {self.id}: file {name} is missing: publish the release again")
            if (found := sha256(self.files[name])) != wanted:
                raise ReleaseError(
                    f"Release {self.id}: file {name} has SHA-256 {found[:16]}…, its manifest says {wanted[:16]}…: "
                    "the bytes were changed or cut; publish the release again"
                )


def sha256(content: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(content).hexdigest()


def manifest_bytes(manifest: Manifest) -> bytes:
    """Canonical JSON: keys sorted, so equal manifests have equal bytes."""
    return msgspec.json.encode(manifest, order="sorted")


def parse_manifest(content: bytes) -> Manifest:
    """The inverse of `manifest_bytes`; `ReleaseError` says what does not fit."""
    try:
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise ReleaseError(f"{MANIFEST} is not a release manifest: {error}") from error


def release_id(manifest: bytes) -> str:
    """The first 16 hex digits of the manifest's SHA-256."""
    return sha256(manifest)[:16]
