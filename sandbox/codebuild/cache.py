"""The cache between the builds of a project: the paths of the buildspec, kept in one archive.

A project's LOCAL cache is a file beside the sandbox, its S3 cache an object that the build's role
reads and writes.
https://docs.aws.amazon.com/codebuild/latest/userguide/build-caching.html
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

from sandbox.codebuild import files

Note = Callable[[str], None]

# Containers of CodeBuild have this home; a build here has one of its own.
CONTAINER_HOME = "/root"


class Keeper(Protocol):
    """Where an archive is kept between builds."""

    def load(self) -> bytes | None: ...
    def save(self, archive: bytes) -> None: ...


class LocalKeeper:
    def __init__(self, file: Path) -> None:
        self._file = file

    def load(self) -> bytes | None:
        return self._file.read_bytes() if self._file.exists() else None

    def save(self, archive: bytes) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._file.with_suffix(".part")
        unfinished.write_bytes(archive)
        unfinished.replace(self._file)


class S3Keeper:
    def __init__(self, client: Any, location: str, project: str, key_id: str | None) -> None:
        self._client, self._key_id = client, key_id
        self._bucket, _, prefix = location.partition("/")
        self._key = "/".join(part for part in (prefix.strip("/"), project, "cache.tar") if part)

    def load(self) -> bytes | None:
        try:
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=self._key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        return body

    def save(self, archive: bytes) -> None:
        encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._key_id} if self._key_id else {}
        )
        self._client.put_object(Bucket=self._bucket, Key=self._key, Body=archive, **encryption)


def restore(keeper: Keeper, source: Path, home: Path, note: Note) -> None:
    """Put back what the last build kept; a cache that cannot be read is no failure."""
    try:
        archive = keeper.load()
    except ClientError as error:
        note(f"Unable to download cache: {error}")
        return
    if archive is None:
        note("Cache miss: no earlier build of this project kept one")
        return
    roots = {"source": source, "home": home}
    count = 0
    with tarfile.open(fileobj=io.BytesIO(archive)) as kept:
        for member in kept.getmembers():
            area, _, member.name = member.name.partition("/")
            kept.extract(member, roots[area], filter="tar")
            count += 1
    note(f"Cache hit: restored {count} file(s) that an earlier build kept")


def keep(keeper: Keeper, paths: Sequence[str], source: Path, home: Path, note: Note) -> None:
    """Archive the cache paths after a build; a cache that cannot be written is no failure."""
    chosen = _chosen(paths, {"source": source, "home": home}, note)
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, path in chosen.items():
            archive.add(path, name, recursive=False)
    try:
        keeper.save(written.getvalue())
    except ClientError as error:
        note(f"Unable to upload cache: {error}")
        return
    note(f"Cache uploaded: {len(chosen)} file(s)")


def _chosen(paths: Sequence[str], roots: Mapping[str, Path], note: Note) -> dict[str, Path]:
    chosen: dict[str, Path] = {}
    for pattern in paths:
        area, inside = "source", pattern
        if pattern.startswith((f"{CONTAINER_HOME}/", "~/", "$HOME/")):
            area, inside = "home", pattern.partition("/")[2]
            inside = inside.removeprefix("root/") if pattern.startswith("/") else inside
        elif pattern.startswith("/"):
            note(f"Cache path {pattern} is outside of the build and not kept")
            continue
        # A folder's name stands for all that is in it.
        for path in files.matching(roots[area], [inside, f"{inside}/**/*"]):
            chosen[f"{area}/{path.relative_to(roots[area]).as_posix()}"] = path
    return chosen
