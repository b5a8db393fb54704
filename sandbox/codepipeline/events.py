"""The EventBridge events of CodePipeline, in AWS's shapes.

Numbers are floats (`"version": 3.0`), as they arrive from AWS. Pure.
https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sandbox.codepipeline.execution import (
    ActionExecution,
    Artifact,
    Execution,
    StageExecution,
)

SOURCE = "aws.codepipeline"
PIPELINE_CHANGE = "CodePipeline Pipeline Execution State Change"
STAGE_CHANGE = "CodePipeline Stage Execution State Change"
ACTION_CHANGE = "CodePipeline Action Execution State Change"


def pipeline_change(execution: Execution, state: str) -> dict[str, Any]:
    """An execution began, ended, was superseded, is stopping or goes on after a retry."""
    detail: dict[str, Any] = {
        "pipeline": execution.pipeline.name,
        "execution-id": execution.id,
        "start-time": _time(execution.started),
    }
    if state == "STARTED":
        detail["execution-trigger"] = {
            "trigger-type": execution.trigger.type,
            "trigger-detail": execution.trigger.detail,
        }
    detail["state"] = state
    if state == "STOPPING" and execution.stop_reason is not None:
        detail["stop-execution-comments"] = execution.stop_reason
    return detail | _versions(execution)


def stage_change(execution: Execution, stage: StageExecution, state: str) -> dict[str, Any]:
    """The same for one stage."""
    detail: dict[str, Any] = {
        "pipeline": execution.pipeline.name,
        "execution-id": execution.id,
        "start-time": _time(stage.started),
        "stage": stage.stage,
        "state": state,
    }
    if stage.retried_at is not None:
        detail["stage-last-retry-attempt-time"] = _time(stage.retried_at)
    return detail | _versions(execution)


def action_change(
    execution: Execution, action: ActionExecution, state: str, region: str
) -> dict[str, Any]:
    """The same for one attempt at an action, with its artifacts and its result."""
    kind = action.action.type
    detail: dict[str, Any] = {
        "pipeline": execution.pipeline.name,
        "execution-id": execution.id,
        "start-time": _time(action.started),
        "stage": action.stage,
        "action-execution-id": action.id,
        "action": action.action.name,
    }
    if state != "STARTED":
        result = _result(action)
        if result:
            detail["execution-result"] = result
        if action.outputs:
            detail["output-artifacts"] = _artifacts(action.outputs)
    if action.inputs:
        detail["input-artifacts"] = _artifacts(action.inputs)
    detail |= {
        "state": state,
        "region": region,
        "type": {
            "owner": kind.owner,
            "provider": kind.provider,
            "category": kind.category,
            "version": kind.version,
        },
    }
    return detail | _versions(execution)


def _result(action: ActionExecution) -> dict[str, str]:
    # A failure that no provider summed up is told by its message, as AWS does.
    summary = action.summary or (action.error.message if action.error else None)
    values = {
        "external-execution-url": action.external_url,
        "external-execution-summary": summary,
        "external-execution-id": action.external_id,
        "error-code": action.error.code if action.error else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _artifacts(artifacts: Iterable[Artifact]) -> list[dict[str, Any]]:
    return [
        {"name": artifact.name, "s3location": {"bucket": artifact.bucket, "key": artifact.key}}
        for artifact in artifacts
    ]


def _versions(execution: Execution) -> dict[str, float]:
    return {
        "version": float(execution.pipeline.version),
        "pipeline-execution-attempt": float(execution.attempt),
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
