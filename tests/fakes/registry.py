"""A registry in memory: bundles by id, aliases, tags; it may be told to be down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from everloop.decide.release.state import ReleaseState
from everloop.errors import ReleaseError, SourceError
from everloop.ports import ModelVersion
from everloop.release import Bundle


class InMemoryRegistry:
    """`ports.Registry` over dicts. Given bundles are stored and recorded. While `down`, all but the bytes does not answer."""

    def __init__(self, *bundles: Bundle) -> None:
        self._bundles = {bundle.id: bundle for bundle in bundles}
        self._versions: dict[str, ModelVersion] = {}
        self.aliases: dict[str, str] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.down = False
        for bundle in bundles:
            self.record(bundle, {}, {}, "")

    def record(self, bundle: Bundle, report: Mapping[str, Any], plots: Mapping[str, bytes], card: str) -> ModelVersion:
        self._answer()
        number = str(len(self._versions) + 1)
        return self._versions.setdefault(bundle.id, ModelVersion(version=number, run_id=f"run-{number}", url=f"/models/{number}"))

    def put(self, bundle: Bundle) -> str:
        bundle.verify()
        self._bundles[bundle.id] = bundle
        return bundle.id

    def get(self, release: str) -> Bundle:
        if release not in self._bundles:
            raise ReleaseError(f"Release {release} is not in the store: register it again, or name another release")
        self._bundles[release].verify()
        return self._bundles[release]

    def mirror(self, use_case: str, state: ReleaseState) -> None:
        self._answer()
        named = {"champion": state.champion, "challenger": state.challenger}
        self.aliases = {alias: release for alias, release in named.items() if release}

    def annotate(self, release: str, use_case: str, tags: Mapping[str, str]) -> None:
        self._answer()
        if release not in self._versions:
            raise ReleaseError(f"The registry has no version of release {release}: run the register step first")
        self.tags.setdefault(release, {}).update(tags)

    def _answer(self) -> None:
        if self.down:
            raise SourceError("The registry does not answer: start it")
