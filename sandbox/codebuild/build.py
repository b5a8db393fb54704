"""A project's and a build's state.

Nothing here acts: the service and the runner change these records under the service's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sandbox.cloud import Scope


class BuildStatus(StrEnum):
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    FAULT = "FAULT"
    TIMED_OUT = "TIMED_OUT"
    IN_PROGRESS = "IN_PROGRESS"
    STOPPED = "STOPPED"


class PhaseType(StrEnum):
    """The phases of a build, in their order.

    https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html
    """

    SUBMITTED = "SUBMITTED"
    QUEUED = "QUEUED"
    PROVISIONING = "PROVISIONING"
    DOWNLOAD_SOURCE = "DOWNLOAD_SOURCE"
    INSTALL = "INSTALL"
    PRE_BUILD = "PRE_BUILD"
    BUILD = "BUILD"
    POST_BUILD = "POST_BUILD"
    UPLOAD_ARTIFACTS = "UPLOAD_ARTIFACTS"
    FINALIZING = "FINALIZING"
    COMPLETED = "COMPLETED"


class PhaseFailedError(Exception):
    """When a phase fails; `code` and `message` become its context."""

    def __init__(self, code: str, message: str, status: BuildStatus = BuildStatus.FAILED) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(f"{code}: {message}")


@dataclass
class Phase:
    type: PhaseType
    start: datetime
    end: datetime | None = None
    status: BuildStatus | None = None
    code: str = ""
    message: str = ""

    @property
    def seconds(self) -> int:
        return int((self.end - self.start).total_seconds()) if self.end else 0


@dataclass
class Project:
    """A build project; `settings` is what CreateProject was given, in the API's own names."""

    scope: Scope
    name: str
    settings: dict[str, Any]
    created: datetime
    modified: datetime
    builds: int = 0

    @property
    def arn(self) -> str:
        return self.scope.arn("codebuild", f"project/{self.name}")


@dataclass(frozen=True, slots=True)
class Output:
    """Where a build's artifact went."""

    location: str
    md5: str = ""
    sha256: str = ""


@dataclass
class Build:
    """One build, with the project's settings as the start's overrides left them."""

    scope: Scope
    project: str
    id: str
    """`<project>:<uuid>`."""
    number: int
    request: Mapping[str, Any]
    """What StartBuild was given: RetryBuild gives it again."""
    settings: dict[str, Any]
    initiator: str
    start: datetime
    status: BuildStatus = BuildStatus.IN_PROGRESS
    end: datetime | None = None
    phases: list[Phase] = field(default_factory=list)
    source_version: str | None = None
    resolved_version: str | None = None
    has_log: bool = False
    output: Output | None = None
    exported: Mapping[str, str] = field(default_factory=dict)
    reports: list[str] = field(default_factory=list)
    must_stop: threading.Event = field(default_factory=threading.Event, repr=False)
    is_done: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def uuid(self) -> str:
        return self.id.rpartition(":")[2]

    @property
    def arn(self) -> str:
        return self.scope.arn("codebuild", f"build/{self.id}")

    @property
    def log_group(self) -> str | None:
        """None when the project switches CloudWatch Logs off."""
        logs = (self.settings.get("logsConfig") or {}).get("cloudWatchLogs") or {}
        if logs.get("status") == "DISABLED":
            return None
        return logs.get("groupName") or f"/aws/codebuild/{self.project}"

    @property
    def log_stream(self) -> str:
        logs = (self.settings.get("logsConfig") or {}).get("cloudWatchLogs") or {}
        prefix = logs.get("streamName")
        return f"{prefix}/{self.uuid}" if prefix else self.uuid

    @property
    def role_arn(self) -> str:
        return str(self.settings["serviceRole"])

    @property
    def timeout_minutes(self) -> int:
        return int(self.settings.get("timeoutInMinutes", 60))

    @property
    def current_phase(self) -> PhaseType:
        return self.phases[-1].type
