"""Print one hash over everything the shared layer is made of.

Run from the project's root by functions/Makefile.
"""

import hashlib
import sys
from pathlib import Path


def layer_digest(root: Path) -> str:
    """SHA-256 over the names and contents of the layer's sources and its pinned packages."""
    sources = sorted(
        path
        for path in (root / "layers/shared").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    )
    digest = hashlib.sha256()
    pins = [root / "requirements" / name for name in ("layer.txt", "sdk.txt")]
    for path in [*pins, root / "layers/Makefile", *sources]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


if __name__ == "__main__":
    sys.stdout.write(layer_digest(Path.cwd()) + "\n")
