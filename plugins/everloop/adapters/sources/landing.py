"""The landing place: files that others drop, in a folder or in S3."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol, cast

from everloop.errors import SourceError

IN_MEMORY = 64 * 1024 * 1024
"""How large an object of S3 may be to be read without a temporary file."""


class Landing(Protocol):
    """Whole files by name, as the source side may use it too: a file is there entirely or not at all."""

    def names(self, prefix: str) -> list[str]:
        """The names that start with `prefix`, sorted."""

    def written(self, prefix: str) -> dict[str, datetime]:
        """When each of the names that start with `prefix` was last written."""

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""

    def open(self, name: str) -> AbstractContextManager[IO[bytes] | None]:
        """The content, to be read from anywhere in it, whatever its size; `None` when absent."""

    def write(self, name: str, content: bytes) -> None:
        """Put the content in place, at once."""

    def writing(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """`write` of any size: what the context takes is in place when it ends; an error within leaves all as it was."""


def open_landing(uri: str, s3_endpoint: str | None = None) -> Landing:
    """The landing place at `uri`: a folder, or `s3://bucket/prefix`."""
    if uri.startswith("s3://"):
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        return S3Landing(bucket, prefix.strip("/"), s3_endpoint)
    return FolderLanding(Path(uri))


class FolderLanding:
    """A folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self, prefix: str) -> list[str]:
        """See `Landing.names`."""
        return sorted(name for name, _ in self._files(prefix))

    def written(self, prefix: str) -> dict[str, datetime]:
        """See `Landing.written`."""
        return {name: datetime.fromtimestamp(file.stat().st_mtime, UTC) for name, file in sorted(self._files(prefix))}

    def has(self, name: str) -> bool:
        """See `Landing.has`."""
        return (self._folder / name).is_file()

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes] | None]:
        """See `Landing.open`."""
        if not self.has(name):
            yield None
            return
        with (self._folder / name).open("rb") as file:
            yield file

    def write(self, name: str, content: bytes) -> None:
        """See `Landing.write`."""
        with self.writing(name) as file:
            file.write(content)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """See `Landing.writing`: written beside the name, then renamed."""
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        passing = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with passing.open("wb") as file:
                yield file
                # Down to the disk before the name says that it is there.
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            passing.unlink(missing_ok=True)
            raise
        os.replace(passing, target)  # noqa: PTH105, the same call under either name

    def _files(self, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Names and files that start with `prefix`. Every day has a file, and a `Path` for each would cost fifty times more."""
        folders = [prefix.rpartition("/")[0]]
        while folders:
            folder = folders.pop()
            with suppress(FileNotFoundError), os.scandir(self._folder / folder) as found:
                for entry in found:
                    name = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_dir():
                        folders.append(name)
                    elif name.startswith(prefix):
                        yield name, entry


class S3Landing:
    """A bucket's prefix. Credentials come from the environment, as boto3 reads them."""

    def __init__(self, bucket: str, prefix: str, endpoint: str | None) -> None:
        import boto3

        self._client: Any = boto3.client("s3", endpoint_url=endpoint)
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    def names(self, prefix: str) -> list[str]:
        """See `Landing.names`."""
        return sorted(self.written(prefix))

    def written(self, prefix: str) -> dict[str, datetime]:
        """See `Landing.written`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
        with _reaching(self._bucket):
            items = [item for page in pages for item in page.get("Contents", [])]
        return {item["Key"].removeprefix(self._prefix): item["LastModified"].astimezone(UTC) for item in items}

    def has(self, name: str) -> bool:
        """See `Landing.has`."""
        from botocore.exceptions import ClientError

        with _reaching(self._bucket):
            try:
                self._client.head_object(Bucket=self._bucket, Key=self._prefix + name)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return False
                raise
        return True

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes] | None]:
        """See `Landing.open`. An object is fetched whole first, beyond 64 MB to disk: a connection that breaks costs no row."""
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
            yield cast("IO[bytes]", file) if self._fetch(name, file) else None

    def _fetch(self, name: str, file: Any) -> bool:
        with _reaching(self._bucket):
            try:
                shutil.copyfileobj(self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"], file)
            except self._client.exceptions.NoSuchKey:
                return False
        file.seek(0)
        return True

    def write(self, name: str, content: bytes) -> None:
        """See `Landing.write`: a put is atomic."""
        self._put(name, content)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """See `Landing.writing`: one put once all is there, beyond 64 MB from disk."""
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
            yield cast("IO[bytes]", file)
            file.seek(0)
            self._put(name, file)

    def _put(self, name: str, content: Any) -> None:
        with _reaching(self._bucket):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=content)


@contextmanager
def _reaching(bucket: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise SourceError(
            f"Bucket {bucket} does not answer as it should: {error}. Check EVERLOOP_LANDING or EVERLOOP_OUTBOX, "
            "EVERLOOP_S3_ENDPOINT and the AWS_* credentials; the task may simply run again"
        ) from error
