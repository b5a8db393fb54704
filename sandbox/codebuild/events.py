"""The EventBridge events of CodeBuild, in AWS's shapes. Pure.

https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications-ref.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sandbox.codebuild.build import Build, BuildStatus, Phase, PhaseType

SOURCE = "aws.codebuild"
STATE_CHANGE = "CodeBuild Build State Change"
PHASE_CHANGE = "CodeBuild Build Phase Change"


def state_change(build: Build) -> dict[str, Any]:
    """A build began or ended."""
    return {
        "build-status": build.status.value,
        "project-name": build.project,
        "build-id": build.arn,
        "additional-information": _information(build),
        "current-phase": build.current_phase.value,
        "current-phase-context": "[]",
        "version": "1",
    }


def phase_change(build: Build, phase: Phase) -> dict[str, Any]:
    """A phase ended."""
    detail: dict[str, Any] = {
        "completed-phase": phase.type.value,
        "project-name": build.project,
        "build-id": build.arn,
        "completed-phase-context": f"[{_context(phase)}]",
        "additional-information": _information(build),
    }
    if phase.status is not None:
        detail["completed-phase-status"] = phase.status.value
    return detail | {
        "completed-phase-duration-seconds": float(phase.seconds),
        "version": "1",
        "completed-phase-start": date(phase.start),
        "completed-phase-end": date(phase.end or phase.start),
    }


def date(moment: datetime) -> str:
    """`Apr 25, 2020 12:25:32 AM`, without a zone: it is UTC."""
    return f"{moment:%b} {moment.day}, {moment.year} {int(f'{moment:%I}')}:{moment:%M:%S %p}"


def _context(phase: Phase) -> str:
    return f"{phase.code}: {phase.message}"


def _information(build: Build) -> dict[str, Any]:
    environment = build.settings["environment"]
    source = build.settings["source"]
    information: dict[str, Any] = {}
    if build.output is not None:
        information["artifact"] = {
            "md5sum": build.output.md5,
            "sha256sum": build.output.sha256,
            "location": build.output.location,
        }
    cache = build.settings.get("cache")
    if cache:
        information["cache"] = {"type": cache["type"]}
    information |= {
        "environment": {
            "image": environment["image"],
            "privileged-mode": bool(environment.get("privilegedMode", False)),
            "compute-type": environment["computeType"],
            "type": environment["type"],
            "environment-variables": [
                {
                    "name": variable["name"],
                    "type": variable.get("type", "PLAINTEXT"),
                    "value": variable["value"],
                }
                for variable in environment.get("environmentVariables", [])
            ],
        },
        "timeout-in-minutes": float(build.timeout_minutes),
        "build-complete": build.status is not BuildStatus.IN_PROGRESS,
        "build-number": float(build.number),
        "initiator": build.initiator,
        "build-start-time": date(build.start),
        "source": {
            key: source[key] for key in ("location", "type", "buildspec") if source.get(key)
        },
    }
    if build.source_version is not None:
        information["source-version"] = build.source_version
    information["logs"] = logs(build)
    information["phases"] = [_phase(phase) for phase in build.phases]
    return information


def logs(build: Build) -> dict[str, Any]:
    """Where the log is; before there is one, AWS's link says `group=null;stream=null`."""
    group, stream = (build.log_group, build.log_stream) if build.has_log else (None, None)
    link = (
        f"https://console.aws.amazon.com/cloudwatch/home?region={build.scope.region}"
        f"#logEvent:group={group or 'null'};stream={stream or 'null'}"
    )
    if group is None:
        return {"deep-link": link}
    return {"group-name": group, "stream-name": stream, "deep-link": link}


def _phase(phase: Phase) -> dict[str, Any]:
    told: dict[str, Any] = {"start-time": date(phase.start), "phase-type": phase.type.value}
    if phase.end is not None and phase.type is not PhaseType.COMPLETED:
        told |= {
            "phase-context": [_context(phase)],
            "end-time": date(phase.end),
            "duration-in-seconds": float(phase.seconds),
        }
    if phase.status is not None:
        told["phase-status"] = phase.status.value
    return told
