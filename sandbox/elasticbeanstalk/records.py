"""What Beanstalk keeps of applications, versions and saved configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.cloud import Scope
from sandbox.elasticbeanstalk.environment import Environment
from sandbox.elasticbeanstalk.events import Journal
from sandbox.elasticbeanstalk.operations.work import Version
from sandbox.elasticbeanstalk.options import Settings
from sandbox.elasticbeanstalk.platforms import Platform

MOST_VERSIONS = 1000
"""https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/applications-lifecycle.html"""


@dataclass(slots=True)
class ApplicationVersion:
    """One version of an application; without a bundle it is the sample application."""

    scope: Scope
    application: str
    label: str
    created: datetime
    updated: datetime
    description: str = ""
    bucket: str = ""
    key: str = ""
    status: str = "Unprocessed"
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        """`arn:aws:elasticbeanstalk:region:account:applicationversion/application/label`."""
        return self.scope.arn(
            "elasticbeanstalk", f"applicationversion/{self.application}/{self.label}"
        )

    @property
    def version(self) -> Version:
        """What an operation deploys."""
        return Version(self.application, self.label, self.bucket, self.key)

    def described(self) -> dict[str, Any]:
        """The API's ApplicationVersionDescription."""
        found: dict[str, Any] = {
            "ApplicationVersionArn": self.arn,
            "ApplicationName": self.application,
            "VersionLabel": self.label,
            "DateCreated": self.created,
            "DateUpdated": self.updated,
            "Status": self.status,
        }
        if self.description:
            found["Description"] = self.description
        if self.bucket:
            found["SourceBundle"] = {"S3Bucket": self.bucket, "S3Key": self.key}
        return found


@dataclass(slots=True)
class Template:
    """A saved configuration."""

    scope: Scope
    application: str
    name: str
    platform: Platform
    settings: Settings
    created: datetime
    updated: datetime
    description: str = ""

    def described(self) -> dict[str, Any]:
        """The API's ConfigurationSettingsDescription."""
        found: dict[str, Any] = {
            "SolutionStackName": self.platform.solution_stack,
            "PlatformArn": self.platform.arn(self.scope),
            "ApplicationName": self.application,
            "TemplateName": self.name,
            "DateCreated": self.created,
            "DateUpdated": self.updated,
            "OptionSettings": option_settings(self.settings),
        }
        if self.description:
            found["Description"] = self.description
        return found


@dataclass(slots=True)
class Application:
    """One application."""

    scope: Scope
    name: str
    created: datetime
    updated: datetime
    description: str = ""
    lifecycle: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    versions: dict[str, ApplicationVersion] = field(default_factory=dict)
    """By label, in the order of creation."""
    templates: dict[str, Template] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        """`arn:aws:elasticbeanstalk:region:account:application/name`."""
        return self.scope.arn("elasticbeanstalk", f"application/{self.name}")

    def described(self) -> dict[str, Any]:
        """The API's ApplicationDescription."""
        found: dict[str, Any] = {
            "ApplicationArn": self.arn,
            "ApplicationName": self.name,
            "DateCreated": self.created,
            "DateUpdated": self.updated,
            "Versions": list(self.versions),
            "ConfigurationTemplates": list(self.templates),
            "ResourceLifecycleConfig": self.described_lifecycle(),
        }
        if self.description:
            found["Description"] = self.description
        return found

    def described_lifecycle(self) -> dict[str, Any]:
        """The API's ApplicationResourceLifecycleConfig, with AWS's defaults filled in."""
        rules = self.lifecycle.get("VersionLifecycleConfig", {})
        count = {"Enabled": False, "MaxCount": 200, "DeleteSourceFromS3": False}
        age = {"Enabled": False, "MaxAgeInDays": 180, "DeleteSourceFromS3": False}
        found: dict[str, Any] = {
            "VersionLifecycleConfig": {
                "MaxCountRule": {**count, **rules.get("MaxCountRule", {})},
                "MaxAgeRule": {**age, **rules.get("MaxAgeRule", {})},
            }
        }
        if "ServiceRole" in self.lifecycle:
            found["ServiceRole"] = self.lifecycle["ServiceRole"]
        return found


@dataclass(slots=True)
class ManagedUpdate:
    """One entry of the managed actions' history."""

    id: str
    description: str
    started: datetime
    finished: datetime | None = None
    failure: str = ""


@dataclass(slots=True)
class Region:
    """Everything of one account and Region."""

    applications: dict[str, Application] = field(default_factory=dict)
    environments: list[Environment] = field(default_factory=list)
    """In the order of creation; terminated ones stay."""
    managed_updates: dict[str, list[ManagedUpdate]] = field(default_factory=dict)
    """By environment id."""
    journal: Journal = field(default_factory=Journal)


def option_settings(settings: Settings) -> list[Mapping[str, str]]:
    """The API's ConfigurationOptionSettingsList."""
    return [
        {"Namespace": namespace, "OptionName": name, "Value": value}
        for (namespace, name), value in sorted(settings.values.items())
    ]
