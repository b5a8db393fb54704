"""An Elastic Beanstalk in memory, as far as a deploy action sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError


def client_error(operation: str, code: str, message: str, status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "4f1b",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
                "HostId": "",
            },
        },
        operation,
    )


@dataclass
class FakeBeanstalk:
    """Environments that take a version within two looks, unless `failures` says otherwise.

    `failures` are the error events, newest first, of the next update; after them an environment
    runs what it ran before. `refusals` are errors that an operation answers.
    """

    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    refusals: dict[str, ClientError] = field(default_factory=dict)
    looks: int = 0
    bucket: str = "elasticbeanstalk"

    def create_storage_location(self) -> dict[str, Any]:
        return {"S3Bucket": self.bucket}

    def create_application_version(self, **given: Any) -> dict[str, Any]:
        self._refuse("CreateApplicationVersion")
        self.versions.append(given)
        return {}

    def update_environment(self, **given: Any) -> dict[str, Any]:
        self._refuse("UpdateEnvironment")
        name = given["EnvironmentName"]
        environment = self.environments.setdefault(
            name, {"EnvironmentName": name, "EnvironmentId": f"e-{name}", "VersionLabel": None}
        )
        environment |= {"Status": "Updating", "Wanted": given["VersionLabel"]}
        self.looks = 0
        return {"EnvironmentId": environment["EnvironmentId"]}

    def describe_environments(self, **given: Any) -> dict[str, Any]:
        self._refuse("DescribeEnvironments")
        [name] = given["EnvironmentNames"]
        environment = self.environments[name]
        self.looks += 1
        if environment["Status"] == "Updating" and self.looks > 1:
            environment["Status"] = "Ready"
            if not self.failures:
                environment["VersionLabel"] = environment["Wanted"]
            self.events[:0] = [
                {"EventDate": datetime.now(UTC), "Severity": "ERROR", "Message": message}
                for message in reversed(self.failures)
            ][::-1]
        return {"Environments": [dict(environment)]}

    def describe_events(self, **given: Any) -> dict[str, Any]:
        self._refuse("DescribeEvents")
        return {"Events": [e for e in self.events if e["EventDate"] >= given["StartTime"]]}

    def _refuse(self, operation: str) -> None:
        if operation in self.refusals:
            raise self.refusals[operation]
