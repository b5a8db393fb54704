"""Pipelines for the tests, in the words of CreatePipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ROLE = "arn:aws:iam::123456789012:role/pipeline"
KEY = "source/shop/main.zip"


def source(bucket: str, **changes: Any) -> dict[str, Any]:
    """A source action that picks an object up."""
    configuration = {"S3Bucket": bucket, "S3ObjectKey": KEY, "PollForSourceChanges": "false"}
    return action("Source", "Source", "S3", configuration, outputs=["SourceArtifact"]) | {
        "namespace": "SourceVariables",
        **changes,
    }


def action(
    name: str,
    category: str,
    provider: str,
    configuration: Mapping[str, str] | None = None,
    *,
    order: int = 1,
    inputs: list[str] | None = None,
    outputs: list[str] | None = None,
) -> dict[str, Any]:
    return {
        "name": name,
        "runOrder": order,
        "actionTypeId": {
            "category": category,
            "owner": "AWS",
            "provider": provider,
            "version": "1",
        },
        "configuration": dict(configuration or {}),
        "inputArtifacts": [{"name": artifact} for artifact in inputs or []],
        "outputArtifacts": [{"name": artifact} for artifact in outputs or []],
    }


def gate(name: str, order: int = 1, **changes: Any) -> dict[str, Any]:
    """An approval: a test lets it pass, or makes it fail by rejecting it."""
    return action(name, "Approval", "Manual", order=order) | changes


def stage(name: str, *actions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"name": name, "actions": list(actions), **changes}


def pipeline(bucket: str, *stages: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A pipeline of type V2 with the source in front of the stages."""
    return {
        "name": "shop",
        "roleArn": ROLE,
        "pipelineType": "V2",
        "artifactStore": {"type": "S3", "location": bucket},
        "stages": [stage("Source", source(bucket)), *stages],
        **changes,
    }
