"""The bytes of all releases: one folder or S3 prefix a release, written once, verified whenever read."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from everloop.errors import ReleaseError
from everloop.release import MANIFEST, Bundle, manifest_bytes, parse_manifest, release_id

_ID = re.compile("[0-9a-f]{16}")


class Place(Protocol):
    """Where the files of releases lie: release id and file name to bytes."""

    def write(self, release: str, files: Iterable[tuple[str, bytes]]) -> None:
        """Keep all files; the last one makes the release visible. What is there already may be written again."""

    def read(self, release: str, name: str) -> bytes | None:
        """The bytes of one file, `None` when absent."""


class ReleaseFiles:
    """Releases under `uri`: a folder or `s3://bucket/prefix`. A release's name is its content's hash: nothing is ever replaced.

    Imports neither MLflow nor XGBoost: the scoring service loads releases with this alone.
    """

    def __init__(self, uri: str, s3_endpoint: str | None = None) -> None:
        self._uri = uri
        self._place: Place = _Bucket(uri, s3_endpoint) if uri.startswith("s3://") else _Folder(Path(uri.removeprefix("file://")))

    def put(self, bundle: Bundle) -> str:
        """Keep a verified bundle and return its id; keeping it twice changes nothing, and mends a damaged copy."""
        bundle.verify()
        if not self._intact(bundle.id):
            named = [(name, bundle.files[name]) for name in sorted(bundle.manifest.files)]
            # The manifest comes last: a release without one does not exist yet.
            self._place.write(bundle.id, [*named, (MANIFEST, manifest_bytes(bundle.manifest))])
        return bundle.id

    def get(self, release: str) -> Bundle:
        """The bundle called `release`; `ReleaseError` when it is absent or not the bytes that its name and manifest pin."""
        if not _ID.fullmatch(release):
            raise ReleaseError(f'"{release}" is no release: a name is the 16 hex digits that `register` returned')
        content = self._place.read(release, MANIFEST)
        if content is None:
            raise ReleaseError(f"Release {release} is not under {self._uri}: register it again, or name another release")
        if (found := release_id(content)) != release:
            raise ReleaseError(
                f"Release {release}: its manifest hashes to {found}, so it was changed: register the release again"
            )
        manifest = parse_manifest(content)
        read = {name: self._place.read(release, name) for name in manifest.files}
        bundle = Bundle(manifest, {name: file for name, file in read.items() if file is not None})
        bundle.verify()
        return bundle

    def _intact(self, release: str) -> bool:
        try:
            self.get(release)
        except ReleaseError:
            return False
        return True


class _Folder:
    """Releases in a local folder. A release appears by one rename; a damaged one is replaced as a whole."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, release: str, files: Iterable[tuple[str, bytes]]) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{release}-", dir=self._root))
        try:
            for name, content in files:
                _write_through(partial / name, content)
            partial.chmod(0o755)
            self._settle(partial, self._root / release)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def read(self, release: str, name: str) -> bytes | None:
        try:
            return (self._root / release / name).read_bytes()
        except FileNotFoundError:
            return None

    def _settle(self, partial: Path, final: Path) -> None:
        if not final.exists():
            try:
                partial.rename(final)
            except OSError:
                if not final.exists():
                    raise
            else:
                return
        # Same name, same content: replacing file by file only mends, and never takes a whole file away from a reader.
        for source in sorted(path for path in partial.rglob("*") if path.is_file()):
            target = final / source.relative_to(partial)
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)


def _write_through(path: Path, content: bytes) -> None:
    """Write a file down to the disk, so that the rename never outruns its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


class _Bucket:
    """Releases under an S3 prefix. Objects appear whole, the manifest last."""

    def __init__(self, uri: str, endpoint: str | None) -> None:
        self._bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        self._prefix = prefix.rstrip("/")
        self._endpoint = endpoint

    def write(self, release: str, files: Iterable[tuple[str, bytes]]) -> None:
        client = self._client()
        for name, content in files:
            client.put_object(Bucket=self._bucket, Key=self._key(release, name), Body=content)

    def read(self, release: str, name: str) -> bytes | None:
        client = self._client()
        try:
            content: bytes = client.get_object(Bucket=self._bucket, Key=self._key(release, name))["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
        return content

    def _key(self, release: str, name: str) -> str:
        return "/".join(part for part in (self._prefix, release, name) if part)

    def _client(self) -> Any:
        import boto3

        return boto3.client("s3", endpoint_url=self._endpoint)
