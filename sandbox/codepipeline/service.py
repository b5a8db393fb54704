"""The operations of the CodePipeline API.

Behaviours, their sources and what is not modelled: README.md beside this file.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from sandbox.cloud import AccessDeniedError, Cloud, Scope
from sandbox.codepipeline import roles, views
from sandbox.codepipeline.actions.providers import modelled
from sandbox.codepipeline.actions.work import PRINCIPAL, Pace
from sandbox.codepipeline.engine import Engine
from sandbox.codepipeline.execution import (
    Decision,
    Execution,
    PipelineRecord,
    RetryMode,
    Trigger,
)
from sandbox.codepipeline.pipeline import (
    InvalidDeclarationError,
    Pipeline,
    parse,
)
from sandbox.service import ApiError, Call, Service
from sandbox.service import now as sandbox_clock

Answer = dict[str, Any]

_REVISION_TYPES: Mapping[str, frozenset[str]] = {
    # https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_SourceRevisionOverride.html
    "S3": frozenset({"S3_OBJECT_VERSION_ID", "S3_OBJECT_KEY"}),
    "CodeStarSourceConnection": frozenset({"COMMIT_ID"}),
}

# The parts of a resource's ARN, by the names that requests give them.
_PIPELINE_NAME = ("pipelineName", "name")


class CodePipeline(Service):
    """CodePipeline in every account and Region of the sandbox."""

    name: ClassVar[str] = "codepipeline"

    def __init__(
        self,
        cloud: Cloud,
        *,
        pace: Pace | None = None,
        clock: Callable[[], datetime] = sandbox_clock,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        super().__init__(cloud)
        self.clock = clock
        self._repositories: dict[tuple[str, str], Path] = {}
        self.engine = Engine(cloud, modelled(self._repositories), pace or Pace(), clock, new_id)

    def close(self) -> None:
        """Abandon every action and end every thread of this service."""
        self.engine.close()

    def resource_arn(self, scope: Scope, operation: str, request: Mapping[str, Any]) -> str:
        """Pipeline, stage or action.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodepipeline.html
        """
        if "resourceArn" in request:
            return str(request["resourceArn"])
        declared = request.get("pipeline") or {}
        names = [request.get(key) for key in _PIPELINE_NAME] + [declared.get("name")]
        name = next((name for name in names if name), None)
        if name is None:
            return "*"
        parts = [name]
        if operation in _STAGE_OPERATIONS | _ACTION_OPERATIONS:
            parts.append(request.get("stageName", "*"))
        if operation in _ACTION_OPERATIONS:
            parts.append(request.get("actionName", "*"))
        return scope.arn("codepipeline", "/".join(parts))

    # Outside the API -----------------------------------------------------------------------

    def register_repository(
        self, connection_arn: str, full_repository_id: str, directory: Path
    ) -> None:
        """Let a local Git repository stand behind a connection, which is then available."""
        self._repositories[connection_arn, full_repository_id] = directory

    def start_from_event(
        self,
        scope: Scope,
        pipeline_arn: str,
        role_arn: str,
        input_json: str,
        rule_arn: str = "",
    ) -> str:
        """Start a pipeline as the target of an EventBridge rule; gives the execution's id.

        The rule's role needs codepipeline:StartPipelineExecution, and `input_json` may pin source
        revisions, as an input transformer writes them; any other input says nothing to the
        pipeline. Raises AccessDeniedError or ApiError.
        https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-trigger-source-overrides-eventbridge.html
        """
        caller = roles.assumed(
            self.cloud, scope, role_arn, "events.amazonaws.com", uuid.uuid4().hex, rule_arn
        )
        self.cloud.authorize(scope, caller, "codepipeline:StartPipelineExecution", pipeline_arn)
        name = pipeline_arn.rpartition(":")[2]
        with self.engine.record(scope, name) as record:
            overrides = _overrides(record.current, _pinned(input_json))
        return self.engine.start(
            scope, name, Trigger("CloudWatchEvent", rule_arn or role_arn), overrides=overrides
        )

    def create(
        self,
        scope: Scope,
        declaration: Mapping[str, Any],
        tags: Mapping[str, str],
        by: str,
        disabled: Mapping[str, str] | None = None,
    ) -> Pipeline:
        """Create a pipeline and start its first run, as CreatePipeline and CloudFormation do.

        `disabled` are stages whose inbound transition is closed before that run, with reasons.
        """
        pipeline = self._parse(scope, declaration, 1)
        for stage in disabled or {}:
            if pipeline.stage(stage) is None:
                raise ApiError(
                    "StageNotFoundException",
                    f"The pipeline '{pipeline.name}' does not have a stage with name '{stage}'",
                )
        self.engine.create(scope, pipeline, tags)
        for stage, reason in (disabled or {}).items():
            self.engine.set_transition(scope, pipeline.name, stage, "Inbound", reason, by)
        if all(variable.default is not None for variable in pipeline.variables):
            self.engine.start(scope, pipeline.name, Trigger("CreatePipeline", by))
        return pipeline

    def update(self, scope: Scope, declaration: Mapping[str, Any]) -> Pipeline:
        """Put a new version of a pipeline's structure in force."""
        return self.engine.update(
            scope, declaration["name"], lambda version: self._parse(scope, declaration, version)
        )

    def _parse(self, scope: Scope, declaration: Mapping[str, Any], version: int) -> Pipeline:
        try:
            pipeline = parse(declaration, scope.region, version)
        except InvalidDeclarationError as error:
            raise ApiError(error.code, error.message) from error
        role = pipeline.role_arn
        try:
            own_arn = scope.arn("codepipeline", pipeline.name)
            roles.assumed(self.cloud, scope, role, PRINCIPAL, pipeline.name, own_arn)
        except AccessDeniedError as error:
            raise ApiError(
                "InvalidStructureException",
                f"CodePipeline is not authorized to perform AssumeRole on role {role}",
            ) from error
        return pipeline

    # Pipelines -----------------------------------------------------------------------------

    def create_pipeline(self, call: Call) -> Answer:
        declaration = call.input["pipeline"]
        self._check_pass_role(call, declaration)
        tags = {tag["key"]: tag["value"] for tag in call.input.get("tags", [])}
        pipeline = self.create(call.scope, declaration, tags, call.caller.arn)
        return {"pipeline": pipeline.declaration, "tags": _tag_list(tags)}

    def update_pipeline(self, call: Call) -> Answer:
        declaration = call.input["pipeline"]
        self._check_pass_role(call, declaration)
        return {"pipeline": self.update(call.scope, declaration).declaration}

    def _check_pass_role(self, call: Call, declaration: Mapping[str, Any]) -> None:
        actions = [action for stage in declaration["stages"] for action in stage["actions"]]
        for role in sorted(
            {declaration["roleArn"]} | {a["roleArn"] for a in actions if a.get("roleArn")}
        ):
            self.cloud.authorize(
                call.scope,
                call.caller,
                "iam:PassRole",
                role,
                {"iam:PassedToService": PRINCIPAL},
            )

    def get_pipeline(self, call: Call) -> Answer:
        with self.engine.record(call.scope, call.input["name"]) as record:
            version = call.input.get("version", record.current.version)
            if version not in record.versions:
                raise ApiError(
                    "PipelineVersionNotFoundException",
                    f"The pipeline '{record.current.name}' does not have a version {version}",
                )
            return {
                "pipeline": record.versions[version].declaration,
                "metadata": {
                    "pipelineArn": record.arn,
                    "created": record.created,
                    "updated": record.updated,
                },
            }

    def delete_pipeline(self, call: Call) -> None:
        self.engine.delete(call.scope, call.input["name"])

    def list_pipelines(self, call: Call) -> Answer:
        with self.engine.records(call.scope) as records:
            found = [views.summary(record) for record in records]
        return _page("pipelines", found, call.input, 1000)

    # Executions ----------------------------------------------------------------------------

    def start_pipeline_execution(self, call: Call) -> Answer:
        with self.engine.record(call.scope, call.input["name"]) as record:
            overrides = _overrides(record.current, call.input.get("sourceRevisions", []))
        execution_id = self.engine.start(
            call.scope,
            call.input["name"],
            Trigger("StartPipelineExecution", call.caller.arn),
            variables={v["name"]: v["value"] for v in call.input.get("variables", [])},
            overrides=overrides,
            token=call.input.get("clientRequestToken"),
        )
        return {"pipelineExecutionId": execution_id}

    def get_pipeline_execution(self, call: Call) -> Answer:
        with self.engine.record(call.scope, call.input["pipelineName"]) as record:
            run = _execution(record, call.input["pipelineExecutionId"])
            return {"pipelineExecution": views.execution(run)}

    def list_pipeline_executions(self, call: Call) -> Answer:
        """Newest first; with succeededInStage only those of the current structure version.

        https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ListPipelineExecutions.html
        """
        stage = (call.input.get("filter") or {}).get("succeededInStage", {}).get("stageName")
        with self.engine.record(call.scope, call.input["pipelineName"]) as record:
            found = [
                views.execution_summary(run)
                for run in record.newest_first()
                if stage is None
                or (run.pipeline.version == record.current.version and run.succeeded_in(stage))
            ]
        return _page("pipelineExecutionSummaries", found, call.input, 100)

    def list_action_executions(self, call: Call) -> Answer:
        wanted = call.input.get("filter") or {}
        latest = wanted.get("latestInPipelineExecution") or {}
        execution_id = wanted.get("pipelineExecutionId") or latest.get("pipelineExecutionId")
        is_latest_only = latest.get("startTimeRange") == "Latest"
        with self.engine.record(call.scope, call.input["pipelineName"]) as record:
            runs = (
                [_execution(record, execution_id)] if execution_id else list(record.newest_first())
            )
            found = [
                views.action_execution(run, action)
                for run in runs
                for action in (views.latest_attempts(run) if is_latest_only else run.actions)
            ]
        found.sort(key=lambda detail: detail["startTime"], reverse=True)
        return _page("actionExecutionDetails", found, call.input, 100)

    def get_pipeline_state(self, call: Call) -> Answer:
        with self.engine.record(call.scope, call.input["name"]) as record:
            return views.state(record)

    def stop_pipeline_execution(self, call: Call) -> Answer:
        execution_id = call.input["pipelineExecutionId"]
        self.engine.stop(
            call.scope,
            call.input["pipelineName"],
            execution_id,
            call.input.get("reason"),
            call.input.get("abandon", False),
        )
        return {"pipelineExecutionId": execution_id}

    def retry_stage_execution(self, call: Call) -> Answer:
        execution_id = call.input["pipelineExecutionId"]
        self.engine.retry(
            call.scope,
            call.input["pipelineName"],
            call.input["stageName"],
            execution_id,
            RetryMode(call.input["retryMode"]),
        )
        return {"pipelineExecutionId": execution_id}

    def rollback_stage(self, call: Call) -> Answer:
        execution_id = self.engine.rollback(
            call.scope,
            call.input["pipelineName"],
            call.input["stageName"],
            call.input["targetPipelineExecutionId"],
            Trigger("ManualRollback", call.caller.arn),
        )
        return {"pipelineExecutionId": execution_id}

    # Stages and approvals ------------------------------------------------------------------

    def disable_stage_transition(self, call: Call) -> None:
        self._set_transition(call, call.input["reason"])

    def enable_stage_transition(self, call: Call) -> None:
        self._set_transition(call, None)

    def _set_transition(self, call: Call, reason: str | None) -> None:
        self.engine.set_transition(
            call.scope,
            call.input["pipelineName"],
            call.input["stageName"],
            call.input["transitionType"],
            reason,
            call.caller.arn,
        )

    def put_approval_result(self, call: Call) -> Answer:
        result = call.input["result"]
        decision = Decision(
            is_approved=result["status"] == "Approved",
            summary=result["summary"],
            by=call.caller.arn,
            at=self.clock(),
        )
        self.engine.decide(
            call.scope,
            call.input["pipelineName"],
            call.input["stageName"],
            call.input["actionName"],
            call.input["token"],
            decision,
        )
        return {"approvedAt": decision.at}

    # Tags ----------------------------------------------------------------------------------

    def list_tags_for_resource(self, call: Call) -> Answer:
        with self._tagged(call) as record:
            return _page("tags", _tag_list(record.tags), call.input, 100)

    def tag_resource(self, call: Call) -> None:
        with self._tagged(call) as record:
            record.tags.update({tag["key"]: tag["value"] for tag in call.input["tags"]})
            if len(record.tags) > 50:
                raise ApiError(
                    "TooManyTagsException", "The tags limit for a resource has been exceeded: 50"
                )

    def untag_resource(self, call: Call) -> None:
        with self._tagged(call) as record:
            for key in call.input["tagKeys"]:
                record.tags.pop(key, None)

    def tagged_resources(self, scope: Scope) -> list[tuple[str, Mapping[str, str]]]:
        """ARN and tags of every pipeline, for what lists resources across services."""
        with self.engine.records(scope) as records:
            return [
                (scope.arn("codepipeline", record.current.name), dict(record.tags))
                for record in records
            ]

    def _tagged(self, call: Call) -> Any:
        arn = call.input["resourceArn"]
        prefix = call.scope.arn("codepipeline", "")
        name = arn.removeprefix(prefix)
        if not arn.startswith(prefix) or not name or "/" in name:
            raise ApiError("InvalidArnException", f"The specified resource ARN is invalid: {arn}")
        with self.engine.records(call.scope) as records:
            if name not in {record.current.name for record in records}:
                raise ApiError("ResourceNotFoundException", f"The resource {arn} was not found")
        return self.engine.record(call.scope, name)


_STAGE_OPERATIONS = frozenset(
    {
        "DisableStageTransition",
        "EnableStageTransition",
        "OverrideStageCondition",
        "RetryStageExecution",
        "RollbackStage",
    }
)
_ACTION_OPERATIONS = frozenset({"PutApprovalResult", "PutActionRevision"})


def _execution(record: PipelineRecord, execution_id: str) -> Execution:
    run = record.executions.get(execution_id)
    if run is None:
        raise ApiError(
            "PipelineExecutionNotFoundException",
            f"The pipeline '{record.current.name}' does not have an execution with ID "
            f"'{execution_id}'",
        )
    return run


def _overrides(
    pipeline: Pipeline, revisions: Iterable[Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """Source revision overrides by action, each of a type that the action's provider takes."""
    found: dict[str, dict[str, str]] = {}
    sources = {action.name: action for action in pipeline.stages[0].actions}
    for revision in revisions:
        name, kind = revision["actionName"], revision["revisionType"]
        action = sources.get(name)
        if action is None:
            raise ApiError(
                "ValidationException",
                f"The pipeline {pipeline.name} does not have a source action with name '{name}'",
            )
        if kind not in _REVISION_TYPES.get(action.type.provider, frozenset()):
            raise ApiError(
                "ValidationException",
                f"Source action '{name}' of provider {action.type.provider} does not take the "
                f"revision type {kind}",
            )
        is_allowed = action.configuration.get("AllowOverrideForS3ObjectKey", "false").lower()
        if kind == "S3_OBJECT_KEY" and is_allowed != "true":
            raise ApiError(
                "ValidationException",
                f"Source action '{name}' does not allow its object key to be overridden: "
                "AllowOverrideForS3ObjectKey is not true",
            )
        found.setdefault(name, {})[kind] = revision["revisionValue"]
    return found


def _pinned(input_json: str) -> list[Mapping[str, str]]:
    """The source revisions in an event target's input; an ordinary event has none."""
    try:
        given = json.loads(input_json) if input_json else {}
    except ValueError as error:
        raise ApiError(
            "ValidationException", f"The input of the pipeline target is not JSON: {error}"
        ) from error
    revisions = given.get("sourceRevisions", []) if isinstance(given, dict) else []
    keys = ("actionName", "revisionType", "revisionValue")
    if not isinstance(revisions, list) or not all(
        isinstance(r, dict) and all(isinstance(r.get(k), str) for k in keys) for r in revisions
    ):
        raise ApiError(
            "ValidationException",
            f"sourceRevisions must be a list of {{{', '.join(keys)}}}: {revisions}",
        )
    return revisions


def _page(
    member: str, found: list[dict[str, Any]], request: Mapping[str, Any], most: int
) -> Answer:
    """One page; a token says where the next one begins."""
    begin = 0
    if (token := request.get("nextToken")) is not None:
        try:
            kind, _, number = base64.urlsafe_b64decode(token).decode().partition(":")
            begin = int(number)
        except (binascii.Error, ValueError):
            kind = ""
        if kind != member:
            raise ApiError(
                "InvalidNextTokenException", f"The next token is not valid for this list: {token}"
            )
    end = begin + request.get("maxResults", most)
    answer: Answer = {member: found[begin:end]}
    if end < len(found):
        answer["nextToken"] = base64.urlsafe_b64encode(f"{member}:{end}".encode()).decode()
    return answer


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
