"""The CloudFormation resource types of Elastic Beanstalk.

Create-only properties and attributes are those of the types' registry schemas:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_ElasticBeanstalk.html
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sandbox.cloud import Caller
from sandbox.cloudformation import (
    Created,
    Properties,
    ResourceFailedError,
    ResourceType,
    Stack,
)
from sandbox.elasticbeanstalk.environment import Environment
from sandbox.elasticbeanstalk.events import Wanted
from sandbox.elasticbeanstalk.service import ElasticBeanstalk
from sandbox.service import ApiError, Call, now

PATIENCE = timedelta(minutes=5).total_seconds()
"""How long an environment may take here; AWS's handlers wait for up to 300 minutes."""


class _Type:
    """What the types share: calling the API as the account that deploys the stack."""

    create_only: tuple[str, ...] = ()

    def __init__(self, service: ElasticBeanstalk) -> None:
        self.service = service

    def call(self, stack: Stack, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Perform an operation; an API error becomes the stack event's reason."""
        scope = stack.scope
        root = Caller(f"arn:{scope.partition}:iam::{scope.account}:root", scope.account)
        given = {name: value for name, value in request.items() if value not in (None, [], {})}
        try:
            return self.service.perform(Call(scope, root, operation, given))
        except ApiError as error:
            raise ResourceFailedError(
                f"{error.message} (Service: ElasticBeanstalk, Error Code: {error.code})"
            ) from error

    def is_replaced(self, old: Properties, new: Properties) -> bool:
        """Whether a change needs another resource."""
        return any(old.get(name) != new.get(name) for name in self.create_only)


class ApplicationType(_Type):
    """AWS::ElasticBeanstalk::Application."""

    create_only = ("ApplicationName",)

    def create(self, stack: Stack, logical_id: str, properties: Properties) -> Created:
        name = properties.get("ApplicationName") or stack.physical_name(logical_id, 100)
        self.call(
            stack,
            "CreateApplication",
            {
                "ApplicationName": name,
                "Description": properties.get("Description"),
                "ResourceLifecycleConfig": _typed(properties.get("ResourceLifecycleConfig")),
            },
        )
        return name, {}

    def update(
        self, stack: Stack, logical_id: str, physical_id: str, old: Properties, new: Properties
    ) -> Created:
        if self.is_replaced(old, new):
            return self.create(stack, logical_id, new)
        self.call(
            stack,
            "UpdateApplication",
            {"ApplicationName": physical_id, "Description": new.get("Description") or ""},
        )
        lifecycle = _typed(new.get("ResourceLifecycleConfig"))
        if lifecycle:
            self.call(
                stack,
                "UpdateApplicationResourceLifecycle",
                {"ApplicationName": physical_id, "ResourceLifecycleConfig": lifecycle},
            )
        return physical_id, {}

    def delete(self, stack: Stack, physical_id: str, properties: Properties) -> None:
        self.call(stack, "DeleteApplication", {"ApplicationName": physical_id})


class ApplicationVersionType(_Type):
    """AWS::ElasticBeanstalk::ApplicationVersion; `Ref` is the version label."""

    create_only = ("ApplicationName", "SourceBundle")

    def create(self, stack: Stack, logical_id: str, properties: Properties) -> Created:
        label = stack.physical_name(logical_id, 100)
        if label in self._labels(stack, properties["ApplicationName"]):
            # A replacement stands beside the version that it replaces.
            label = f"{label[:87]}-{int(now().timestamp()):x}"
        self.call(
            stack,
            "CreateApplicationVersion",
            {
                "ApplicationName": properties["ApplicationName"],
                "VersionLabel": label,
                "Description": properties.get("Description"),
                "SourceBundle": properties.get("SourceBundle"),
            },
        )
        return label, {"Id": label}

    def _labels(self, stack: Stack, application: str) -> Iterable[str]:
        answer = self.call(stack, "DescribeApplicationVersions", {"ApplicationName": application})
        return [one["VersionLabel"] for one in answer["ApplicationVersions"]]

    def update(
        self, stack: Stack, logical_id: str, physical_id: str, old: Properties, new: Properties
    ) -> Created:
        if self.is_replaced(old, new):
            return self.create(stack, logical_id, new)
        self.call(
            stack,
            "UpdateApplicationVersion",
            {
                "ApplicationName": new["ApplicationName"],
                "VersionLabel": physical_id,
                "Description": new.get("Description") or "",
            },
        )
        return physical_id, {"Id": physical_id}

    def delete(self, stack: Stack, physical_id: str, properties: Properties) -> None:
        application = properties["ApplicationName"]
        names = [
            one["ApplicationName"]
            for one in self.call(stack, "DescribeApplications", {})["Applications"]
        ]
        if application in names and physical_id in self._labels(stack, application):
            self.call(
                stack,
                "DeleteApplicationVersion",
                {"ApplicationName": application, "VersionLabel": physical_id},
            )


class ConfigurationTemplateType(_Type):
    """AWS::ElasticBeanstalk::ConfigurationTemplate."""

    create_only = (
        "ApplicationName",
        "EnvironmentId",
        "PlatformArn",
        "SolutionStackName",
        "SourceConfiguration",
    )

    def create(self, stack: Stack, logical_id: str, properties: Properties) -> Created:
        name = stack.physical_name(logical_id, 100)
        self.call(
            stack,
            "CreateConfigurationTemplate",
            {
                "ApplicationName": properties["ApplicationName"],
                "TemplateName": name,
                "Description": properties.get("Description"),
                "EnvironmentId": properties.get("EnvironmentId"),
                "PlatformArn": properties.get("PlatformArn"),
                "SolutionStackName": properties.get("SolutionStackName"),
                "SourceConfiguration": properties.get("SourceConfiguration"),
                "OptionSettings": _settings(properties.get("OptionSettings")),
            },
        )
        return name, {"TemplateName": name}

    def update(
        self, stack: Stack, logical_id: str, physical_id: str, old: Properties, new: Properties
    ) -> Created:
        if self.is_replaced(old, new):
            return self.create(stack, logical_id, new)
        self.call(
            stack,
            "UpdateConfigurationTemplate",
            {
                "ApplicationName": new["ApplicationName"],
                "TemplateName": physical_id,
                "Description": new.get("Description") or "",
                "OptionSettings": _settings(new.get("OptionSettings")),
                "OptionsToRemove": _removed(old.get("OptionSettings"), new.get("OptionSettings")),
            },
        )
        return physical_id, {"TemplateName": physical_id}

    def delete(self, stack: Stack, physical_id: str, properties: Properties) -> None:
        names = [
            one["ApplicationName"]
            for one in self.call(stack, "DescribeApplications", {})["Applications"]
        ]
        if properties["ApplicationName"] in names:
            self.call(
                stack,
                "DeleteConfigurationTemplate",
                {
                    "ApplicationName": properties["ApplicationName"],
                    "TemplateName": physical_id,
                },
            )


class EnvironmentType(_Type):
    """AWS::ElasticBeanstalk::Environment; `Ref` is the environment's name."""

    create_only = (
        "ApplicationName",
        "CNAMEPrefix",
        "EnvironmentName",
        "SolutionStackName",
        "Tier",
    )

    def create(self, stack: Stack, logical_id: str, properties: Properties) -> Created:
        name = properties.get("EnvironmentName") or stack.physical_name(logical_id, 40)
        begun = now()
        self.call(
            stack,
            "CreateEnvironment",
            {
                "ApplicationName": properties["ApplicationName"],
                "EnvironmentName": name,
                "CNAMEPrefix": properties.get("CNAMEPrefix"),
                "Description": properties.get("Description"),
                "OperationsRole": properties.get("OperationsRole"),
                "OptionSettings": _settings(properties.get("OptionSettings")),
                "PlatformArn": properties.get("PlatformArn"),
                "SolutionStackName": properties.get("SolutionStackName"),
                "Tags": properties.get("Tags"),
                "TemplateName": properties.get("TemplateName"),
                "Tier": properties.get("Tier"),
                "VersionLabel": properties.get("VersionLabel"),
            },
        )
        self._wait(name, self._newest(stack, name))
        if self._errors(stack, name, begun):
            # CloudFormation's rollback takes it away; MiniStack's knows nothing of what failed.
            self.delete(stack, name, properties)
            # What went wrong stands in the environment's own events.
            # https://github.com/aws-samples/aws-cdk-examples/issues/1126
            raise ResourceFailedError(
                'Resource handler returned message: "Resource of type '
                f"'AWS::ElasticBeanstalk::Environment' with identifier '{name}' did not "
                f'stabilize." (RequestToken: {uuid.uuid4()}, HandlerErrorCode: NotStabilized)'
            )
        return name, self._attributes(stack, name)

    def update(
        self, stack: Stack, logical_id: str, physical_id: str, old: Properties, new: Properties
    ) -> Created:
        if self.is_replaced(old, new):
            return self.create(stack, logical_id, new)
        named = {
            "ApplicationName": new["ApplicationName"],
            "EnvironmentName": physical_id,
        }
        configuration = {
            name: value
            for name, value in {
                "OptionSettings": _changed(old.get("OptionSettings"), new.get("OptionSettings")),
                "OptionsToRemove": _removed(old.get("OptionSettings"), new.get("OptionSettings")),
                "PlatformArn": _if_changed(old, new, "PlatformArn"),
                "TemplateName": _if_changed(old, new, "TemplateName"),
            }.items()
            if value
        }
        release = {"VersionLabel": _if_changed(old, new, "VersionLabel")}
        described = {"Description": _if_changed(old, new, "Description")}
        # The API takes one of the two at a time.
        for request in (configuration, release, described):
            if any(request.values()):
                begun = now()
                self.call(stack, "UpdateEnvironment", {**named, **request})
                self._wait(physical_id, self._newest(stack, physical_id))
                if reason := self._errors(stack, physical_id, begun):
                    raise ResourceFailedError(reason)
        self._retag(stack, physical_id, old, new)
        return physical_id, self._attributes(stack, physical_id)

    def _retag(self, stack: Stack, name: str, old: Properties, new: Properties) -> None:
        before = {one["Key"]: one["Value"] for one in old.get("Tags") or ()}
        after = {one["Key"]: one["Value"] for one in new.get("Tags") or ()}
        if before == after:
            return
        environment = self.service.environment(stack.scope, name=name)
        self.call(
            stack,
            "UpdateTagsForResource",
            {
                "ResourceArn": environment.identity.arn,
                "TagsToAdd": [{"Key": key, "Value": value} for key, value in after.items()],
                "TagsToRemove": [key for key in before if key not in after],
            },
        )

    def delete(self, stack: Stack, physical_id: str, properties: Properties) -> None:
        found = [
            one
            for one in self.service.environments(stack.scope)
            if one.identity.name == physical_id
        ]
        for environment in found:
            if not environment.wait_until_idle(PATIENCE):
                raise ResourceFailedError(f"Environment {physical_id} does not become Ready")
            if environment.is_terminated:
                continue
            begun = now()
            self.call(stack, "TerminateEnvironment", {"EnvironmentName": physical_id})
            environment.wait_until_idle(PATIENCE)
            if not environment.is_terminated:
                raise ResourceFailedError(self._errors(stack, physical_id, begun))

    def _newest(self, stack: Stack, name: str) -> Environment:
        """The environment that has a name now, or had it last."""
        found = [
            one for one in self.service.every_environment(stack.scope) if one.identity.name == name
        ]
        return found[-1]

    def _wait(self, name: str, environment: Environment) -> None:
        """Wait until an operation is over."""
        if not environment.wait_until_idle(PATIENCE):
            raise ResourceFailedError(f"Environment {name} does not become Ready")

    def _errors(self, stack: Stack, name: str, begun: Any) -> str:
        page, _ = self.service.journal(stack.scope).page(
            Wanted(
                environment=name,
                severity="ERROR",
                start=begun.replace(microsecond=begun.microsecond // 1000 * 1000),
            ),
            now(),
            100,
            None,
        )
        return " ".join(event.message for event in reversed(page))

    def _attributes(self, stack: Stack, name: str) -> dict[str, str]:
        environment = self.service.environment(stack.scope, name=name)
        return {"EndpointURL": environment.address}


def _if_changed(old: Properties, new: Properties, name: str) -> Any:
    return new.get(name) if old.get(name) != new.get(name) else None


def _typed(lifecycle: Any) -> Any:
    """A lifecycle whose numbers and truths may have come as strings, as parameters do."""
    if isinstance(lifecycle, Mapping):
        return {name: _typed(value) for name, value in lifecycle.items()}
    if isinstance(lifecycle, str) and lifecycle.lower() in ("true", "false"):
        return lifecycle.lower() == "true"
    if isinstance(lifecycle, str) and lifecycle.isdigit():
        return int(lifecycle)
    return lifecycle


def _settings(given: Any) -> list[dict[str, str]]:
    """Option settings in the API's form; numbers and truths become the strings it takes."""
    found = []
    for one in given or ():
        value = one.get("Value", "")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        found.append(
            {"Namespace": one["Namespace"], "OptionName": one["OptionName"], "Value": text}
        )
    return found


def _changed(old: Any, new: Any) -> list[dict[str, str]]:
    before = _settings(old)
    return [one for one in _settings(new) if one not in before]


def _removed(old: Any, new: Any) -> list[dict[str, str]]:
    kept = {(one["Namespace"], one["OptionName"]) for one in _settings(new)}
    return [
        {"Namespace": one["Namespace"], "OptionName": one["OptionName"]}
        for one in _settings(old)
        if (one["Namespace"], one["OptionName"]) not in kept
    ]


def resource_types(service: ElasticBeanstalk) -> dict[str, ResourceType]:
    """The types by name, on one service."""
    return {
        "AWS::ElasticBeanstalk::Application": ApplicationType(service),
        "AWS::ElasticBeanstalk::ApplicationVersion": ApplicationVersionType(service),
        "AWS::ElasticBeanstalk::ConfigurationTemplate": ConfigurationTemplateType(service),
        "AWS::ElasticBeanstalk::Environment": EnvironmentType(service),
    }
