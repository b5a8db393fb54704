"""What the API answers about projects and builds. Pure."""

from __future__ import annotations

from typing import Any

from sandbox.codebuild.build import Build, BuildStatus, Phase, Project
from sandbox.codebuild.events import logs


def project(found: Project) -> dict[str, Any]:
    """A project as BatchGetProjects answers it."""
    return {
        "queuedTimeoutInMinutes": 480,
        "timeoutInMinutes": 60,
        "encryptionKey": found.scope.arn("kms", "alias/aws/s3"),
        "cache": {"type": "NO_CACHE"},
        "badge": {"badgeEnabled": False},
        "tags": [],
        **found.settings,
        "name": found.name,
        "arn": found.arn,
        "created": found.created,
        "lastModified": found.modified,
    }


def build(found: Build) -> dict[str, Any]:
    """A build as StartBuild and BatchGetBuilds answer it."""
    told = logs(found)
    group, stream = told.get("group-name"), told.get("stream-name")
    answer: dict[str, Any] = {
        "id": found.id,
        "arn": found.arn,
        "buildNumber": found.number,
        "startTime": found.start,
        "currentPhase": found.current_phase.value,
        "buildStatus": found.status.value,
        "projectName": found.project,
        "phases": [_phase_answer(phase) for phase in found.phases],
        "source": found.settings["source"],
        "artifacts": {"location": found.output.location if found.output else ""},
        "cache": found.settings.get("cache", {"type": "NO_CACHE"}),
        "environment": found.settings["environment"],
        "serviceRole": found.role_arn,
        "logs": {
            "deepLink": told["deep-link"],
            **(
                {
                    "groupName": group,
                    "streamName": stream,
                    "cloudWatchLogsArn": found.scope.arn(
                        "logs", f"log-group:{group}:log-stream:{stream}"
                    ),
                }
                if group
                else {}
            ),
        },
        "timeoutInMinutes": found.timeout_minutes,
        "queuedTimeoutInMinutes": found.settings.get("queuedTimeoutInMinutes", 480),
        "buildComplete": found.status is not BuildStatus.IN_PROGRESS,
        "initiator": found.initiator,
        "exportedEnvironmentVariables": [
            {"name": name, "value": value} for name, value in found.exported.items()
        ],
        "reportArns": list(found.reports),
    }
    if found.output is not None:
        answer["artifacts"] |= {"md5sum": found.output.md5, "sha256sum": found.output.sha256}
    optional = {
        "endTime": found.end,
        "sourceVersion": found.source_version,
        "resolvedSourceVersion": found.resolved_version,
        "encryptionKey": found.settings.get("encryptionKey"),
        "secondarySources": found.settings.get("secondarySources"),
    }
    return answer | {name: value for name, value in optional.items() if value is not None}


def _phase_answer(phase: Phase) -> dict[str, Any]:
    answer: dict[str, Any] = {"phaseType": phase.type.value, "startTime": phase.start}
    if phase.end is not None:
        answer |= {"endTime": phase.end, "durationInSeconds": phase.seconds}
    if phase.status is not None:
        answer["phaseStatus"] = phase.status.value
        answer["contexts"] = [{"statusCode": phase.code, "message": phase.message}]
    return answer
