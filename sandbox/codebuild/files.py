"""Files by the patterns of a buildspec, and zips of them. Pure but for the file system."""

from __future__ import annotations

import glob
import io
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path


def matching(root: Path, patterns: Sequence[str]) -> list[Path]:
    """The files below a folder that a pattern names: `*` within a folder, `**` across folders.

    Hidden files count, as they do on CodeBuild: `.ebextensions` travels with `**/*`.
    """
    wanted = [_expression(pattern) for pattern in patterns]
    return [
        path
        for path in _files(root)
        if any(one.match(path.relative_to(root).as_posix()) for one in wanted)
    ]


def _expression(pattern: str) -> re.Pattern[str]:
    plain = os.path.normpath(pattern)
    return re.compile(glob.translate(plain, recursive=True, include_hidden=True))


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            yield Path(folder, name)


def zipped(files: Sequence[tuple[Path, str]]) -> bytes:
    """A zip of files under the names given, with their permissions."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for path, name in files:
            archive.write(path, name)
    return written.getvalue()


def unzip(body: bytes, into: Path) -> None:
    """Unpack a zip with its permissions; raises zipfile.BadZipFile, ValueError for a way out."""
    root = into.resolve()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        for entry in archive.infolist():
            target = (root / entry.filename).resolve()
            if not target.is_relative_to(root):
                raise ValueError(f"the zip holds a path that leads out of it: {entry.filename}")
            archive.extract(entry, root)
            mode = (entry.external_attr >> 16) & 0o777
            if mode and not entry.is_dir():
                target.chmod(mode | 0o400)
