"""What the API answers about pipelines and what runs through them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sandbox.codepipeline.execution import (
    ActionExecution,
    Artifact,
    Execution,
    ExecutionStatus,
    PipelineRecord,
    StageExecution,
    StageState,
    Transition,
)
from sandbox.codepipeline.pipeline import Action


def summary(record: PipelineRecord) -> dict[str, Any]:
    """One pipeline in ListPipelines."""
    pipeline = record.current
    return {
        "name": pipeline.name,
        "version": pipeline.version,
        "pipelineType": pipeline.type,
        "executionMode": pipeline.mode.value,
        "created": record.created,
        "updated": record.updated,
    }


def execution(run: Execution) -> dict[str, Any]:
    """GetPipelineExecution's answer."""
    return _given(
        pipelineName=run.pipeline.name,
        pipelineVersion=run.pipeline.version,
        pipelineExecutionId=run.id,
        status=run.status.value,
        statusSummary=run.status_summary,
        artifactRevisions=[
            _given(
                name=artifact,
                revisionId=revision.id,
                revisionSummary=revision.summary,
                revisionUrl=revision.url,
                created=revision.created,
            )
            for artifact, revision in run.revisions.values()
        ],
        variables=[{"name": n, "resolvedValue": v} for n, v in sorted(run.variables.items())],
        **_origin(run),
    )


def execution_summary(run: Execution) -> dict[str, Any]:
    """One execution in ListPipelineExecutions."""
    return _given(
        pipelineExecutionId=run.id,
        status=run.status.value,
        statusSummary=run.status_summary,
        startTime=run.started,
        lastUpdateTime=run.updated,
        sourceRevisions=[
            _given(
                actionName=action,
                revisionId=revision.id,
                revisionSummary=revision.summary,
                revisionUrl=revision.url,
            )
            for action, (_, revision) in run.revisions.items()
        ],
        stopTrigger={"reason": run.stop_reason} if run.stop_reason is not None else None,
        **_origin(run),
    )


def action_execution(run: Execution, action: ActionExecution) -> dict[str, Any]:
    """One action execution in ListActionExecutions."""
    kind = action.action.type
    return _given(
        pipelineExecutionId=run.id,
        actionExecutionId=action.id,
        pipelineVersion=run.pipeline.version,
        stageName=action.stage,
        actionName=action.action.name,
        startTime=action.started,
        lastUpdateTime=action.updated,
        updatedBy=action.updated_by,
        status=action.status.value,
        input=_given(
            actionTypeId={
                "category": kind.category,
                "owner": kind.owner,
                "provider": kind.provider,
                "version": kind.version,
            },
            configuration=dict(action.action.configuration),
            resolvedConfiguration=dict(action.configuration),
            roleArn=action.action.role_arn,
            region=action.action.region,
            inputArtifacts=_artifacts(action.inputs),
            namespace=action.action.namespace,
        ),
        output={
            "outputArtifacts": _artifacts(action.outputs),
            "executionResult": _given(
                externalExecutionId=action.external_id,
                externalExecutionSummary=action.summary,
                externalExecutionUrl=action.external_url,
                errorDetails=_error(action),
            ),
            "outputVariables": dict(action.variables),
        },
    )


def latest_attempts(run: Execution) -> Iterator[ActionExecution]:
    """The last attempt at each action of an execution, in the order of their beginnings."""
    latest = {(action.stage, action.action.name): action for action in run.actions}
    kept = {action.id for action in latest.values()}
    return (action for action in run.actions if action.id in kept)


def state(record: PipelineRecord) -> dict[str, Any]:
    """GetPipelineState's answer."""
    region = record.scope.region
    return {
        "pipelineName": record.current.name,
        "pipelineVersion": record.current.version,
        "stageStates": [
            _stage(stage.name, stage.actions, record.stages[stage.name], region)
            for stage in record.current.stages
        ],
        "created": record.created,
        "updated": record.updated,
    }


def _stage(name: str, actions: Iterable[Action], stage: StageState, region: str) -> dict[str, Any]:
    inbound = [
        {
            "pipelineExecutionId": run.id,
            "status": "Stopped" if run.status is ExecutionStatus.STOPPED else "InProgress",
            "type": run.type.value,
        }
        for run in stage.waiting
    ]
    latest = stage.latest
    return _given(
        stageName=name,
        inboundExecution=inbound[-1] if inbound else None,
        inboundExecutions=inbound,
        inboundTransitionState=_transition(stage.inbound),
        actionStates=[
            _action(action, stage.actions.get(action.name), region) for action in actions
        ],
        latestExecution={
            "pipelineExecutionId": latest.execution_id,
            "status": latest.status.value,
            "type": latest.type.value,
        }
        if latest
        else None,
        retryStageMetadata=_retries(latest) if latest else None,
    )


def _retries(stage: StageExecution) -> dict[str, Any] | None:
    if stage.latest_retry is None:
        return None
    return _given(
        autoStageRetryAttempt=stage.automatic_retries or None,
        manualStageRetryAttempt=stage.manual_retries or None,
        latestRetryTrigger=stage.latest_retry,
    )


def _transition(transition: Transition) -> dict[str, Any]:
    return _given(
        enabled=transition.is_enabled,
        lastChangedBy=transition.changed_by,
        lastChangedAt=transition.changed_at,
        disabledReason=transition.reason,
    )


def _action(action: Action, latest: ActionExecution | None, region: str) -> dict[str, Any]:
    revision = latest.revision if latest else None
    return _given(
        actionName=action.name,
        currentRevision=_given(
            revisionId=revision.id, revisionChangeId=revision.id[:100], created=revision.created
        )
        if revision
        else None,
        latestExecution=_given(
            actionExecutionId=latest.id,
            status=latest.status.value,
            summary=latest.summary,
            lastStatusChange=latest.updated,
            token=latest.token,
            lastUpdatedBy=latest.updated_by,
            externalExecutionId=latest.external_id,
            externalExecutionUrl=latest.external_url,
            errorDetails=_error(latest),
        )
        if latest
        else None,
        entityUrl=_entity(action, region),
        revisionUrl=revision.url if revision else None,
    )


def _entity(action: Action, region: str) -> str | None:
    """The console page of what the action works on."""
    values = action.configuration
    match action.type.provider:
        case "S3":
            return f"https://console.aws.amazon.com/s3/home?region={region}#"
        case "CodeBuild":
            project = values["ProjectName"]
            return (
                f"https://{region}.console.aws.amazon.com/codebuild/home?#/projects/{project}/view"
            )
        case "ElasticBeanstalk":
            return (
                f"https://{region}.console.aws.amazon.com/elasticbeanstalk/home?region={region}"
                f"#/application/overview?applicationName={values['ApplicationName']}"
            )
        case "CodeStarSourceConnection":
            return (
                f"https://{region}.console.aws.amazon.com/codesuite/settings/connections/redirect"
                f"?connectionArn={values['ConnectionArn']}&referenceType=BRANCH"
                f"&FullRepositoryId={values['FullRepositoryId']}&Branch={values['BranchName']}"
            )
    return None


def _origin(run: Execution) -> dict[str, Any]:
    return {
        "trigger": {
            "triggerType": run.trigger.type,
            "triggerDetail": run.trigger.detail,
        },
        "executionMode": run.pipeline.mode.value,
        "executionType": run.type.value,
        "rollbackMetadata": {"rollbackTargetPipelineExecutionId": run.target}
        if run.target
        else None,
    }


def _artifacts(artifacts: Iterable[Artifact]) -> list[dict[str, Any]]:
    return [
        {"name": artifact.name, "s3location": {"bucket": artifact.bucket, "key": artifact.key}}
        for artifact in artifacts
    ]


def _error(action: ActionExecution) -> Mapping[str, str] | None:
    if action.error is None:
        return None
    return {"code": action.error.code, "message": action.error.message}


def _given(**values: Any) -> dict[str, Any]:
    """Only what there is: an absent member is left out of an answer, never null."""
    return {name: value for name, value in values.items() if value is not None}
