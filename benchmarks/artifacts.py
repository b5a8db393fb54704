"""What is measured: the packages as `sam build` makes them, and the same without byte code.

The makefiles are the ones `sam build` runs, so its own run is not needed; a contract test holds
that both make the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
FUNCTIONS = {
    "notify": "NotifyFunction",
    "rollback": "RollbackFunction",
    "tagging_audit": "TaggingAuditFunction",
}
LAYERS = {
    "SharedLayer": tuple(FUNCTIONS),
    "NotifyLayer": ("notify",),
    "RollbackLayer": ("rollback",),
    "TaggingAuditLayer": ("tagging_audit",),
}
"""The layers, and the functions that have them."""

RUNTIME = PROJECT / ".venv/runtime"
_SDK = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six.py")


@dataclass(frozen=True, slots=True)
class Artifacts:
    """A folder of built packages, each under its logical id."""

    folder: Path

    def path(self, function: str) -> list[Path]:
        """Where Python finds a function's code, in Lambda's order."""
        layers = [
            self.folder / layer / "python" for layer, has in LAYERS.items() if function in has
        ]
        return [self.folder / FUNCTIONS[function], *layers, *self._more]

    @property
    def _more(self) -> list[Path]:
        vendored = self.folder / "vendored"
        return [vendored] if vendored.is_dir() else []


def build(folder: Path) -> Artifacts:
    """Run the makefiles. Raises CalledProcessError, with what they said on standard error."""
    for part in (*LAYERS, *FUNCTIONS.values()):
        make(part, folder / part)
    return Artifacts(folder)


def make(part: str, folder: Path, *settings: str, is_quiet: bool = False) -> None:
    """Build one package anew, with settings of its makefile. Raises CalledProcessError."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    makefile = "layers/Makefile" if part == "SharedLayer" else "functions/Makefile"
    subprocess.run(
        ["make", "--silent", "-f", makefile, f"build-{part}", *settings],
        cwd=PROJECT,
        env={**os.environ, "ARTIFACTS_DIR": str(folder)},
        stderr=subprocess.DEVNULL if is_quiet else None,
        check=True,
    )


def with_own_sdk(built: Artifacts, folder: Path) -> Artifacts | None:
    """The same with a trimmed boto3 in the layer; None where its packages cannot be fetched."""
    made = copied(built, folder)
    try:
        make("SharedLayer", made.folder / "SharedLayer", "sdk=vendored", is_quiet=True)
    except subprocess.CalledProcessError:
        return None
    return made


def copied(built: Artifacts, folder: Path, *, with_byte_code: bool = True) -> Artifacts:
    """A copy that may be changed; without byte code it is what plain `sam build` ships."""
    shutil.rmtree(folder, ignore_errors=True)
    ignored = () if with_byte_code else ("__pycache__",)
    shutil.copytree(built.folder, folder, ignore=shutil.ignore_patterns(*ignored))
    return Artifacts(folder)


def with_sdk(artifacts: Artifacts) -> Artifacts:
    """Put boto3 as plain source beside the packages, as a requirements.txt that names it does."""
    installed = next((RUNTIME / "lib").glob("python3.*")) / "site-packages"
    target = artifacts.folder / "vendored"
    target.mkdir()
    for name in _SDK:
        source = installed / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target / name, ignore=ignored)
        else:
            shutil.copy(source, target / name)
    return artifacts


def trusting(artifacts: Artifacts, authority: Path) -> Artifacts:
    """Let the layer trust a loopback endpoint as if one of Amazon's roots vouched for it."""
    roots = artifacts.folder / "SharedLayer/python/trellis/amazon_roots.pem"
    roots.write_text(roots.read_text() + "\n" + authority.read_text())
    return artifacts


@dataclass(frozen=True, slots=True)
class Zip:
    """A package as SAM uploads it."""

    bytes: int
    sha256: str


def zipped(folder: Path) -> Zip:
    """Zip a package with SAM's own zipper."""
    from samcli.lib.package.utils import make_zip_with_lambda_permissions, zip_folder

    with zip_folder(str(folder), zip_method=make_zip_with_lambda_permissions) as (name, _):
        content = Path(name).read_bytes()
    return Zip(len(content), hashlib.sha256(content).hexdigest())
