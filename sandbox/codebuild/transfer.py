"""What a build fetches before its commands and leaves behind after them, through its role."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sandbox.codebuild import buildspec, files
from sandbox.codebuild.build import Build, Output, PhaseFailedError
from sandbox.codebuild.role import BuildRole


@dataclass(frozen=True, slots=True)
class Location:
    bucket: str
    key: str
    version: str | None = None


def download(build: Build, role: BuildRole, into: Path) -> dict[str, Path]:
    """Unpack the primary source into `into` and each secondary one beside it, by identifier."""
    source = build.settings["source"]
    location = _source(source, build.source_version)
    if location is not None:
        _fetch(role, location, into, build.source_version)
    versions = {
        version["sourceIdentifier"]: version["sourceVersion"]
        for version in build.settings.get("secondarySourceVersions", [])
    }
    found: dict[str, Path] = {}
    for secondary in build.settings.get("secondarySources", []):
        identifier = secondary["sourceIdentifier"]
        target = into.with_name(f"{into.name}-{identifier}")
        target.mkdir()
        where = _source(secondary, versions.get(identifier))
        if where is not None:
            _fetch(role, where, target, versions.get(identifier))
        found[identifier] = target
    return found


def _source(source: Mapping[str, Any], version: str | None) -> Location | None:
    match source["type"]:
        case "NO_SOURCE":
            return None
        case "CODEPIPELINE":
            bucket, _, key = (version or "").partition(":::")[2].partition("/")
            return Location(bucket, key)
        case "S3":
            bucket, _, key = source["location"].removeprefix("arn:aws:s3:::").partition("/")
            return Location(bucket, key, version)
    raise PhaseFailedError(
        "CLIENT_ERROR", f"The sandbox does not model sources of type {source['type']}"
    )


def _fetch(role: BuildRole, location: Location, into: Path, version: str | None) -> None:
    pinned = {"VersionId": location.version} if location.version else {}
    try:
        found = role.client("s3").get_object(Bucket=location.bucket, Key=location.key, **pinned)
        files.unzip(found["Body"].read(), into)
    except ClientError as error:
        raise PhaseFailedError(
            "CLIENT_ERROR",
            f"{_worded(error)} for primary source and source version {version or '(newest)'}",
        ) from error
    except (zipfile.BadZipFile, ValueError) as error:
        raise PhaseFailedError(
            "CLIENT_ERROR",
            f"error while unzipping {location.bucket}/{location.key}: {error}",
        ) from error


def variables(
    spec: buildspec.Buildspec, declared: Iterable[Mapping[str, str]], role: BuildRole
) -> dict[str, str]:
    """The custom variables: buildspec first, then the project's and the start's over them.

    https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html
    """
    plain = dict(spec.variables)
    parameters, secrets = dict(spec.parameters), dict(spec.secrets)
    for variable in declared:
        name, kind = variable["name"], variable.get("type", "PLAINTEXT")
        for kept in (plain, parameters, secrets):
            kept.pop(name, None)
        {"PARAMETER_STORE": parameters, "SECRETS_MANAGER": secrets}.get(kind, plain)[name] = (
            variable["value"]
        )
    if parameters:
        plain |= _parameters(parameters, role)
    if secrets:
        plain |= _secrets(secrets, role)
    return plain


def _parameters(wanted: Mapping[str, str], role: BuildRole) -> dict[str, str]:
    names = sorted(set(wanted.values()))
    values: dict[str, str] = {}
    client = role.client("ssm")
    try:
        for begin in range(0, len(names), 10):
            found = client.get_parameters(Names=names[begin : begin + 10], WithDecryption=True)
            values |= {parameter["Name"]: parameter["Value"] for parameter in found["Parameters"]}
    except ClientError as error:
        raise PhaseFailedError("Decrypted Variables Error", _worded(error)) from error
    missing = [name for name in names if name not in values]
    if missing:
        raise PhaseFailedError(
            "Decrypted Variables Error", f"parameter does not exist: {missing[0]}"
        )
    return {name: values[parameter] for name, parameter in wanted.items()}


def _secrets(wanted: Mapping[str, str], role: BuildRole) -> dict[str, str]:
    """Each `secret-id[:json-key[:version-stage[:version-id]]]`."""
    client = role.client("secretsmanager")
    found: dict[str, str] = {}
    for name, reference in wanted.items():
        secret, key, stage, version = _secret_parts(reference)
        choice = {"VersionStage": stage} if stage else {}
        choice |= {"VersionId": version} if version else {}
        try:
            text = client.get_secret_value(SecretId=secret, **choice)["SecretString"]
            found[name] = str(json.loads(text)[key]) if key else text
        except ClientError as error:
            raise PhaseFailedError("Secrets Manager Error", _worded(error)) from error
        except (KeyError, ValueError) as error:
            raise PhaseFailedError(
                "Secrets Manager Error", f"The secret {secret} holds no JSON key {key}"
            ) from error
    return found


def _secret_parts(reference: str) -> tuple[str, str, str, str]:
    parts = reference.split(":")
    # An ARN of a secret has seven parts of its own.
    size = 7 if reference.startswith("arn:") else 1
    key, stage, version = [*parts[size:], "", "", ""][:3]
    return ":".join(parts[:size]), key, stage, version


def upload(
    build: Build,
    role: BuildRole,
    artifacts: buildspec.Artifacts,
    source: Path,
    name: str | None,
    note: Any,
) -> Output | None:
    """Collect a build's output and put it where the project sends it.

    `name` is the buildspec's artifact name as the shell read it; `note` writes a line to the log.
    """
    target = build.settings.get("artifacts") or {"type": "NO_ARTIFACTS"}
    if target["type"] == "NO_ARTIFACTS" or not target.get("location"):
        return None
    chosen = collect(artifacts, source, note)
    client = role.client("s3")
    encryption = (
        {}
        if target.get("encryptionDisabled") or not build.settings.get("encryptionKey")
        else {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": build.settings["encryptionKey"],
        }
    )
    bucket, key = target["location"], _key(build, target, name)
    try:
        if target["type"] == "S3" and target.get("packaging", "NONE") == "NONE":
            for path, member in chosen:
                client.put_object(
                    Bucket=bucket, Key=f"{key}/{member}", Body=path.read_bytes(), **encryption
                )
            return Output(f"arn:{build.scope.partition}:s3:::{bucket}/{key}")
        body = files.zipped(chosen)
        client.put_object(Bucket=bucket, Key=key, Body=body, **encryption)
    except ClientError as error:
        raise PhaseFailedError("CLIENT_ERROR", _worded(error)) from error
    return Output(
        f"arn:{build.scope.partition}:s3:::{bucket}/{key}",
        hashlib.md5(body, usedforsecurity=False).hexdigest(),
        hashlib.sha256(body).hexdigest(),
    )


def _key(build: Build, target: Mapping[str, Any], name: str | None) -> str:
    """https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ProjectArtifacts.html"""
    own = target.get("name") or build.project
    if target.get("overrideArtifactName") and name:
        own = name
    by_build = build.uuid if target.get("namespaceType") == "BUILD_ID" else ""
    return "/".join(p.strip("/") for p in (target.get("path", ""), by_build, own) if p.strip("/"))


def collect(artifacts: buildspec.Artifacts, source: Path, note: Any) -> Sequence[tuple[Path, str]]:
    """The files of an artifact and their names in it."""
    note(f"Expanding base directory path: {artifacts.base_directory}")
    base = (source / artifacts.base_directory).resolve()
    if not base.is_dir():
        raise PhaseFailedError(
            "CLIENT_ERROR",
            f"no matching base directory path found for {artifacts.base_directory}",
        )
    note(f"Expanding file paths for base directory {artifacts.base_directory}")
    found: dict[Path, str] = {}
    for pattern in artifacts.files:
        note(f"Expanding {pattern}")
        for path in files.matching(base, [pattern]):
            found[path] = (
                path.name if artifacts.discard_paths else path.relative_to(base).as_posix()
            )
    for path in files.matching(base, artifacts.exclude_paths):
        found.pop(path, None)
    if not found:
        raise PhaseFailedError("CLIENT_ERROR", "no matching artifact paths found")
    note(f"Found {len(found)} file(s)")
    return list(found.items())


def _worded(error: ClientError) -> str:
    """An AWS error as CodeBuild's agent words it."""
    told = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata", {})
    return (
        f"{told.get('Code')}: {told.get('Message')} status code: "
        f"{metadata.get('HTTPStatusCode')}, request id: {metadata.get('RequestId', 'unknown')}"
    )
