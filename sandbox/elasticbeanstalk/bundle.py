"""Source bundles: reading them from S3, unpacking them, and the command that they want run."""

from __future__ import annotations

import io
import shutil
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

SAMPLE = Path(__file__).with_name("sample")
SAMPLE_LABEL = "Sample Application"
"""The version label of an environment that was launched without a version."""


class BundleError(Exception):
    """When a bundle cannot be read, unpacked or run; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Release:
    """A version as an instance takes it: its label, and what lays it out in an empty folder.

    `lay_out` is given the id of the instance, which downloads with the rights of its own profile.
    """

    version_label: str
    lay_out: Callable[[str, Path], None]


def sample_release() -> Release:
    """The sandbox's stand-in for AWS's sample application."""

    def lay_out(_: str, folder: Path) -> None:
        shutil.copytree(
            SAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )

    return Release(SAMPLE_LABEL, lay_out)


def unreadable(bucket: str, key: str, error: ClientError) -> str:
    """Why Beanstalk could not read a bundle, in its words.

    https://github.com/hsingh/ansible-elastic-beanstalk/issues/40 ("Reason: Not Found"),
    https://github.com/tomdale/ember-cli-deploy-elastic-beanstalk/issues/5
    """
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = error.response.get("Error", {}).get("Message", str(error))
    return f"Unable to download from S3 location (Bucket: {bucket}  Key: {key}). Reason: {reason}"


def read(client: Any, bucket: str, key: str) -> bytes:
    """A bundle's bytes; raises BundleError in Beanstalk's words."""
    try:
        body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        raise BundleError(unreadable(bucket, key, error)) from error
    return body


def unpack(bundle: bytes, folder: Path) -> None:
    """Unpack a bundle, with the permissions that its files had; raises BundleError."""
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            for member in archive.infolist():
                path = Path(archive.extract(member, folder))
                mode = stat.S_IMODE(member.external_attr >> 16)
                if mode and not member.is_dir():
                    path.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise BundleError(
            f"The source bundle is not a zip archive that unpacks: {error}"
        ) from error


def check(bundle: bytes) -> None:
    """Raise BundleError unless a bundle is a sound zip archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise BundleError(f"The source bundle is not a zip archive: {error}") from error
    if broken is not None:
        raise BundleError(f"The source bundle's file {broken} is damaged")


def web_command(folder: Path) -> str:
    """The command of the Procfile's `web` process; raises BundleError when there is none.

    https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/python-configuration-procfile.html
    """
    procfile = folder / "Procfile"
    if not procfile.is_file():
        raise BundleError("The source bundle has no Procfile")
    for line in procfile.read_text(errors="replace").splitlines():
        name, separator, command = line.partition(":")
        if separator and name.strip() == "web" and command.strip():
            return command.strip()
    raise BundleError("The source bundle's Procfile names no web process")


def unrun(folder: Path) -> list[str]:
    """What of a bundle the sandbox leaves out, for the log of the instance."""
    found = []
    procfile = (folder / "Procfile").read_text(errors="replace")
    for line in procfile.splitlines():
        name, separator, _ = line.partition(":")
        if separator and name.strip() not in ("", "web") and not line.startswith("#"):
            found.append(f"Procfile process {name.strip()}")
    for left_out in (".ebextensions", ".platform", "Buildfile", "requirements.txt"):
        if (folder / left_out).exists():
            found.append(left_out)
    return found
