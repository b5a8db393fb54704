"""A buildspec, read. Pure.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

PHASES = ("install", "pre_build", "build", "post_build")
_KNOWN = frozenset({"version", "env", "phases", "artifacts", "cache", "reports"})
_KNOWN_ENV = frozenset(
    {"variables", "parameter-store", "secrets-manager", "exported-variables", "shell"}
)
_KNOWN_PHASE = frozenset({"commands", "finally", "on-failure", "runtime-versions"})


class BuildspecError(Exception):
    """When CodeBuild cannot read a buildspec: a build fails with YAML_FILE_ERROR."""


class AfterFailure(StrEnum):
    """What follows a failed phase; DEFAULT is the order of phases that CodeBuild documents."""

    DEFAULT = "DEFAULT"
    ABORT = "ABORT"
    CONTINUE = "CONTINUE"


@dataclass(frozen=True, slots=True)
class Phase:
    commands: tuple[str, ...] = ()
    finally_commands: tuple[str, ...] = ()
    on_failure: AfterFailure = AfterFailure.DEFAULT


@dataclass(frozen=True, slots=True)
class Artifacts:
    files: tuple[str, ...]
    exclude_paths: tuple[str, ...] = ()
    base_directory: str = "."
    name: str | None = None
    discard_paths: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Test results to collect; `group` is a report group's name or ARN."""

    group: str
    files: tuple[str, ...]
    base_directory: str
    file_format: str


@dataclass(frozen=True, slots=True)
class Buildspec:
    variables: Mapping[str, str]
    parameters: Mapping[str, str]
    secrets: Mapping[str, str]
    exported: tuple[str, ...]
    runtimes: Mapping[str, str]
    phases: Mapping[str, Phase]
    artifacts: Artifacts | None
    cache_paths: tuple[str, ...]
    reports: tuple[Report, ...]
    not_modelled: tuple[str, ...]
    """What the buildspec asks for and the sandbox leaves out, one sentence each."""


def is_inline(buildspec: str) -> bool:
    """Whether a project's buildspec is the text itself and not a path in the source."""
    return "\n" in buildspec.strip() or ":" in buildspec


def parse(text: str) -> Buildspec:
    """Read a buildspec of version 0.2; raises BuildspecError with the place and the mend."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BuildspecError(
            f"The buildspec is not YAML: {' '.join(str(error).split())}"
        ) from error
    whole = _mapping(document, "The buildspec")
    version = str(whole.get("version", ""))
    if version != "0.2":
        raise BuildspecError(
            f"Unknown buildspec version {version or '(none)'}: the sandbox reads version 0.2"
        )
    env = _mapping(whole.get("env") or {}, "env")
    if str(env.get("shell", "bash")) not in ("bash", "/bin/sh"):
        raise BuildspecError(f"env.shell {env['shell']} is not modelled: use bash")
    phases = _mapping(whole.get("phases"), "phases")
    unknown = sorted(set(phases) - set(PHASES))
    if unknown:
        raise BuildspecError(f"Unknown phase {unknown[0]}: the phases are {', '.join(PHASES)}")
    notes = [f"{key} is not modelled and ignored" for key in sorted(set(whole) - _KNOWN)]
    notes += [f"env.{key} is not modelled and ignored" for key in sorted(set(env) - _KNOWN_ENV)]
    artifacts = _mapping(whole.get("artifacts") or {}, "artifacts")
    if artifacts.get("secondary-artifacts"):
        notes.append("artifacts.secondary-artifacts are not modelled and ignored")
    cache = _mapping(whole.get("cache") or {}, "cache")
    read = {name: _phase(name, body, notes) for name, body in phases.items()}
    install = phases.get("install") or {}
    runtimes = _texts(install.get("runtime-versions") or {}, "phases.install.runtime-versions")
    return Buildspec(
        variables=_texts(env.get("variables") or {}, "env.variables"),
        parameters=_texts(env.get("parameter-store") or {}, "env.parameter-store"),
        secrets=_texts(env.get("secrets-manager") or {}, "env.secrets-manager"),
        exported=_lines(env.get("exported-variables"), "env.exported-variables"),
        runtimes=runtimes,
        phases=read,
        artifacts=_artifacts(artifacts) if artifacts else None,
        cache_paths=_lines(cache.get("paths"), "cache.paths"),
        reports=tuple(
            _report(group, body)
            for group, body in _mapping(whole.get("reports") or {}, "reports").items()
        ),
        not_modelled=tuple(notes),
    )


def _phase(name: str, body: Any, notes: list[str]) -> Phase:
    where = f"phases.{name}"
    phase = _mapping(body or {}, where)
    notes.extend(
        f"{where}.{key} is not modelled and ignored" for key in sorted(set(phase) - _KNOWN_PHASE)
    )
    choice = str(phase.get("on-failure", "DEFAULT"))
    if choice not in tuple(AfterFailure):
        raise BuildspecError(
            f"{where}.on-failure must be ABORT or CONTINUE in the sandbox: {choice}"
        )
    return Phase(
        commands=_lines(phase.get("commands"), f"{where}.commands"),
        finally_commands=_lines(phase.get("finally"), f"{where}.finally"),
        on_failure=AfterFailure(choice),
    )


def _artifacts(body: Mapping[str, Any]) -> Artifacts:
    return Artifacts(
        files=_lines(body.get("files"), "artifacts.files"),
        exclude_paths=_lines(body.get("exclude-paths"), "artifacts.exclude-paths"),
        base_directory=str(body.get("base-directory", ".")),
        name=body.get("name"),
        discard_paths=_is_yes(body.get("discard-paths", False)),
    )


def _report(group: str, body: Any) -> Report:
    where = f"reports.{group}"
    report = _mapping(body, where)
    return Report(
        group=group,
        files=_lines(report.get("files"), f"{where}.files"),
        base_directory=str(report.get("base-directory", ".")),
        file_format=str(report.get("file-format", "JUNITXML")).upper(),
    )


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BuildspecError(f"{where} must be a mapping, not {_named(value)}")
    return {str(key): item for key, item in value.items()}


def _texts(value: Any, where: str) -> dict[str, str]:
    return {key: _text(item, f"{where}.{key}") for key, item in _mapping(value, where).items()}


def _lines(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        raise BuildspecError(f"{where} must be a list, not {_named(value)}")
    return tuple(_text(item, f"{where}[{index}]") for index, item in enumerate(value))


def _text(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    # A command with ": " in it is a mapping to YAML, the usual way to break a buildspec.
    raise BuildspecError(
        f"Expected {where} to be of string type: found {_named(value)}. Quote the text if it "
        "contains a colon"
    )


def _named(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)


def _is_yes(value: Any) -> bool:
    return value is True or str(value).lower() in ("yes", "true")
