"""AWS::CodeBuild::Project and AWS::CodeBuild::ReportGroup for CloudFormation.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-codebuild-project.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sandbox.cloudformation import Created, Properties, ResourceFailedError, ResourceType, Stack
from sandbox.codebuild.service import CodeBuild
from sandbox.service import ApiError

# Where the template's word is not the API's with a capital letter.
_RENAMED: Mapping[str, str] = {"BuildSpec": "buildspec"}
_WHOLE_NUMBERS = frozenset(
    {
        "autoRetryLimit",
        "concurrentBuildLimit",
        "gitCloneDepth",
        "queuedTimeoutInMinutes",
        "timeoutInMinutes",
    }
)
_SWITCHES = frozenset({"encryptionDisabled", "overrideArtifactName", "privilegedMode"})
# CloudFormation's own, or things that a build here never meets.
_NOT_SETTINGS = frozenset({"Name", "BadgeEnabled", "ResourceAccessRole", "Triggers", "Visibility"})


def resource_types(service: CodeBuild) -> dict[str, ResourceType]:
    """The CloudFormation types of CodeBuild."""
    return {
        "AWS::CodeBuild::Project": ProjectResource(service),
        "AWS::CodeBuild::ReportGroup": ReportGroupResource(service),
    }


class ProjectResource:
    """A build project as a stack's resource: Ref gives its name, GetAtt its Arn."""

    def __init__(self, service: CodeBuild) -> None:
        self._service = service

    def create(self, stack: Stack, logical_id: str, properties: Properties) -> Created:
        name = properties.get("Name") or stack.physical_name(logical_id, 150)
        with _reported():
            project = self._service.create(stack.scope, settings(properties) | {"name": name})
        return name, {"Arn": project.arn}

    def update(
        self, stack: Stack, logical_id: str, physical_id: str, old: Properties, new: Properties
    ) -> Created:
        if new.get("Name", physical_id) != physical_id:
            return self.create(stack, logical_id, new)
        with _reported():
            request = settings(new) | {"name": physical_id}
            project = self._service.update(stack.scope, request, whole=True)
        return physical_id, {"Arn": project.arn}

    def delete(self, stack: Stack, physical_id: str, properties: Properties) -> None:
        self._service.delete(stack.scope, physical_id)


class ReportGroupResource:
    """A report group: Ref and GetAtt give its Arn."""

    def __init__(self, service: CodeBuild) -> None:
        self._service = service

    def create(self, stack: Stack, logical_id: str, properties: Properties) -> Created:
        name = properties.get("Name") or stack.physical_name(logical_id, 128)
        with _reported():
            group = self._service.create_group(stack.scope, settings(properties) | {"name": name})
        return group["arn"], {"Arn": group["arn"]}

    def update(
        self, stack: Stack, logical_id: str, physical_id: str, old: Properties, new: Properties
    ) -> Created:
        own = physical_id.rpartition("/")[2]
        if new.get("Name", own) != own or new["Type"] != old["Type"]:
            return self.create(stack, logical_id, new)
        self._service.change_group(stack.scope, physical_id, settings(new))
        return physical_id, {"Arn": physical_id}

    def delete(self, stack: Stack, physical_id: str, properties: Properties) -> None:
        self._service.delete_group(stack.scope, physical_id)


def settings(properties: Properties) -> dict[str, Any]:
    """A template's properties in the words of CreateProject."""
    answer: dict[str, Any] = _camel(
        {key: value for key, value in properties.items() if key not in _NOT_SETTINGS}
    )
    return answer


def _camel(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        renamed = {_name(name): item for name, item in value.items()}
        return {name: _camel(item, name) for name, item in renamed.items()}
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if key in _WHOLE_NUMBERS:
        return int(value)
    return str(value).lower() == "true" if key in _SWITCHES else value


def _name(name: str) -> str:
    return _RENAMED.get(name, name[:1].lower() + name[1:])


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        raise ResourceFailedError(
            f"{error.message} (Service: AWSCodeBuild; Status Code: 400; Error Code: {error.code})"
        ) from error
