"""Print one hash over everything that a function's layers are made of.

`python functions/layers_digest.py <file or folder>…`, run from the project's root by
functions/Makefile.
"""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path


def layers_digest(parts: Iterable[str]) -> str:
    """SHA-256 over the names and contents of files and of folders' files, byte code left out."""
    digest = hashlib.sha256()
    for path in sorted({file for part in parts for file in _files(Path(part))}):
        content = path.read_bytes()
        digest.update(f"{path.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _files(part: Path) -> list[Path]:
    if not part.is_dir():
        return [part]
    return [one for one in part.rglob("*") if one.is_file() and one.suffix != ".pyc"]


if __name__ == "__main__":
    sys.stdout.write(layers_digest(sys.argv[1:]) + "\n")
