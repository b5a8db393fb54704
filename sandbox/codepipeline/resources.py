"""AWS::CodePipeline::Pipeline for CloudFormation.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-codepipeline-pipeline.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sandbox.cloud import Scope
from sandbox.cloudformation import Created, Properties, ResourceFailedError, ResourceType, Stack
from sandbox.codepipeline.execution import Trigger
from sandbox.codepipeline.service import CodePipeline
from sandbox.service import ApiError

# Properties that CloudFormation reads for itself; the rest is the pipeline's declaration.
_NOT_DECLARED = frozenset({"DisableInboundStageTransitions", "RestartExecutionOnUpdate", "Tags"})
_WHOLE_NUMBERS = frozenset({"runOrder", "timeoutInMinutes"})


def resource_types(service: CodePipeline) -> dict[str, ResourceType]:
    """The CloudFormation types of CodePipeline."""
    return {"AWS::CodePipeline::Pipeline": PipelineResource(service)}


class PipelineResource:
    """A pipeline as a stack's resource: Ref gives its name, GetAtt its Version."""

    def __init__(self, service: CodePipeline) -> None:
        self._service = service

    def create(self, stack: Stack, logical_id: str, properties: Properties) -> Created:
        name = properties.get("Name") or stack.physical_name(logical_id, 100)
        with _reported():
            pipeline = self._service.create(
                stack.scope,
                declaration(name, properties),
                tags(properties),
                _root(stack.scope),
                _disabled(properties),
            )
        return name, {"Version": str(pipeline.version)}

    def update(
        self, stack: Stack, logical_id: str, physical_id: str, old: Properties, new: Properties
    ) -> Created:
        """Only a changed structure makes a new version; a changed name makes a new pipeline."""
        if new.get("Name", physical_id) != physical_id:
            return self.create(stack, logical_id, new)
        scope, engine = stack.scope, self._service.engine
        was = declaration(physical_id, old)
        becomes = declaration(physical_id, new)
        with _reported():
            if becomes != was:
                self._service.update(scope, becomes)
            with engine.record(scope, physical_id) as record:
                for key in tags(old).keys() - tags(new).keys():
                    record.tags.pop(key, None)
                record.tags.update(tags(new))
                version = record.current.version
                stages = set(record.stages)
            before, after = _disabled(old), _disabled(new)
            for stage in (before.keys() - after.keys()) & stages:
                engine.set_transition(scope, physical_id, stage, "Inbound", None, _root(scope))
            for stage, reason in after.items():
                if before.get(stage) != reason:
                    engine.set_transition(
                        scope, physical_id, stage, "Inbound", reason, _root(scope)
                    )
            if becomes != was and _is_true(new.get("RestartExecutionOnUpdate")):
                engine.start(scope, physical_id, Trigger("StartPipelineExecution", _root(scope)))
        return physical_id, {"Version": str(version)}

    def delete(self, stack: Stack, physical_id: str, properties: Properties) -> None:
        self._service.engine.delete(stack.scope, physical_id)


def declaration(name: str, properties: Properties) -> dict[str, Any]:
    """A template's properties in the words of CreatePipeline."""
    declared: dict[str, Any] = _camel(
        {key: value for key, value in properties.items() if key not in _NOT_DECLARED}
    )
    declared["name"] = name
    if "artifactStores" in declared:
        declared["artifactStores"] = {
            store["region"]: store["artifactStore"] for store in declared["artifactStores"]
        }
    return declared


def tags(properties: Properties) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}


def _camel(value: Any, key: str = "") -> Any:
    """Names begin small in the API; what stands inside Configuration is the provider's own."""
    if key == "configuration":
        return {name: _text(item) for name, item in value.items()}
    if isinstance(value, Mapping):
        small = {name[:1].lower() + name[1:]: item for name, item in value.items()}
        return {name: _camel(item, name) for name, item in small.items()}
    if isinstance(value, list):
        return [_camel(item) for item in value]
    return int(value) if key in _WHOLE_NUMBERS else value


def _text(value: Any) -> str:
    """CloudFormation hands every configuration value on as a string."""
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _disabled(properties: Properties) -> dict[str, str]:
    return {
        transition["StageName"]: transition["Reason"]
        for transition in properties.get("DisableInboundStageTransitions", [])
    }


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _root(scope: Scope) -> str:
    return f"arn:{scope.partition}:iam::{scope.account}:root"


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        raise ResourceFailedError(
            f"{error.message} (Service: AWSCodePipeline; Status Code: 400; Error Code: "
            f"{error.code})"
        ) from error
